#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "roars/primitives/segments.hpp"

#include <thrust/execution_policy.h>
#include <thrust/sequence.h>
#include <thrust/sort.h>

namespace roars {

/// The order of a sort. NaN comes last in both; equal keys keep the order they came in.
struct Ascending {
    template <class Key>
    ROARS_FN constexpr bool operator()(const Key& a, const Key& b) const {
        return a < b || (a == a && b != b);
    }
};
struct Descending {
    template <class Key>
    ROARS_FN constexpr bool operator()(const Key& a, const Key& b) const {
        return b < a || (a == a && b != b);
    }
};

namespace detail {

/// The first of [low, high) where `before` does not hold, which it does up to somewhere and not behind; high if there
/// is none.
template <class Before>
ROARS_FN std::int64_t end_of(std::int64_t low, std::int64_t high, const Before& before) {
    while (low < high) {
        std::int64_t middle = low + (high - low) / 2;
        if (before(middle))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/// A strict order of indices: by key, then by index. Under it every sort is stable and every answer unique.
template <class Key, class Order>
auto by_key(std::span<Key> keys, Order order) {
    return [keys, order](std::int64_t a, std::int64_t b) {
        auto &left = keys[static_cast<std::size_t>(a)], &right = keys[static_cast<std::size_t>(b)];
        return order(left, right) || (!order(right, left) && a < b);
    };
}

}  // namespace detail

/// permutation[p] = the index of the key that comes to place p; stable. Shapes: keys -> permutation [elements].
template <class Order = Ascending, class Key>
void stable_argsort(backend::Host&, std::span<Key> keys, std::span<std::int64_t> permutation, Order order = {}) {
    detail::expect_size("permutation", permutation.size(), static_cast<std::int64_t>(keys.size()));
    thrust::sequence(detail::on_host(), permutation.data(), permutation.data() + permutation.size());
    thrust::stable_sort(detail::on_host(), permutation.data(), permutation.data() + permutation.size(),
                        detail::by_key(keys, order));
}

/// The same within each segment: permutation[p], for p in [offsets[i], offsets[i + 1]), is an index (into all of keys)
/// of segment i. Indices of no segment stay as they are.
template <class Order = Ascending, class Key>
void segmented_argsort(backend::Host& backend, Offsets offsets, std::span<Key> keys,
                       std::span<std::int64_t> permutation, Order order = {}) {
    detail::expect_covered("keys", keys.size(), offsets);
    detail::expect_size("permutation", permutation.size(), static_cast<std::int64_t>(keys.size()));
    auto before = detail::by_key(keys, order);
    detail::ChunkedSegments chunks(backend, offsets);
    chunks.for_each(backend, [&](const detail::Chunk& chunk) {
        auto begin = permutation.begin() + chunk.begin, end = permutation.begin() + chunk.end;
        std::iota(begin, end, chunk.begin);
        if (chunk.first && chunk.last) std::sort(begin, end, before);
    });
    // A long segment is sorted by all threads at once.
    for (std::int64_t i = 0; i < segment_count(offsets); ++i) {
        std::int64_t begin = offsets[static_cast<std::size_t>(i)], end = offsets[static_cast<std::size_t>(i) + 1];
        if (end - begin > backend.grain)
            thrust::stable_sort(detail::on_host(), permutation.data() + begin, permutation.data() + end, before);
    }
}

/// Chosen elements of each segment: those of segment i are index[offsets[i]] .. index[offsets[i + 1] - 1].
struct SegmentedIndices {
    std::vector<std::int64_t> offsets;
    std::vector<std::int64_t> index;
};

/// The first `count` elements of each segment in the order (all of a shorter one), best first, ties by lowest index.
template <class Order = Descending, class Key>
SegmentedIndices segmented_top_k(backend::Host& backend, Offsets offsets, std::span<Key> keys, std::int64_t count,
                                 Order order = {}) {
    detail::expect_covered("keys", keys.size(), offsets);
    expect(count >= 0, [&] { return "top-k with k = " + std::to_string(count) + ", expected 0 or more"; });
    std::int64_t segments = segment_count(offsets);
    SegmentedIndices top;
    top.offsets.assign(static_cast<std::size_t>(segments) + 1, 0);
    for (std::size_t i = 0; i < static_cast<std::size_t>(segments); ++i)
        top.offsets[i + 1] = top.offsets[i] + std::min(count, offsets[i + 1] - offsets[i]);
    top.index.resize(static_cast<std::size_t>(top.offsets.back()));
    auto before = detail::by_key(keys, order);
    parallel_for(backend, segments, [&](std::int64_t segment) {
        auto i = static_cast<std::size_t>(segment);
        std::vector<std::int64_t> candidates(static_cast<std::size_t>(offsets[i + 1] - offsets[i]));
        std::iota(candidates.begin(), candidates.end(), offsets[i]);
        std::int64_t kept = top.offsets[i + 1] - top.offsets[i];
        std::partial_sort(candidates.begin(), candidates.begin() + kept, candidates.end(), before);
        std::copy_n(candidates.begin(), kept, top.index.begin() + top.offsets[i]);
    });
    return top;
}

}  // namespace roars
