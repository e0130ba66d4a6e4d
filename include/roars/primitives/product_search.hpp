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
#include "roars/primitives/stored_rows.hpp"
#include "roars/simd.hpp"

namespace roars {
namespace detail {

/// Rows in float for a matrix product, a panel of them at a time: centred, and scaled by a power of two so that the
/// largest number is about 1, whatever the unit of the data and however far from 0 it lies.
struct RowPanels {
    static constexpr std::int64_t size = 256;

    StoredRows rows;
    std::vector<double> centre;
    double scale = 1.0;
    matrix::Aligned<float> values;  ///< [panels x width x size]
    matrix::Aligned<float> square;  ///< |row|^2; infinite behind the last row
    double reach = 0.0;             ///< the largest |row|

    RowPanels() = default;
    explicit RowPanels(StoredRows stored) : rows(std::move(stored)), centre(rows.width()) {
        const std::int64_t width = std::int64_t(rows.width());
        for (std::int64_t i = 0; i < rows.count(); ++i)
            for (std::size_t c = 0; c < centre.size(); ++c) centre[c] += rows.row(i)[c] / double(rows.count());
        double largest = 0.0;
        for (std::int64_t i = 0; i < rows.count(); ++i)
            for (std::size_t c = 0; c < centre.size(); ++c)
                largest = std::max(largest, std::abs(rows.row(i)[c] - centre[c]));
        if (largest > 0.0) scale = std::ldexp(1.0, -std::ilogb(largest));
        values.resize(static_cast<std::size_t>(count() * width * size));
        square.resize(static_cast<std::size_t>(count() * size), std::numeric_limits<float>::infinity());
        for (std::int64_t i = 0; i < rows.count(); ++i) {
            double sum = put(rows.row(i), values.data() + (i / size * width) * size + i % size, size);
            square[static_cast<std::size_t>(i)] = static_cast<float>(sum);
            reach = std::max(reach, std::sqrt(sum));
        }
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
};

}  // namespace detail

/// Searches all rows by a matrix product, some queries at a time:
///     |q - x|^2 = |q|^2 + s,   s = |x|^2 - 2 q x in float,
/// and measures in double the rows whose s is as small as that of the k-th nearest row so far, or larger by no more
/// than what rounding may have done, (width + 8) 2^-23 (|q| + |x|)^2: the same rows as in a tree, ties included. What
/// it takes grows with the width alone, whatever the data. The rows are shared by its copies and never change.
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
            search({query.data() + begin * width, static_cast<std::size_t>(some * width)}, k,
                   {found.data() + begin, static_cast<std::size_t>(some)});
        });
    }

private:
    static constexpr std::int64_t together = 24;  ///< whole tiles of the product, and their s stay in the cache
    static constexpr double largest = std::numeric_limits<float>::max();

    /// What is known of a query so far.
    struct Asked {
        detail::KNearest nearest;
        double square, rounding;

        /// A row that may be among the k nearest has an s of no more.
        float limit(double scale) const {
            double most = nearest.worstDist() * scale * scale - square + rounding;
            return most < largest ? static_cast<float>(most) : std::numeric_limits<float>::max();
        }
    };

    void search(std::span<const double> query, std::int64_t k, std::span<Neighbour> found) const {
        const detail::RowPanels& panels = *panels_;
        const std::int64_t width = std::int64_t(rows().width()), count = std::ssize(found);
        matrix::Aligned<float> left(query.size()), s(static_cast<std::size_t>(count * panels.size));
        std::vector<Asked> asked;
        for (std::int64_t i = 0; i < count; ++i) {
            double square = panels.put(query_of(query, i), left.data() + i * width, 1);
            double most = std::sqrt(square) + panels.reach;
            asked.push_back({detail::KNearest(k), square, double(width + 8) * 0x1p-23 * most * most});
        }
        for (float& x : left) x *= -2.0f;
        for (std::int64_t p = 0; p < panels.count(); ++p) {
            const std::int64_t first = p * panels.size;
            matrix::product<false, float>(count, panels.size, width, {left.data(), width, 1},
                                          panels.values.data() + first * width, panels.size, s.data(), panels.size,
                                          panels.square.data() + first);
            for (std::int64_t i = 0; i < count; ++i)
                look(query_of(query, i), s.data() + i * panels.size, first, asked[static_cast<std::size_t>(i)]);
        }
        for (std::int64_t i = 0; i < count; ++i) {
            const Asked& one = asked[static_cast<std::size_t>(i)];
            // So far from all rows, in their unit, that a float holds no square of it: s says nothing.
            const bool far = !(one.square < 1e36);
            found[static_cast<std::size_t>(i)] =
                far ? detail::look_at_every_row(rows(), query_of(query, i), k) : one.nearest.last();
        }
    }
    /// The rows of a panel, s of each given.
    void look(std::span<const double> query, const float* s, std::int64_t first, Asked& asked) const {
        using V = math::Lanes<float>;
        constexpr std::int64_t lanes = math::lanes<V>;
        float limit = asked.limit(panels_->scale);
        for (std::int64_t j = 0; j < panels_->size; j += lanes) {
            if (!math::any<V>(math::load<V>(s + j) <= V(limit))) [[likely]]
                continue;
            for (std::int64_t row = j; row < j + lanes; ++row) {
                if (!(s[row] <= limit)) continue;
                asked.nearest.addPoint(
                    detail::squared_distance(query.data(), rows().row(first + row).data(), rows().width()),
                    static_cast<std::size_t>(first + row));
                limit = asked.limit(panels_->scale);
            }
        }
    }
    std::span<const double> query_of(std::span<const double> query, std::int64_t i) const {
        return query.subspan(static_cast<std::size_t>(i) * rows().width(), rows().width());
    }

    std::shared_ptr<const detail::RowPanels> panels_ = std::make_shared<const detail::RowPanels>();
};

}  // namespace roars
