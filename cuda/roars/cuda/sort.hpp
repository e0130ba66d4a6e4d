#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "roars/cuda/scan.hpp"
#include "roars/primitives/sort.hpp"

/// Orders, choices and places on a device. A device brings sort_pairs, a stable sort of 64-bit keys with their places
/// (CUB in cub.cuh); the order of a key, and that of a segment before it, is in the key's bits.
namespace roars::gpu {

namespace detail {

/// Bits whose order as a whole number is that of the keys: NaN last, -0 and 0 equal.
template <class Order, class Key>
ROARS_FN auto sortable(Key key) {
    using Bits = std::conditional_t<sizeof(Key) == 8, std::uint64_t, std::uint32_t>;
    constexpr Bits sign = Bits(1) << (8 * sizeof(Key) - 1);
    static_assert(std::is_same_v<Order, Ascending> || std::is_same_v<Order, Descending>);
    Bits bits;
    if constexpr (std::is_floating_point_v<Key>) {
        if (key != key) return ~Bits(0);
        bits = std::bit_cast<Bits>(key + Key(0));
        bits = bits & sign ? ~bits : bits | sign;
    } else {
        bits = static_cast<Bits>(key);
        if constexpr (std::is_signed_v<Key>) bits ^= sign;
    }
    return std::is_same_v<Order, Ascending> ? bits : static_cast<Bits>(~bits);
}

ROARS_FN constexpr int bits_of(std::int64_t count) {
    int bits = 0;
    while (bits < 63 && (std::int64_t{1} << bits) < count) ++bits;
    return bits;
}

/// key_i = the segment of i and the order of its key, in 64 bits.
template <class Order, class Key>
struct KeyWithSegment {
    const Key* keys;
    std::uint64_t* to;
    std::int64_t* place;
    ROARS_FN void operator()(std::int64_t segment, std::int64_t i) const {
        to[i] = static_cast<std::uint64_t>(segment) << 32 | sortable<Order>(keys[i]);
        place[i] = i;
    }
};
template <class Order, class Key>
struct KeyAlone {
    const Key* keys;
    std::uint64_t* to;
    std::int64_t* place;
    ROARS_FN void operator()(std::int64_t i) const {
        to[i] = sortable<Order>(keys[i]);
        place[i] = i;
    }
};
struct SegmentOfPlace {
    Segments segments;
    const std::int64_t* place;
    std::uint64_t* to;
    ROARS_FN void operator()(std::int64_t i) const { to[i] = static_cast<std::uint64_t>(segments.owner(place[i])); }
};

}  // namespace detail

/// permutation[p] = the index of the key that comes to place p; stable. Keys: numbers of 32 or 64 bits. Shapes:
/// [elements].
template <class Order = Ascending, class D, class Key>
void stable_argsort(D& device, const Key* keys, std::int64_t count, std::int64_t* permutation) {
    if (count == 0) return;
    Frame<D> frame(device);
    auto* key = frame.template take<std::uint64_t>(count);
    auto* place = frame.template take<std::int64_t>(count);
    for_each(device, count, detail::KeyAlone<Order, Key>{keys, key, place});
    sort_pairs(device, key, place, permutation, count, static_cast<int>(8 * sizeof(Key)));
}

/// The same within each segment: permutation[p], for p of segment i, is an index (into all of keys) of segment i.
template <class Order = Ascending, class D, class Key>
void segmented_argsort(D& device, const Segments& segments, const Key* keys, std::int64_t* permutation) {
    std::int64_t count = segments.elements;
    if (count == 0) return;
    Frame<D> frame(device);
    auto* key = frame.template take<std::uint64_t>(count);
    auto* place = frame.template take<std::int64_t>(count);
    int bits = detail::bits_of(segments.segments);
    if (sizeof(Key) == 4 && bits <= 32) {
        segmented_for_each(device, segments, detail::KeyWithSegment<Order, Key>{keys, key, place});
        return sort_pairs(device, key, place, permutation, count, 32 + bits);
    }
    // By key first and then, keeping that order, by segment.
    auto* sorted = frame.template take<std::int64_t>(count);
    for_each(device, count, detail::KeyAlone<Order, Key>{keys, key, place});
    sort_pairs(device, key, place, sorted, count, static_cast<int>(8 * sizeof(Key)));
    for_each(device, count, detail::SegmentOfPlace{segments, sorted, key});
    sort_pairs(device, key, sorted, permutation, count, bits);
}

namespace detail {
struct FirstOfSegment {
    Segments segments;
    std::int64_t most;
    const std::int64_t* permutation;
    std::int64_t* index;
    ROARS_FN void operator()(std::int64_t i) const {
        std::int64_t segment = i / most, at = segments.begin(segment) + i % most;
        index[i] = at < segments.end(segment) ? permutation[at] : -1;
    }
};
struct CountFlags {
    const std::int64_t* before;
    std::int64_t count;
    std::int64_t* total;
    ROARS_FN void operator()(std::int64_t) const { *total = count > 0 ? before[count - 1] : 0; }
};
template <class Flag>
struct FlagStep {
    const Flag* keep;
    std::int64_t* upto;
    ROARS_FN Affine<double> operator()(std::int64_t i) const { return {1.0, keep[i] != Flag(0) ? 1.0 : 0.0}; }
    ROARS_FN void operator()(std::int64_t i, double value) const { upto[i] = static_cast<std::int64_t>(value); }
};
template <class Flag>
struct ScatterFlags {
    const Flag* keep;
    const std::int64_t* upto;
    std::int64_t* index;
    ROARS_FN void operator()(std::int64_t i) const {
        if (keep[i] != Flag(0)) index[upto[i] - 1] = i;
    }
};
}  // namespace detail

/// index[i most + j] = the j-th best element of segment i in the order, ties by lowest index; -1 where the segment has
/// fewer. Shapes: keys [elements] -> index [segments x most].
template <class Order = Descending, class D, class Key>
void segmented_top_k(D& device, const Segments& segments, const Key* keys, std::int64_t most, std::int64_t* index) {
    expect(most >= 0, [&] { return "top-k with k = " + std::to_string(most) + ", expected 0 or more"; });
    Frame<D> frame(device);
    auto* permutation = frame.template take<std::int64_t>(segments.elements);
    segmented_argsort<Order>(device, segments, keys, permutation);
    for_each(device, segments.segments * most, detail::FirstOfSegment{segments, most, permutation, index});
}

/// The indices i with keep[i] != 0, in increasing order, and how many. Shapes: keep [count] -> index [count or as many
/// as there are], total [1], on the device.
template <class D, class Flag>
void selected_indices(D& device, const Flag* keep, std::int64_t count, std::int64_t* index, std::int64_t* total) {
    Frame<D> frame(device);
    auto* upto = frame.template take<std::int64_t>(count);
    auto* ends = frame.template take<std::int64_t>(2);
    detail::FlagStep<Flag> step{keep, upto};
    segmented_affine_forward(device, whole(device, count, ends), step, step);
    for_each(device, count, detail::ScatterFlags<Flag>{keep, upto, index});
    for_each(device, 1, detail::CountFlags{upto, count, total});
}

namespace detail {
template <class T, class Out>
struct Gather {
    const T* x;
    const std::int64_t* index;
    Out* y;
    ROARS_FN void operator()(std::int64_t i) const { y[i] = static_cast<Out>(x[index[i]]); }
};
}  // namespace detail

/// y_i = x[index_i]. Shapes: index -> y [count].
template <class D, class T, class Out>
void gather(D& device, const T* x, const std::int64_t* index, std::int64_t count, Out* y) {
    for_each(device, count, detail::Gather<T, Out>{x, index, y});
}

}  // namespace roars::gpu
