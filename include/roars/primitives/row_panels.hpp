#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "roars/primitives/product.hpp"
#include "roars/primitives/stored_rows.hpp"

namespace roars::detail {

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

}  // namespace roars::detail
