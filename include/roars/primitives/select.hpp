#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/primitives/segments.hpp"

#include <thrust/execution_policy.h>
#include <thrust/scan.h>

namespace roars {

/// The indices i with keep[i] != 0, in increasing order. Shapes: keep [elements].
template <class Flag>
std::vector<std::int64_t> selected_indices(backend::Host& backend, std::span<Flag> keep) {
    auto count = static_cast<std::int64_t>(keep.size());
    std::vector<std::int64_t> kept_before(keep.size() + 1, 0);
    parallel_for(backend, count, [&](std::int64_t i) {
        kept_before[static_cast<std::size_t>(i) + 1] = keep[static_cast<std::size_t>(i)] != Flag(0) ? 1 : 0;
    });
    thrust::inclusive_scan(detail::on_host(), kept_before.data(), kept_before.data() + kept_before.size(),
                           kept_before.data());
    std::vector<std::int64_t> index(static_cast<std::size_t>(kept_before.back()));
    parallel_for(backend, count, [&](std::int64_t i) {
        auto place = static_cast<std::size_t>(i);
        if (keep[place] != Flag(0)) index[static_cast<std::size_t>(kept_before[place])] = i;
    });
    return index;
}

/// Segments that stay: new segment i is the old segments[i], with its elements now at [offsets[i], offsets[i + 1]).
struct Selection {
    std::vector<std::int64_t> segments;
    std::vector<std::int64_t> offsets;

    std::int64_t elements() const { return offsets.back(); }
};

/// The segments in any order, also one several times. Errors: a segment that does not exist.
inline Selection select_segments(Offsets offsets, std::vector<std::int64_t> segments) {
    Selection selection{std::move(segments), {0}};
    selection.offsets.reserve(selection.segments.size() + 1);
    for (std::int64_t segment : selection.segments) {
        expect(segment >= 0 && segment < segment_count(offsets), [&] {
            return "segment " + std::to_string(segment) + " selected of " + std::to_string(segment_count(offsets));
        });
        auto i = static_cast<std::size_t>(segment);
        selection.offsets.push_back(selection.offsets.back() + offsets[i + 1] - offsets[i]);
    }
    return selection;
}

/// The segments with keep != 0, in their order. Shapes: keep [segments].
template <class Flag>
Selection select_segments(backend::Host& backend, Offsets offsets, std::span<Flag> keep) {
    detail::expect_size("keep", keep.size(), segment_count(offsets));
    return select_segments(offsets, selected_indices(backend, keep));
}

/// y = the elements of the selected segments, one after another. Shapes: x [elements] -> y [selection.elements()].
template <class T, class Out>
void gather_segments(backend::Host& backend, Offsets offsets, const Selection& selection, std::span<T> x,
                     std::span<Out> y) {
    detail::expect_covered("x", x.size(), offsets);
    detail::expect_size("y", y.size(), selection.elements());
    detail::ChunkedSegments(backend, selection.offsets).for_each(backend, [&](const detail::Chunk& chunk) {
        auto i = static_cast<std::size_t>(chunk.segment);
        std::int64_t from = offsets[static_cast<std::size_t>(selection.segments[i])] - selection.offsets[i];
        std::copy(x.begin() + from + chunk.begin, x.begin() + from + chunk.end, y.begin() + chunk.begin);
    });
}

/// y_i = x[index_i]. Shapes: index -> y. Errors: sizes that differ.
template <class T, class Index, class Out>
void gather(backend::Host& backend, std::span<T> x, std::span<Index> index, std::span<Out> y) {
    detail::expect_size("y", y.size(), static_cast<std::int64_t>(index.size()));
    parallel_pieces(backend, static_cast<std::int64_t>(index.size()),
                    [&](std::int64_t, std::int64_t begin, std::int64_t end) {
                        for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
                            y[i] = static_cast<Out>(x[static_cast<std::size_t>(index[i])]);
                    });
}

}  // namespace roars
