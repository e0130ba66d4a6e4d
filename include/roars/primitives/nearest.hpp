#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/backend.hpp"
#include "roars/error.hpp"

/// A k-d tree is used where nanoflann (Debian: libnanoflann-dev) is installed, unless ROARS_NO_NANOFLANN is defined.
/// Without it every search looks at every row. Both find the same rows.
#if !defined(ROARS_NO_NANOFLANN) && __has_include(<nanoflann.hpp>)
#define ROARS_NANOFLANN 1
#include <nanoflann.hpp>
#else
#define ROARS_NANOFLANN 0
#endif

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

}  // namespace detail

/// Searches by looking at every row. The rows are shared by its copies and never change.
class BruteForceSearch {
public:
    BruteForceSearch() = default;
    /// Shapes: rows [rows, width], row by row. Errors: a number that is not finite, or 1e150 and more.
    BruteForceSearch(std::vector<double> rows, std::int64_t width)
        : rows_(std::make_shared<const detail::StoredRows>(std::move(rows), width)) {}

    const detail::StoredRows& rows() const { return *rows_; }

    /// The k-th nearest row of one query that has been checked.
    Neighbour find(std::span<const double> query, std::int64_t k) const {
        detail::KNearest nearest(k);
        for (std::int64_t i = 0; i < rows_->count(); ++i)
            nearest.addPoint(detail::squared_distance(query.data(), rows_->row(i).data(), rows_->width()),
                             static_cast<std::size_t>(i));
        return nearest.last();
    }

private:
    std::shared_ptr<const detail::StoredRows> rows_ = std::make_shared<const detail::StoredRows>();
};

#if ROARS_NANOFLANN
/// Searches in a k-d tree: the same rows as BruteForceSearch finds, ties included.
class TreeSearch {
public:
    TreeSearch() = default;
    TreeSearch(std::vector<double> rows, std::int64_t width)
        : tree_(std::make_shared<const Indexed>(std::move(rows), width)) {}

    const detail::StoredRows& rows() const { return tree_->source.rows; }

    Neighbour find(std::span<const double> query, std::int64_t k) const {
        detail::KNearest nearest(k);
        tree_->index->findNeighbors(nearest, query.data(), {});
        return nearest.last();
    }

private:
    struct Source {
        detail::StoredRows rows;
        std::size_t kdtree_get_point_count() const { return static_cast<std::size_t>(rows.count()); }
        double kdtree_get_pt(std::size_t i, std::size_t column) const {
            return rows.row(static_cast<std::int64_t>(i))[column];
        }
        template <class Box>
        bool kdtree_get_bbox(Box&) const {
            return false;
        }
    };
    struct Metric {
        using ElementType = double;
        using DistanceType = double;
        const Source& source;
        explicit Metric(const Source& rows) : source(rows) {}
        double evalMetric(const double* query, std::size_t i, std::size_t width) const {
            return detail::squared_distance(query, source.rows.row(static_cast<std::int64_t>(i)).data(), width);
        }
        template <class A, class B>
        double accum_dist(A a, B b, std::size_t) const {
            return (a - b) * (a - b);
        }
    };
    using Index = nanoflann::KDTreeSingleIndexAdaptor<Metric, Source, -1, std::size_t>;
    struct Indexed {
        Indexed() = default;
        Indexed(std::vector<double> values, std::int64_t width) : source{detail::StoredRows(std::move(values), width)} {
            if (source.rows.count() == 0) return;
            index = std::make_unique<Index>(int(source.rows.width()), source);
            if constexpr (NANOFLANN_VERSION < 0x140) index->buildIndex();  // later ones build at once
        }
        Source source;
        std::unique_ptr<Index> index;
    };

    std::shared_ptr<const Indexed> tree_ = std::make_shared<const Indexed>();
};
using NearestSearch = TreeSearch;
#else
using NearestSearch = BruteForceSearch;
#endif

/// found_i = the k-th nearest stored row of query i, k = 1 the nearest, in Euclidean distance; of rows at the same
/// distance the lower index comes first. Shapes: query [queries, width], found [queries]. Errors: no rows, k outside
/// [1, rows], a width that differs, a number that is not finite.
template <class Search>
void nearest_rows(backend::Host& backend, const Search& search, std::span<const double> query, std::int64_t k,
                  std::span<Neighbour> found) {
    const detail::StoredRows& rows = search.rows();
    rows.check_search(query, k);
    expect(found.size() == query.size() / rows.width(), [&] {
        return "nearest neighbour: room for " + std::to_string(found.size()) + " answers, expected " +
               std::to_string(query.size() / rows.width());
    });
    parallel_for(backend, std::ssize(found), [&](std::int64_t i) {
        found[static_cast<std::size_t>(i)] =
            search.find(query.subspan(static_cast<std::size_t>(i) * rows.width(), rows.width()), k);
    });
}

}  // namespace roars
