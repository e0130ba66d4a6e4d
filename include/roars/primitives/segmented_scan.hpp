#pragma once

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
    chunks.for_each_of_long(backend,
                            [&](const Chunk& chunk) { run(chunk, start[static_cast<std::size_t>(chunk.slot)]); });
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
