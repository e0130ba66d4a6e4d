#pragma once

#include <cstdint>
#include <span>

#include "roars/primitives/segments.hpp"

namespace roars {

/// body(segment, element) for every element of every segment, in parallel and in no order.
template <class Body>
void segmented_for_each(backend::Host& backend, Offsets offsets, Body&& body) {
    detail::ChunkedSegments(backend, offsets).for_each(backend, [&](const detail::Chunk& chunk) {
        for (std::int64_t i = chunk.begin; i < chunk.end; ++i) body(chunk.segment, i);
    });
}

/// y_i = map(segment of i, i). Shapes: y [elements]; elements of no segment are left as they are.
template <class Map, class Out>
void segmented_transform(backend::Host& backend, Offsets offsets, std::span<Out> y, Map&& map) {
    detail::expect_covered("y", y.size(), offsets);
    segmented_for_each(backend, offsets, [&](std::int64_t segment, std::int64_t i) {
        y[static_cast<std::size_t>(i)] = static_cast<Out>(map(segment, i));
    });
}

/// y_i = values[segment of i]. Shapes: values [segments] -> y [elements].
template <class T, class Out>
void segmented_broadcast(backend::Host& backend, Offsets offsets, std::span<T> values, std::span<Out> y) {
    detail::expect_size("values", values.size(), segment_count(offsets));
    segmented_transform(backend, offsets, y,
                        [&](std::int64_t segment, std::int64_t) { return values[static_cast<std::size_t>(segment)]; });
}

/// y_i = the segment of i. Shapes: y [elements].
template <class Out>
void segment_of_element(backend::Host& backend, Offsets offsets, std::span<Out> y) {
    segmented_transform(backend, offsets, y, [](std::int64_t segment, std::int64_t) { return segment; });
}

}  // namespace roars
