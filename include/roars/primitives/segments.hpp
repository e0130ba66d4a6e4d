#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "roars/backend.hpp"
#include "roars/error.hpp"

namespace roars {

/// Offsets of segments: segment i owns the elements [offsets[i], offsets[i + 1]). Offsets do not decrease; empty
/// segments may stand anywhere; n segments have n + 1 offsets, and no offsets at all mean no segments.
using Offsets = std::span<const std::int64_t>;

inline std::int64_t segment_count(Offsets offsets) {
    return offsets.empty() ? 0 : static_cast<std::int64_t>(offsets.size()) - 1;
}

namespace detail {

/// The optional mask of a primitive: values of any number type, 0 = the element is not there (whatever it holds, NaN
/// too). An empty span selects everything.
template <class Flag>
struct Selected {
    std::span<Flag> flags;
    bool all = flags.empty();

    bool operator()(std::int64_t i) const { return all || flags[static_cast<std::size_t>(i)] != Flag(0); }
};

/// What a sum of T is kept in: double for real numbers, 64 bits for whole ones.
template <class T>
using Wide = std::conditional_t<std::is_integral_v<std::remove_cv_t<T>>, std::int64_t, double>;

/// Errors: `what` has `size` values where `expected` were expected.
inline void expect_size(const char* what, std::size_t size, std::int64_t expected) {
    expect(static_cast<std::int64_t>(size) == expected, [&] {
        return std::string(what) + " has " + std::to_string(size) + " values, expected " + std::to_string(expected);
    });
}
/// Errors: the offsets reach beyond the elements of `what`, or begin below 0.
inline void expect_covered(const char* what, std::size_t size, Offsets offsets) {
    if (offsets.empty()) return;
    expect(
        offsets.front() >= 0 && offsets.front() <= offsets.back() && offsets.back() <= static_cast<std::int64_t>(size),
        [&] {
            return std::string(what) + " has " + std::to_string(size) + " values, but the offsets cover [" +
                   std::to_string(offsets.front()) + ", " + std::to_string(offsets.back()) + ")";
        });
}
template <class Flag>
void expect_mask(std::span<Flag> mask, std::size_t elements) {
    if (!mask.empty()) expect_size("mask", mask.size(), static_cast<std::int64_t>(elements));
}

/// A stretch of one segment of at most `grain` elements, cut from the segment's own start, so that what is computed of
/// a segment does not depend on its neighbours.
struct Chunk {
    std::int64_t segment, begin, end;
    bool first, last;   ///< of its segment; both for a segment in one chunk
    std::int64_t slot;  ///< a place of its own for a chunk of a segment that has several
};

/// The elements are divided into windows of `grain`; the thread that has a window works on the chunks that start in it,
/// so that many short segments and one huge one are both spread evenly. At most two of them belong to segments of
/// several chunks: one that continues (slot 2 w) and one that opens (slot 2 w + 1).
class ChunkedSegments {
public:
    ChunkedSegments(const backend::Host& backend, Offsets offsets)
        : offsets_(offsets), segments_(segment_count(offsets)), grain_(std::max<std::int64_t>(backend.grain, 1)) {
        origin_ = segments_ > 0 ? offsets.front() : 0;
        std::int64_t elements = segments_ > 0 ? offsets.back() - origin_ : 0;
        windows_ = segments_ > 0 ? std::max<std::int64_t>((elements + grain_ - 1) / grain_, 1) : 0;
    }

    std::int64_t slots() const { return 2 * windows_; }

    /// Calls body(chunk) for every chunk, in parallel, an empty segment being one empty chunk.
    template <class Body>
    void for_each(backend::Host& backend, Body&& body) const {
        parallel_for(backend, windows_, [&](std::int64_t window) {
            std::int64_t segment = first_from(low(window));
            continuing(window, segment - 1, body);
            std::int64_t high = window + 1 == windows_ ? std::numeric_limits<std::int64_t>::max() : low(window + 1);
            for (; segment < segments_ && at(segment) < high; ++segment)
                body(cut(segment, at(segment), 2 * window + 1));
        });
    }

    /// Calls body(chunk) for every chunk of the segments that have several, in parallel.
    template <class Body>
    void for_each_of_long(backend::Host& backend, Body&& body) const {
        parallel_for(backend, windows_, [&](std::int64_t window) {
            continuing(window, first_from(low(window)) - 1, body);
            std::int64_t segment = opened(window);
            if (segment >= 0) body(cut(segment, at(segment), 2 * window + 1));
        });
    }

    /// Calls body(segment, first slot, slot of chunk 1, chunks) for every segment of several chunks, in parallel. Chunk
    /// k > 1 has the slot of chunk 1 plus 2 (k - 1).
    template <class Body>
    void for_each_long(backend::Host& backend, Body&& body) const {
        parallel_for(backend, windows_, [&](std::int64_t window) {
            std::int64_t segment = opened(window);
            if (segment < 0) return;
            std::int64_t length = at(segment + 1) - at(segment);
            body(segment, 2 * window + 1, 2 * window + 2, (length + grain_ - 1) / grain_);
        });
    }

private:
    std::int64_t at(std::int64_t i) const { return offsets_[static_cast<std::size_t>(i)]; }
    std::int64_t low(std::int64_t window) const { return origin_ + window * grain_; }
    /// The first segment that starts at `element` or after it.
    std::int64_t first_from(std::int64_t element) const {
        return std::lower_bound(offsets_.begin(), offsets_.end() - 1, element) - offsets_.begin();
    }
    /// The segment of several chunks that starts in the window, -1 if none does. It is the last one to start there.
    std::int64_t opened(std::int64_t window) const {
        std::int64_t segment = first_from(low(window + 1)) - 1;
        bool is_long = segment >= 0 && at(segment) >= low(window) && at(segment + 1) - at(segment) > grain_;
        return is_long ? segment : -1;
    }
    /// The chunk of `segment`, which starts before the window, that starts in it, if there is one.
    template <class Body>
    void continuing(std::int64_t window, std::int64_t segment, Body& body) const {
        if (segment < 0) return;
        std::int64_t begin = at(segment);
        begin += (low(window) - begin + grain_ - 1) / grain_ * grain_;
        if (begin < at(segment + 1)) body(cut(segment, begin, 2 * window));
    }
    Chunk cut(std::int64_t segment, std::int64_t begin, std::int64_t slot) const {
        std::int64_t end = at(segment + 1);
        bool last = end - begin <= grain_;
        return {segment, begin, last ? end : begin + grain_, begin == at(segment), last, slot};
    }

    Offsets offsets_;
    std::int64_t segments_, grain_, origin_, windows_;
};

/// finish(segment, state) for every segment, where the state of a chunk is summarise(begin, end) and the states of the
/// chunks of a segment are combined from left to right.
template <class Summarise, class Combine, class Finish>
void segmented_reduce(backend::Host& backend, Offsets offsets, Summarise&& summarise, Combine&& combine,
                      Finish&& finish) {
    using State = std::decay_t<std::invoke_result_t<Summarise, std::int64_t, std::int64_t>>;
    ChunkedSegments chunks(backend, offsets);
    std::vector<State> partial(static_cast<std::size_t>(chunks.slots()));
    chunks.for_each(backend, [&](const Chunk& chunk) {
        if (chunk.first && chunk.last)
            finish(chunk.segment, summarise(chunk.begin, chunk.end));
        else
            partial[static_cast<std::size_t>(chunk.slot)] = summarise(chunk.begin, chunk.end);
    });
    chunks.for_each_long(backend,
                         [&](std::int64_t segment, std::int64_t opening, std::int64_t continuing, std::int64_t count) {
                             State state = partial[static_cast<std::size_t>(opening)];
                             for (std::int64_t k = 1; k < count; ++k)
                                 state = combine(state, partial[static_cast<std::size_t>(continuing + 2 * (k - 1))]);
                             finish(segment, state);
                         });
}

/// Sum of value(i) over [begin, end) in eight running sums, added at the end in a fixed order.
template <class Sum, class Value>
Sum sum_over(std::int64_t begin, std::int64_t end, Value&& value) {
    constexpr std::int64_t width = 8;
    Sum sums[width] = {};
    std::int64_t i = begin;
    for (; i + width <= end; i += width)
        for (std::int64_t j = 0; j < width; ++j) sums[j] += value(i + j);
    for (std::int64_t j = 0; i < end; ++i, ++j) sums[j] += value(i);
    for (std::int64_t half = width / 2; half > 0; half /= 2)
        for (std::int64_t j = 0; j < half; ++j) sums[j] += sums[j + half];
    return sums[0];
}

}  // namespace detail
}  // namespace roars
