#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "roars/backend.hpp"
#include "roars/primitives/product.hpp"
#include "roars/primitives/row_panels.hpp"
#include "roars/primitives/stored_rows.hpp"
#include "roars/simd.hpp"

namespace roars {

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
