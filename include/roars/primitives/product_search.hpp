#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "roars/backend.hpp"
#include "roars/primitives/product.hpp"
#include "roars/primitives/stored_rows.hpp"
#include "roars/simd.hpp"

namespace roars {
namespace detail {

/// Rows in float for a matrix product, in panels of neighbours: halves of halves by the widest column. They are
/// centred, and scaled by a power of two so that the largest number is about 1, whatever the unit of the data and
/// however far from 0 it lies.
struct RowPanels {
    static constexpr std::int64_t size = 256;

    StoredRows rows;
    std::vector<std::int64_t> index;  ///< the row at a place of the panels
    std::vector<double> low, high;    ///< the box of each panel, of the rows as they are [width x panels]
    std::vector<double> centre;
    double scale = 1.0;
    matrix::Aligned<float> values;  ///< [panels x width x size]
    matrix::Aligned<float> square;  ///< |row|^2 [panels x size]; infinite behind the last row
    double reach = 0.0;             ///< the largest |row|

    RowPanels() = default;
    explicit RowPanels(StoredRows stored)
        : rows(std::move(stored)), index(static_cast<std::size_t>(rows.count())), centre(rows.width()) {
        std::iota(index.begin(), index.end(), std::int64_t{0});
        split(index);
        Box all = box(index);
        double largest = 0.0;
        for (std::size_t c = 0; c < rows.width(); ++c) {
            centre[c] = all.low[c] / 2 + all.high[c] / 2;
            largest = std::max({largest, all.high[c] - centre[c], centre[c] - all.low[c]});
        }
        if (largest > 0.0) scale = std::ldexp(1.0, -std::ilogb(largest));
        fill();
    }
    std::int64_t count() const { return (rows.count() + size - 1) / size; }

    /// The row in the panels' unit, its numbers `stride` apart. Returns its square.
    double put(std::span<const double> row, float* to, std::int64_t stride) const {
        double sum = 0.0;
        for (std::size_t c = 0; c < row.size(); ++c) {
            float value = static_cast<float>((row[c] - centre[c]) * scale);
            to[std::int64_t(c) * stride] = value;
            sum += double(value) * double(value);
        }
        return sum;
    }
    /// apart[p] = the square of the distance from the query to the box of panel p: no row of it is nearer.
    void distances(std::span<const double> query, double* apart) const {
        const std::int64_t panels = count();
        std::fill_n(apart, panels, 0.0);
        for (std::size_t c = 0; c < query.size(); ++c) {
            const double *from = low.data() + std::int64_t(c) * panels, *to = high.data() + std::int64_t(c) * panels;
            for (std::int64_t p = 0; p < panels; ++p) {
                double outside = std::max(0.0, std::max(from[p] - query[c], query[c] - to[p]));
                apart[p] += outside * outside;
            }
        }
    }

private:
    struct Box {
        std::vector<double> low, high;
    };
    double at(std::int64_t row, std::size_t column) const { return rows.row(row)[column]; }
    Box box(std::span<const std::int64_t> some) const {
        Box around{std::vector<double>(rows.width(), std::numeric_limits<double>::max()),
                   std::vector<double>(rows.width(), std::numeric_limits<double>::lowest())};
        for (std::int64_t row : some)
            for (std::size_t c = 0; c < rows.width(); ++c) {
                around.low[c] = std::min(around.low[c], at(row, c));
                around.high[c] = std::max(around.high[c], at(row, c));
            }
        return around;
    }
    /// Sorts rows into panels: whole ones, and the last.
    void split(std::span<std::int64_t> some) const {
        if (std::ssize(some) <= size) return;
        Box around = box(some);
        std::size_t widest = 0;
        auto extent = [&](std::size_t c) { return around.high[c] - around.low[c]; };
        for (std::size_t c = 1; c < rows.width(); ++c)
            if (extent(c) > extent(widest)) widest = c;
        auto half = static_cast<std::size_t>((std::ssize(some) + size - 1) / size / 2 * size);
        std::nth_element(some.begin(), some.begin() + std::ptrdiff_t(half), some.end(),
                         [&](std::int64_t a, std::int64_t b) { return at(a, widest) < at(b, widest); });
        split(some.first(half));
        split(some.subspan(half));
    }
    void fill() {
        const std::int64_t width = std::int64_t(rows.width()), panels = count();
        values.resize(static_cast<std::size_t>(panels * width * size));
        square.resize(static_cast<std::size_t>(panels * size), std::numeric_limits<float>::infinity());
        low.resize(static_cast<std::size_t>(panels * width));
        high.resize(low.size());
        for (std::int64_t p = 0; p < panels; ++p) {
            const std::int64_t first = p * size, some = std::min(size, rows.count() - first);
            Box around = box({index.data() + first, static_cast<std::size_t>(some)});
            for (std::int64_t c = 0; c < width; ++c) {
                low[static_cast<std::size_t>(c * panels + p)] = around.low[static_cast<std::size_t>(c)];
                high[static_cast<std::size_t>(c * panels + p)] = around.high[static_cast<std::size_t>(c)];
            }
            for (std::int64_t i = 0; i < some; ++i) {
                auto place = static_cast<std::size_t>(first + i);
                double sum = put(rows.row(index[place]), values.data() + first * width + i, size);
                square[place] = static_cast<float>(sum);
                reach = std::max(reach, std::sqrt(sum));
            }
        }
    }
};

}  // namespace detail

/// Searches by matrix products of queries and panels of rows:
///     |q - x|^2 = |q|^2 + s,   s = |x|^2 - 2 q x in float,
/// and measures in double the rows whose s is as small as that of the k-th nearest row so far, or larger by no more
/// than what rounding may have done, (width + 8) 2^-23 (|q| + |x|)^2: the same rows as in a tree, ties included. A
/// panel whose box is farther away than the k-th nearest row is left out, so that it is quick where a row is near, and
/// never takes more than the product of all. The rows are shared by its copies and never change.
class ProductSearch {
public:
    ProductSearch() = default;
    /// Shapes: rows [rows, width], row by row. Errors: a number that is not finite, or 1e150 and more.
    ProductSearch(std::vector<double> rows, std::int64_t width)
        : panels_(std::make_shared<const detail::RowPanels>(detail::StoredRows(std::move(rows), width))) {}

    const detail::StoredRows& rows() const { return panels_->rows; }

    /// Of queries that have been checked.
    void find(backend::Host& backend, std::span<const double> query, std::int64_t k, std::span<Neighbour> found) const {
        const std::int64_t width = std::int64_t(rows().width()), count = std::ssize(found);
        parallel_for(backend, (count + together - 1) / together, [&](std::int64_t piece) {
            const std::int64_t begin = piece * together, some = std::min(together, count - begin);
            Search search(*panels_, {query.data() + begin * width, static_cast<std::size_t>(some * width)}, k);
            search.look_into_panels();
            search.tell({found.data() + begin, static_cast<std::size_t>(some)});
        });
    }

private:
    static constexpr std::int64_t together = 64;  ///< their s of one panel stay in the cache

    /// Some queries on their way through the panels.
    class Search {
    public:
        Search(const detail::RowPanels& panels, std::span<const double> query, std::int64_t k)
            : panels_(panels), width_(std::int64_t(panels.rows.width())), k_(k), query_(query), left_(query.size()) {
            const std::int64_t count = std::ssize(query) / width_;
            apart_.resize(static_cast<std::size_t>(count * panels.count()));
            for (std::int64_t i = 0; i < count; ++i) {
                double square = panels.put(query_of(i), left_.data() + i * width_, 1);
                double most = std::sqrt(square) + panels.reach;
                asked_.push_back({detail::KNearest(k), square, double(width_ + 8) * 0x1p-23 * most * most});
                panels.distances(query_of(i), apart_.data() + i * panels.count());
            }
            for (float& x : left_) x *= -2.0f;
        }
        /// First the panel that each query is nearest to, then all that may still hold a nearer row.
        void look_into_panels() {
            const std::int64_t panels = panels_.count(), count = std::ssize(asked_);
            std::vector<std::int64_t> nearest(asked_.size()), some;
            for (std::int64_t i = 0; i < count; ++i) {
                if (far(i)) continue;
                const double* apart = apart_.data() + i * panels;
                auto& at = nearest[static_cast<std::size_t>(i)] = std::min_element(apart, apart + panels) - apart;
                look(at, {&i, 1});
            }
            for (std::int64_t p = 0; p < panels; ++p) {
                some.clear();
                for (std::int64_t i = 0; i < count; ++i)
                    if (!far(i) && nearest[static_cast<std::size_t>(i)] != p &&
                        apart_[static_cast<std::size_t>(i * panels + p)] <= asked(i).nearest.worstDist())
                        some.push_back(i);
                look(p, some);
            }
        }
        void tell(std::span<Neighbour> found) const {
            for (std::int64_t i = 0; i < std::ssize(found); ++i)
                found[static_cast<std::size_t>(i)] =
                    far(i) ? detail::look_at_every_row(panels_.rows, query_of(i), k_) : asked(i).nearest.last();
        }

    private:
        /// What is known of a query so far.
        struct Asked {
            detail::KNearest nearest;
            double square, rounding;

            /// A row that may be among the k nearest has an s of no more.
            float limit(double scale) const {
                constexpr float largest = std::numeric_limits<float>::max();
                double most = nearest.worstDist() * scale * scale - square + rounding;
                return most < double(largest) ? static_cast<float>(most) : largest;
            }
        };
        std::span<const double> query_of(std::int64_t i) const {
            return query_.subspan(static_cast<std::size_t>(i * width_), static_cast<std::size_t>(width_));
        }
        Asked& asked(std::int64_t i) { return asked_[static_cast<std::size_t>(i)]; }
        const Asked& asked(std::int64_t i) const { return asked_[static_cast<std::size_t>(i)]; }
        /// So far from all rows, in their unit, that a float holds no square of it: s says nothing.
        bool far(std::int64_t i) const { return !(asked(i).square < 1e36); }

        /// The rows of a panel, for some of the queries.
        void look(std::int64_t panel, std::span<const std::int64_t> some) {
            const std::int64_t count = std::ssize(some), size = panels_.size, first = panel * size;
            some_left_.resize(static_cast<std::size_t>(count * width_));
            s_.resize(static_cast<std::size_t>(count * size));
            for (std::int64_t i = 0; i < count; ++i)
                std::copy_n(left_.data() + some[static_cast<std::size_t>(i)] * width_, width_,
                            some_left_.data() + i * width_);
            matrix::product<false, float>(count, size, width_, {some_left_.data(), width_, 1},
                                          panels_.values.data() + first * width_, size, s_.data(), size,
                                          panels_.square.data() + first);
            for (std::int64_t i = 0; i < count; ++i) {
                const std::int64_t number = some[static_cast<std::size_t>(i)];
                measure(query_of(number), s_.data() + i * size, first, asked(number));
            }
        }
        /// Those rows of a panel that may be near enough, s of each given.
        void measure(std::span<const double> query, const float* s, std::int64_t first, Asked& of) const {
            using V = math::Lanes<float>;
            constexpr std::int64_t lanes = math::lanes<V>;
            float limit = of.limit(panels_.scale);
            for (std::int64_t j = 0; j < panels_.size; j += lanes) {
                if (!math::any<V>(math::load<V>(s + j) <= V(limit))) [[likely]]
                    continue;
                for (std::int64_t place = j; place < j + lanes; ++place) {
                    if (!(s[place] <= limit)) continue;
                    const std::int64_t row = panels_.index[static_cast<std::size_t>(first + place)];
                    of.nearest.addPoint(
                        detail::squared_distance(query.data(), panels_.rows.row(row).data(), panels_.rows.width()),
                        static_cast<std::size_t>(row));
                    limit = of.limit(panels_.scale);
                }
            }
        }

        const detail::RowPanels& panels_;
        std::int64_t width_, k_;
        std::span<const double> query_;
        matrix::Aligned<float> left_, some_left_, s_;  ///< -2 q [queries x width]; of some; s [some x size]
        std::vector<double> apart_;                    ///< [queries x panels]
        std::vector<Asked> asked_;
    };

    std::shared_ptr<const detail::RowPanels> panels_ = std::make_shared<const detail::RowPanels>();
};

}  // namespace roars
