#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "roars/backend.hpp"
#include "roars/error.hpp"
#include "roars/primitives/product_search.hpp"
#include "roars/primitives/stored_rows.hpp"
#include "roars/primitives/tree_search.hpp"

namespace roars {

#if ROARS_NANOFLANN
/// A tree in few columns, matrix products in more: both find the same rows. Among 50,000 normal rows the products are
/// the faster ones from 5 columns on where no row is near, from 6 on where one is (docs/methods/prdc.md).
class NearestSearch {
public:
    static constexpr std::int64_t widest_tree = 4;

    NearestSearch() = default;
    /// Shapes: rows [rows, width], row by row. Errors: a number that is not finite, or 1e150 and more.
    NearestSearch(std::vector<double> rows, std::int64_t width) {
        if (width > widest_tree)
            search_ = ProductSearch(std::move(rows), width);
        else
            search_ = TreeSearch(std::move(rows), width);
    }

    const detail::StoredRows& rows() const {
        return std::visit([](const auto& search) -> const detail::StoredRows& { return search.rows(); }, search_);
    }
    void find(backend::Host& backend, std::span<const double> query, std::int64_t k, std::span<Neighbour> found) const {
        std::visit([&](const auto& search) { search.find(backend, query, k, found); }, search_);
    }

private:
    std::variant<TreeSearch, ProductSearch> search_;
};
#else
using NearestSearch = ProductSearch;
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
    search.find(backend, query, k, found);
}

}  // namespace roars
