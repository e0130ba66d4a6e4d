#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/error.hpp"

namespace roars {

/// A stored row, and how far it is from what was asked.
struct Neighbour {
    std::int64_t index = -1;
    double distance = 0.0;  ///< Euclidean
};

namespace detail {

/// One after another in double: equal rows have equal distances, whoever computes them.
inline double squared_distance(const double* a, const double* b, std::size_t width) {
    double sum = 0.0;
    for (std::size_t i = 0; i < width; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

/// The k smallest (squared distance, index), smallest first: of equal distances the lower index. Also the result set of
/// a nanoflann search.
class KNearest {
public:
    using DistanceType = double;

    explicit KNearest(std::int64_t k) : best_(static_cast<std::size_t>(k), Entry{beyond, 0}) {}

    bool full() const { return best_.back().first < beyond; }
    void sort() {}
    bool addPoint(double distance, std::size_t index) {
        Entry entry{distance, static_cast<std::int64_t>(index)};
        if (!(entry < best_.back())) return true;
        auto place = std::upper_bound(best_.begin(), best_.end(), entry);
        std::move_backward(place, best_.end() - 1, best_.end());
        *place = entry;
        return true;
    }
    /// A little more than the k-th distance, 0 included: a row as far as the k-th, or one behind a bound that was
    /// rounded up, must still be looked at.
    double worstDist() const { return best_.back().first * (1.0 + 1e-9) + std::numeric_limits<double>::min(); }

    Neighbour last() const { return {best_.back().second, std::sqrt(best_.back().first)}; }

private:
    using Entry = std::pair<double, std::int64_t>;
    static constexpr double beyond = std::numeric_limits<double>::max();
    std::vector<Entry> best_;
};

/// Rows in double, checked: finite, and small enough that a squared distance is finite.
class StoredRows {
public:
    StoredRows() = default;
    StoredRows(std::vector<double> rows, std::int64_t width)
        : rows_(std::move(rows)), width_(static_cast<std::size_t>(width)) {
        expect(width > 0 && rows_.size() % width_ == 0, [&] {
            return "nearest neighbour: " + std::to_string(rows_.size()) + " numbers, expected rows of " +
                   std::to_string(width);
        });
        for (std::int64_t i = 0; i < count(); ++i) check("row", i, row(i));
    }
    std::int64_t count() const { return width_ ? std::ssize(rows_) / std::int64_t(width_) : 0; }
    std::size_t width() const { return width_; }
    std::span<const double> row(std::int64_t i) const {
        return std::span(rows_).subspan(static_cast<std::size_t>(i) * width_, width_);
    }
    void check_search(std::span<const double> queries, std::int64_t k) const {
        expect(count() > 0, "nearest neighbour: there are no rows to search, expected at least one");
        expect(k >= 1 && k <= count(), [&] {
            return "nearest neighbour: k is " + std::to_string(k) + ", expected 1 to " + std::to_string(count()) +
                   ", the number of rows";
        });
        expect(queries.size() % width_ == 0, [&] {
            return "nearest neighbour: " + std::to_string(queries.size()) +
                   " numbers are asked for, expected rows of " + std::to_string(width_);
        });
        for (std::size_t i = 0; i < queries.size() / width_; ++i)
            check("query", static_cast<std::int64_t>(i), queries.subspan(i * width_, width_));
    }

private:
    static void check(const char* what, std::int64_t index, std::span<const double> values) {
        for (std::size_t i = 0; i < values.size(); ++i)
            expect(std::abs(values[i]) < 1e150, [&] {
                return std::string("nearest neighbour: ") + what + ' ' + std::to_string(index) + ", column " +
                       std::to_string(i) + " is " + std::to_string(values[i]) +
                       ", expected a finite number below 1e150, whose square is finite too";
            });
    }

    std::vector<double> rows_;
    std::size_t width_ = 0;
};

/// The k-th nearest row of one query, by looking at every row.
inline Neighbour look_at_every_row(const StoredRows& rows, std::span<const double> query, std::int64_t k) {
    KNearest nearest(k);
    for (std::int64_t i = 0; i < rows.count(); ++i)
        nearest.addPoint(squared_distance(query.data(), rows.row(i).data(), rows.width()), static_cast<std::size_t>(i));
    return nearest.last();
}

}  // namespace detail

}  // namespace roars
