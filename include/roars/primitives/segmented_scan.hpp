#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "roars/primitives/segments.hpp"

namespace roars {

/// The map y -> a y + b, a step of a linear recursion. a = 0 cuts: what comes in is not looked at, not even a NaN.
template <class Value = double>
struct Affine {
    Value a{1};
    Value b{};

    ROARS_FN constexpr Value operator()(Value y) const { return a == Value(0) ? b : a * y + b; }
    /// (this after inner)(y) = a (inner.a y + inner.b) + b = (a inner.a) y + (a inner.b + b): steps compose to steps,
    /// associatively, and so a long recursion can be cut into pieces.
    ROARS_FN constexpr Affine after(const Affine& inner) const {
        return {a == Value(0) ? a : a * inner.a, (*this)(inner.b)};
    }
};

namespace detail {

/// The order of a recursion within a segment.
struct Forward {
    static std::int64_t element(std::int64_t begin, std::int64_t, std::int64_t step) { return begin + step; }
    static std::int64_t chunk(std::int64_t, std::int64_t step) { return step; }
};
struct Backward {
    static std::int64_t element(std::int64_t, std::int64_t end, std::int64_t step) { return end - 1 - step; }
    static std::int64_t chunk(std::int64_t chunks, std::int64_t step) { return chunks - 1 - step; }
};
/// What is stored of a step: the value after it or the one before.
struct Inclusive {
    template <class Value>
    static Value stored(Value, Value after) {
        return after;
    }
};
struct Exclusive {
    template <class Value>
    static Value stored(Value before, Value) {
        return before;
    }
};

/// The value with which each chunk of a long segment starts, from the maps that the chunks are.
template <class Order, class Map, class Value>
void starts_between_chunks(backend::Host& backend, const ChunkedSegments& chunks, const std::vector<Map>& composed,
                           std::vector<Value>& start) {
    auto slot_of = [](std::int64_t opening, std::int64_t continuing, std::int64_t chunk) {
        return static_cast<std::size_t>(chunk == 0 ? opening : continuing + 2 * (chunk - 1));
    };
    chunks.for_each_long(backend, [&](std::int64_t, std::int64_t opening, std::int64_t continuing, std::int64_t count) {
        Value y{};
        for (std::int64_t k = 0; k < count; ++k) {
            std::size_t slot = slot_of(opening, continuing, Order::chunk(count, k));
            start[slot] = y;
            y = composed[slot](y);
        }
    });
}

/// store(i, value) along the recursion y = step(i)(y) from y = 0 at the segment's start. A segment of several chunks
/// takes three passes: each chunk composed to one map (parallel), the values between the chunks (one after another),
/// each chunk run from its own start (parallel).
template <class Order, class Kept, class Step, class Store>
void segmented_recursion(backend::Host& backend, Offsets offsets, Step&& step, Store&& store) {
    using Map = std::decay_t<std::invoke_result_t<Step, std::int64_t>>;
    using Value = decltype(Map::b);
    ChunkedSegments chunks(backend, offsets);
    std::vector<Map> composed(static_cast<std::size_t>(chunks.slots()));
    std::vector<Value> start(composed.size());
    auto run = [&](const Chunk& chunk, Value y) {
        for (std::int64_t k = 0, count = chunk.end - chunk.begin; k < count; ++k) {
            std::int64_t i = Order::element(chunk.begin, chunk.end, k);
            Value after = step(i)(y);
            store(i, Kept::stored(y, after));
            y = after;
        }
    };
    chunks.for_each(backend, [&](const Chunk& chunk) {
        if (chunk.first && chunk.last) return run(chunk, Value{});
        Map map;
        for (std::int64_t k = 0, count = chunk.end - chunk.begin; k < count; ++k)
            map = step(Order::element(chunk.begin, chunk.end, k)).after(map);
        composed[static_cast<std::size_t>(chunk.slot)] = map;
    });
    starts_between_chunks<Order>(backend, chunks, composed, start);
    chunks.for_each_of_long(backend,
                            [&](const Chunk& chunk) { run(chunk, start[static_cast<std::size_t>(chunk.slot)]); });
}

/// Elements of a block whose coefficients are found in one loop and whose results are used in another.
inline constexpr std::int64_t scan_block = 256;

/// values[k] = y_k = a_k y_{k+1} + b_k for the block, y_count = y; returns y_0. Each step waits for the one before, so
/// a whole block is run as four quarters side by side, whose starts come from the quarters composed to maps.
template <class Real>
double affine_block(const Real* a, const Real* b, std::int64_t count, double y, Real* values) {
    values[count] = static_cast<Real>(y);
    auto step = [&](std::int64_t k) { return Affine<double>{double(a[k]), double(b[k])}; };
    if (count < scan_block) {
        for (std::int64_t k = count; k-- > 0;) values[k] = static_cast<Real>(y = step(k)(y));
        return y;
    }
    constexpr std::int64_t quarter = scan_block / 4;
    std::array<Affine<double>, 4> map;
    for (std::int64_t k = quarter; k-- > 0;)
        for (std::size_t q = 1; q < 4; ++q) map[q] = step(std::int64_t(q) * quarter + k).after(map[q]);
    std::array<double, 4> at;
    at[3] = y;
    for (std::size_t q = 3; q > 0; --q) at[q - 1] = map[q](at[q]);
    for (std::int64_t k = quarter; k-- > 0;)
        for (std::size_t q = 0; q < 4; ++q) {
            at[q] = step(std::int64_t(q) * quarter + k)(at[q]);
            values[std::int64_t(q) * quarter + k] = static_cast<Real>(at[q]);
        }
    return at[0];
}

/// body(begin, end) for [chunk.begin, chunk.end) in blocks, from the last to the first.
template <class Body>
void blocks_backward(const Chunk& chunk, Body&& body) {
    for (std::int64_t end = chunk.end; end > chunk.begin; end = std::max(chunk.begin, end - scan_block))
        body(std::max(chunk.begin, end - scan_block), end);
}

template <class Order, class Kept, class T, class Out>
void segmented_sums(backend::Host& backend, Offsets offsets, std::span<T> x, std::span<Out> y) {
    expect_covered("x", x.size(), offsets);
    expect_size("y", y.size(), static_cast<std::int64_t>(x.size()));
    segmented_recursion<Order, Kept>(
        backend, offsets,
        [&](std::int64_t i) {
            return Affine<Wide<T>>{1, static_cast<Wide<T>>(x[static_cast<std::size_t>(i)])};
        },
        [&](std::int64_t i, Wide<T> value) { y[static_cast<std::size_t>(i)] = static_cast<Out>(value); });
}

template <class A, class B>
auto affine_steps(std::span<A> a, std::span<B> b) {
    return [a, b](std::int64_t i) {
        auto at = static_cast<std::size_t>(i);
        return Affine<double>{static_cast<double>(a[at]), static_cast<double>(b[at])};
    };
}

}  // namespace detail

/// y_t = x_s + ... + x_t from the start s of t's segment. Shapes: x -> y [elements]; y may be x. Kept in double (whole
/// numbers: 64 bits); the same for any number of threads.
template <class T, class Out>
void segmented_inclusive_sum(backend::Host& backend, Offsets offsets, std::span<T> x, std::span<Out> y) {
    detail::segmented_sums<detail::Forward, detail::Inclusive>(backend, offsets, x, y);
}
/// y_t = x_s + ... + x_{t-1}, 0 at the start of a segment.
template <class T, class Out>
void segmented_exclusive_sum(backend::Host& backend, Offsets offsets, std::span<T> x, std::span<Out> y) {
    detail::segmented_sums<detail::Forward, detail::Exclusive>(backend, offsets, x, y);
}
/// y_t = x_t + ... + x_{e-1} to the end e of t's segment.
template <class T, class Out>
void segmented_reverse_sum(backend::Host& backend, Offsets offsets, std::span<T> x, std::span<Out> y) {
    detail::segmented_sums<detail::Backward, detail::Inclusive>(backend, offsets, x, y);
}
/// y_t = x_{t+1} + ... + x_{e-1}, 0 at the end of a segment.
template <class T, class Out>
void segmented_reverse_exclusive_sum(backend::Host& backend, Offsets offsets, std::span<T> x, std::span<Out> y) {
    detail::segmented_sums<detail::Backward, detail::Exclusive>(backend, offsets, x, y);
}

/// y_t = a_t y_{t+1} + b_t backwards through each segment, with 0 after its last element: returns (a = gamma, b = r),
/// GAE (a = gamma lambda, b = delta), V-trace. Where something comes after the end (a bootstrapped value v), add a v to
/// the last b. step: t -> Affine<double>{a_t, b_t}; store(t, y_t) is called once for every t, in parallel.
template <class Step, class Store>
requires std::is_invocable_v<Step, std::int64_t>
void segmented_affine_backward(backend::Host& backend, Offsets offsets, Step&& step, Store&& store) {
    detail::segmented_recursion<detail::Backward, detail::Inclusive>(backend, offsets, step, store);
}
/// The same for steps and stores that are worth loops of their own, over lanes of a block: at most 256 elements of one
/// segment, worked on by a copy of `blank`, which may remember of a block what it has found:
///     coefficients(begin, end, a, b)      writes a_t, b_t for t in [begin, end);
///     store(begin, end, y, last)          gets y_t for t in [begin, end]; y_end = 0 behind the segment's end (`last`).
/// A block is stored right after its coefficients were asked for, which may be asked for alone before. What stands
/// between the two is in the work's Real, the recursion itself in double.
template <class Work>
void segmented_affine_backward_in_blocks(backend::Host& backend, Offsets offsets, const Work& blank) {
    using detail::Chunk;
    using Real = typename Work::Real;
    detail::ChunkedSegments chunks(backend, offsets);
    std::vector<Affine<double>> composed(static_cast<std::size_t>(chunks.slots()));
    std::vector<double> start(composed.size());
    auto step = [](const auto& a, const auto& b, std::size_t k) { return Affine<double>{double(a[k]), double(b[k])}; };
    auto run = [&](const Chunk& chunk, double y) {
        Work work = blank;
        std::array<Real, detail::scan_block> a, b;
        std::array<Real, detail::scan_block + 1> values;
        detail::blocks_backward(chunk, [&](std::int64_t begin, std::int64_t end) {
            work.coefficients(begin, end, a.data(), b.data());
            y = detail::affine_block(a.data(), b.data(), end - begin, y, values.data());
            work.store(begin, end, values.data(), chunk.last && end == chunk.end);
        });
    };
    chunks.for_each(backend, [&](const Chunk& chunk) {
        if (chunk.first && chunk.last) return run(chunk, 0.0);
        Work work = blank;
        std::array<Real, detail::scan_block> a, b;
        Affine<double> map;
        detail::blocks_backward(chunk, [&](std::int64_t begin, std::int64_t end) {
            work.coefficients(begin, end, a.data(), b.data());
            for (auto k = static_cast<std::size_t>(end - begin); k-- > 0;) map = step(a, b, k).after(map);
        });
        composed[static_cast<std::size_t>(chunk.slot)] = map;
    });
    detail::starts_between_chunks<detail::Backward>(backend, chunks, composed, start);
    chunks.for_each_of_long(backend,
                            [&](const Chunk& chunk) { run(chunk, start[static_cast<std::size_t>(chunk.slot)]); });
}
/// y_t = a_t y_{t-1} + b_t forwards through each segment, with 0 before its first element. Arguments as above.
template <class Step, class Store>
requires std::is_invocable_v<Step, std::int64_t>
void segmented_affine_forward(backend::Host& backend, Offsets offsets, Step&& step, Store&& store) {
    detail::segmented_recursion<detail::Forward, detail::Inclusive>(backend, offsets, step, store);
}

/// The same from columns. Shapes: a, b -> y [elements]; y may be b or a.
template <class A, class B, class Out>
void segmented_affine_backward(backend::Host& backend, Offsets offsets, std::span<A> a, std::span<B> b,
                               std::span<Out> y) {
    detail::expect_covered("a", a.size(), offsets);
    detail::expect_size("b", b.size(), static_cast<std::int64_t>(a.size()));
    detail::expect_size("y", y.size(), static_cast<std::int64_t>(a.size()));
    segmented_affine_backward(backend, offsets, detail::affine_steps(a, b), [&](std::int64_t i, double value) {
        y[static_cast<std::size_t>(i)] = static_cast<Out>(value);
    });
}
template <class A, class B, class Out>
void segmented_affine_forward(backend::Host& backend, Offsets offsets, std::span<A> a, std::span<B> b,
                              std::span<Out> y) {
    detail::expect_covered("a", a.size(), offsets);
    detail::expect_size("b", b.size(), static_cast<std::int64_t>(a.size()));
    detail::expect_size("y", y.size(), static_cast<std::int64_t>(a.size()));
    segmented_affine_forward(backend, offsets, detail::affine_steps(a, b), [&](std::int64_t i, double value) {
        y[static_cast<std::size_t>(i)] = static_cast<Out>(value);
    });
}

}  // namespace roars
