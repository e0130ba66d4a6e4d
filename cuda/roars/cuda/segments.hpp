#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "roars/cuda/device.hpp"
#include "roars/primitives/segmented_reduce.hpp"

/// Segments on the device: `offsets` [segments + 1] lie in its memory, and how many elements they cover is told, so
/// that nothing waits for a number. Masks may be null: every element is there.
namespace roars::gpu {

/// Segments in the device's memory, covering the elements [0, elements).
struct Segments {
    const std::int64_t* offsets = nullptr;
    std::int64_t segments = 0;
    std::int64_t elements = 0;

    ROARS_FN std::int64_t begin(std::int64_t i) const { return offsets[i]; }
    ROARS_FN std::int64_t end(std::int64_t i) const { return offsets[i + 1]; }

    /// The number of segments of [low, high) that begin at `element` or before.
    ROARS_FN std::int64_t begun(std::int64_t element, std::int64_t low, std::int64_t high) const {
        while (low < high) {
            std::int64_t middle = low + (high - low) / 2;
            if (offsets[middle] <= element)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    }
    /// The segment that owns `element`, which lies in one of [low, high).
    ROARS_FN std::int64_t owner(std::int64_t element, std::int64_t low, std::int64_t high) const {
        return begun(element, low, high) - 1;
    }
    ROARS_FN std::int64_t owner(std::int64_t element) const { return owner(element, 0, segments); }
};

namespace detail {

/// The work on segments is cut as ChunkedSegments cuts it on the host: a block has a window of `window` elements and
/// works on the chunks, of at most `window` elements, that begin in it; a chunk is cut from its segment's own start.
/// What a segment gives depends on its own elements alone; so does the number of threads that share it.
inline constexpr int window_threads = 256;
inline constexpr std::int64_t window = 4096;
/// A segment of at most `medium_above` elements has 8 threads, one of at most `large_above` 32, others the whole block.
inline constexpr std::int64_t medium_above = 64, large_above = 1024;

/// What the segments of a window say.
struct WindowOf {
    std::int64_t first, last;  ///< segments that begin in it
    std::int64_t continued;    ///< where the chunk of an earlier segment begins that continues here, -1 if none
};

ROARS_FN inline std::int64_t windows_of(const Segments& s) {
    return s.segments > 0 ? (s.elements > 0 ? pieces_of(s.elements, window) : 1) : 0;
}
ROARS_FN inline WindowOf window_at(const Segments& s, std::int64_t index) {
    std::int64_t low = index * window;
    bool open = index + 1 == windows_of(s);
    WindowOf w{s.begun(low - 1, 0, s.segments), 0, -1};
    w.last = open ? s.segments : s.begun(low + window - 1, w.first, s.segments);
    if (w.first > 0) {
        std::int64_t begin = s.begin(w.first - 1), at = begin + pieces_of(low - begin, window) * window;
        if (at < s.end(w.first - 1)) w.continued = at;
    }
    return w;
}
/// The last segment that begins in the window, where it has several chunks; else -1.
ROARS_FN inline std::int64_t opened(const Segments& s, const WindowOf& w) {
    std::int64_t segment = w.last - 1;
    return segment >= w.first && s.end(segment) - s.begin(segment) > window ? segment : -1;
}

/// finish(segment, state) for every segment; the state of a chunk is summarise(first, step, end), over every `step`-th
/// element from `first` on, of the threads that share it, combined in a tree; those of its chunks are combined from
/// left to right.
template <class State, class Summarise, class Combine, class Finish>
struct ReduceWindows {
    static constexpr int threads = window_threads;
    struct Shared {
        alignas(16) unsigned char bytes[threads * sizeof(State)];
        WindowOf at;
        unsigned medium_count, large_count;
        std::int64_t medium[window / medium_above + 2], large[window / large_above + 2];
    };
    Segments segments;
    Summarise summarise;
    Combine combine;
    Finish finish;
    State* partial;  ///< [2 windows]: of the chunk that continues into a window, and of the one that opens in it

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared& shared) const {
        auto* state = reinterpret_cast<State*>(shared.bytes);
        block.each([&](int thread) {
            if (thread > 0) return;
            shared.at = window_at(segments, block.index());
            shared.medium_count = shared.large_count = 0;
        });
        const WindowOf w = block.read(shared.at);
        block.each([&](int thread) {
            for (std::int64_t i = w.first + thread; i < w.last; i += threads) {
                std::int64_t size = segments.end(i) - segments.begin(i);
                if (size > large_above && size <= window) shared.large[block.add(shared.large_count, 1u)] = i;
                if (size > medium_above && size <= large_above) shared.medium[block.add(shared.medium_count, 1u)] = i;
            }
        });
        if (w.continued >= 0) {
            std::int64_t end = least(w.continued + window, segments.end(w.first - 1));
            whole_block(block, state, w.continued, end, partial + 2 * block.index());
        }
        several(block, state, 8, w.last - w.first, [&](std::int64_t k) {
            return segments.end(w.first + k) - segments.begin(w.first + k) <= medium_above ? w.first + k : -1;
        });
        several(block, state, 32, shared.medium_count, [&](std::int64_t k) { return shared.medium[k]; });
        several(block, state, threads, shared.large_count, [&](std::int64_t k) { return shared.large[k]; });
        if (std::int64_t segment = opened(segments, w); segment >= 0) {
            std::int64_t begin = segments.begin(segment);
            whole_block(block, state, begin, begin + window, partial + 2 * block.index() + 1);
        }
    }

private:
    template <class Block>
    ROARS_FN void whole_block(Block& block, State* state, std::int64_t begin, std::int64_t end, State* to) const {
        block.each([&](int thread) { state[thread] = summarise(begin + thread, threads, end); });
        reduce(block, state, combine);
        block.each([&](int thread) {
            if (thread == 0) *to = state[0];
        });
    }
    /// The segments pick(0) .. pick(count - 1), those that are not -1, `lanes` threads each.
    template <class Block, class Pick>
    ROARS_FN void several(Block& block, State* state, int lanes, std::int64_t count, Pick pick) const {
        int together = threads / lanes;
        for (std::int64_t from = 0; from < count; from += together) {
            auto mine = [&](int thread) -> std::int64_t {
                std::int64_t k = from + thread / lanes;
                return k < count ? pick(k) : -1;
            };
            block.each([&](int thread) {
                if (std::int64_t i = mine(thread); i >= 0)
                    state[thread] = summarise(segments.begin(i) + thread % lanes, lanes, segments.end(i));
            });
            for (int half = lanes / 2; half > 0; half /= 2)
                block.each([&](int thread) {
                    if (thread % lanes < half && mine(thread) >= 0)
                        state[thread] = combine(state[thread], state[thread + half]);
                });
            block.each([&](int thread) {
                if (thread % lanes > 0) return;
                if (std::int64_t i = mine(thread); i >= 0) finish(i, state[thread]);
            });
        }
    }
};

/// The chunks of the long segments, joined; a thread a window.
template <class State, class Combine, class Finish>
struct JoinWindows {
    Segments segments;
    Combine combine;
    Finish finish;
    const State* partial;

    ROARS_FN void operator()(std::int64_t index) const {
        WindowOf w = window_at(segments, index);
        std::int64_t segment = opened(segments, w);
        if (segment < 0) return;
        State state = partial[2 * index + 1];
        std::int64_t chunks = pieces_of(segments.end(segment) - segments.begin(segment), window);
        for (std::int64_t k = 1; k < chunks; ++k) state = combine(state, partial[2 * (index + k)]);
        finish(segment, state);
    }
};

template <class State, class D, class Summarise, class Combine, class Finish>
void reduce_segments(D& device, const Segments& segments, Summarise summarise, Combine combine, Finish finish) {
    std::int64_t windows = windows_of(segments);
    if (windows == 0) return;
    Frame<D> frame(device);
    auto* partial = frame.template take<State>(2 * windows);
    device.launch(windows,
                  ReduceWindows<State, Summarise, Combine, Finish>{segments, summarise, combine, finish, partial});
    if (windows > 1) for_each(device, windows, JoinWindows<State, Combine, Finish>{segments, combine, finish, partial});
}

template <class Flag>
ROARS_FN bool is_selected(const Flag* mask, std::int64_t i) {
    return mask == nullptr || mask[i] != Flag(0);
}

template <class Out>
struct StoreAt {
    Out* to;
    template <class State>
    ROARS_FN void operator()(std::int64_t segment, const State& state) const {
        to[segment] = static_cast<Out>(state);
    }
};
template <class Value, class Sum>
struct SumOver {
    Value value;
    ROARS_FN Sum operator()(std::int64_t first, std::int64_t step, std::int64_t end) const {
        Sum sum{};
        for (std::int64_t i = first; i < end; i += step) sum += value(i);
        return sum;
    }
};
template <class T, class Flag>
struct MaskedValue {
    const T* x;
    const Flag* mask;
    ROARS_FN roars::detail::Wide<T> operator()(std::int64_t i) const {
        using Sum = roars::detail::Wide<T>;
        return is_selected(mask, i) ? static_cast<Sum>(x[i]) : Sum(0);
    }
};
template <class Flag>
struct OneIfSelected {
    const Flag* mask;
    ROARS_FN std::int64_t operator()(std::int64_t i) const { return is_selected(mask, i) ? 1 : 0; }
};
template <class T, class Flag, class Before>
struct ExtremeOver {
    const T* x;
    const Flag* mask;
    T nothing;
    Before before;
    ROARS_FN T better(T best, T other) const { return before(other, best) || other != other ? other : best; }
    ROARS_FN T operator()(const T& a, const T& b) const { return better(a, b); }
    ROARS_FN T operator()(std::int64_t first, std::int64_t step, std::int64_t end) const {
        T best = nothing;
        for (std::int64_t i = first; i < end; i += step)
            if (is_selected(mask, i)) best = better(best, x[i]);
        return best;
    }
};
struct IsLess {
    template <class T>
    ROARS_FN bool operator()(const T& a, const T& b) const {
        return a < b;
    }
};
struct IsMore {
    template <class T>
    ROARS_FN bool operator()(const T& a, const T& b) const {
        return b < a;
    }
};

/// Two passes over a thread's elements, as on the host.
template <class T, class Flag>
struct MomentsOver {
    const T* x;
    const Flag* mask;
    ROARS_FN roars::detail::ShiftedMoments operator()(std::int64_t first, std::int64_t step, std::int64_t end) const {
        roars::detail::ShiftedMoments m;
        double sum = 0.0;
        for (std::int64_t i = first; i < end; i += step) {
            if (!is_selected(mask, i)) continue;
            double value = static_cast<double>(x[i]);
            if (m.count++ == 0) m.first = value;
            m.equal = m.equal && value == m.first;
            sum += value - m.first;
        }
        if (m.count == 0 || m.equal) return m;
        m.shift = sum / static_cast<double>(m.count);
        double rest = 0.0;
        for (std::int64_t i = first; i < end; i += step) {
            if (!is_selected(mask, i)) continue;
            double deviation = (static_cast<double>(x[i]) - m.first) - m.shift;
            m.m2 += deviation * deviation;
            rest += deviation;
        }
        m.m2 -= rest * rest / static_cast<double>(m.count);
        return m;
    }
};
struct CombineMoments {
    ROARS_FN roars::detail::ShiftedMoments operator()(const roars::detail::ShiftedMoments& a,
                                                      const roars::detail::ShiftedMoments& b) const {
        return roars::detail::combine_shifted(a, b);
    }
};
struct StoreMoments {
    Moments* to;
    ROARS_FN void operator()(std::int64_t segment, const roars::detail::ShiftedMoments& m) const {
        to[segment] = m.moments();
    }
};

}  // namespace detail

/// result_i = sum of value(j) over the elements j of segment i, in double (whole numbers: 64 bits). `value` is a
/// functor that the device can call. Shapes: result [segments].
template <class D, class Value, class Out>
requires std::is_invocable_v<Value, std::int64_t>
void segmented_sum_of(D& device, const Segments& segments, const Value& value, Out* result) {
    using Sum = roars::detail::Wide<std::decay_t<std::invoke_result_t<Value, std::int64_t>>>;
    detail::reduce_segments<Sum>(device, segments, detail::SumOver<Value, Sum>{value}, Plus{},
                                 detail::StoreAt<Out>{result});
}
/// result_i = sum of x over the selected elements of segment i. Shapes: x, mask [elements] -> result [segments].
template <class D, class T, class Out, class Flag = T>
void segmented_sum(D& device, const Segments& segments, const T* x, Out* result, const Flag* mask = nullptr) {
    segmented_sum_of(device, segments, detail::MaskedValue<T, Flag>{x, mask}, result);
}
/// result_i = the number of selected elements of segment i; all of them where mask is null.
template <class D, class Flag, class Out>
void segmented_count(D& device, const Segments& segments, const Flag* mask, Out* result) {
    segmented_sum_of(device, segments, detail::OneIfSelected<Flag>{mask}, result);
}
/// The least, the greatest selected element of each segment; +inf, -inf where there is none; a selected NaN wins.
template <class D, class T, class Flag = T>
void segmented_min(D& device, const Segments& segments, const T* x, T* result, const Flag* mask = nullptr) {
    detail::ExtremeOver<T, Flag, detail::IsLess> over{x, mask, roars::detail::greatest_of<T>, {}};
    detail::reduce_segments<T>(device, segments, over, over, detail::StoreAt<T>{result});
}
template <class D, class T, class Flag = T>
void segmented_max(D& device, const Segments& segments, const T* x, T* result, const Flag* mask = nullptr) {
    detail::ExtremeOver<T, Flag, detail::IsMore> over{x, mask, roars::detail::least_of<T>, {}};
    detail::reduce_segments<T>(device, segments, over, over, detail::StoreAt<T>{result});
}
/// result_i = the moments of the selected elements of segment i. Shapes: x, mask [elements] -> result [segments].
template <class D, class T, class Flag = T>
void segmented_moments(D& device, const Segments& segments, const T* x, Moments* result, const Flag* mask = nullptr) {
    detail::reduce_segments<roars::detail::ShiftedMoments>(device, segments, detail::MomentsOver<T, Flag>{x, mask},
                                                           detail::CombineMoments{}, detail::StoreMoments{result});
}

namespace detail {
struct WholeOffsets {
    std::int64_t elements;
    std::int64_t* offsets;
    ROARS_FN void operator()(std::int64_t i) const { offsets[i] = i == 0 ? 0 : elements; }
};
}  // namespace detail

/// All `elements` as one segment. `offsets` [2] receives its ends.
template <class D>
Segments whole(D& device, std::int64_t elements, std::int64_t* offsets) {
    for_each(device, 2, detail::WholeOffsets{elements, offsets});
    return {offsets, 1, elements};
}

namespace detail {

/// map(segment, i) for the elements of a tile, neighbours to neighbouring threads.
template <class Map>
struct ForEachElement {
    static constexpr int threads = 256;
    static constexpr std::int64_t tile = 2048;
    struct Shared {
        std::int64_t owner[2];
    };
    Segments segments;
    Map map;

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared& shared) const {
        std::int64_t first = block.index() * tile, last = least(first + tile, segments.elements);
        block.each([&](int thread) {
            if (thread < 2) shared.owner[thread] = segments.owner(thread == 0 ? first : last - 1);
        });
        block.each([&](int thread) {
            for (std::int64_t i = first + thread; i < last; i += threads)
                map(segments.owner(i, shared.owner[0], shared.owner[1] + 1), i);
        });
    }
};

template <class T, class Out>
struct Broadcast {
    const T* values;
    Out* to;
    ROARS_FN void operator()(std::int64_t segment, std::int64_t i) const { to[i] = static_cast<Out>(values[segment]); }
};

}  // namespace detail

/// map(segment of i, i) for every element, in no order. Offsets begin at 0.
template <class D, class Map>
void segmented_for_each(D& device, const Segments& segments, const Map& map) {
    device.launch(pieces_of(segments.elements, detail::ForEachElement<Map>::tile),
                  detail::ForEachElement<Map>{segments, map});
}
/// y_i = values[segment of i]. Shapes: values [segments] -> y [elements].
template <class D, class T, class Out>
void segmented_broadcast(D& device, const Segments& segments, const T* values, Out* y) {
    segmented_for_each(device, segments, detail::Broadcast<T, Out>{values, y});
}

}  // namespace roars::gpu
