#pragma once

/// A k-d tree is there where nanoflann (Debian: libnanoflann-dev) is installed, unless ROARS_NO_NANOFLANN is defined.
#if !defined(ROARS_NO_NANOFLANN) && __has_include(<nanoflann.hpp>)
#define ROARS_NANOFLANN 1

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nanoflann.hpp>
#include <span>
#include <utility>
#include <vector>

#include "roars/backend.hpp"
#include "roars/primitives/stored_rows.hpp"

namespace roars {

/// Searches in a k-d tree, in double. The rows are shared by its copies and never change. The best in few columns: in
/// many, most of the tree is as near as the nearest row.
class TreeSearch {
public:
    TreeSearch() = default;
    /// Shapes: rows [rows, width], row by row. Errors: a number that is not finite, or 1e150 and more.
    TreeSearch(std::vector<double> rows, std::int64_t width)
        : tree_(std::make_shared<const Indexed>(std::move(rows), width)) {}

    const detail::StoredRows& rows() const { return tree_->source.rows; }

    /// Of queries that have been checked.
    void find(backend::Host& backend, std::span<const double> query, std::int64_t k, std::span<Neighbour> found) const {
        parallel_for(backend, std::ssize(found), [&](std::int64_t i) {
            detail::KNearest nearest(k);
            tree_->index->findNeighbors(nearest, query.data() + i * std::int64_t(rows().width()), {});
            found[static_cast<std::size_t>(i)] = nearest.last();
        });
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

}  // namespace roars

#else
#define ROARS_NANOFLANN 0
#endif
