#pragma once

#include <cstdint>
#include <type_traits>

#include "roars/cuda/segments.hpp"
#include "roars/primitives/segmented_scan.hpp"

#if defined(__CUDACC__)
#include <cuda/atomic>
#endif

/// Linear recursions through segments on a device, as segmented_scan.hpp has them on the host: returns, GAE, V-trace,
/// sums. One pass over memory: a block takes a tile, composes its steps in a tree, waits for the value that comes in
/// from the tile before it, and stores. Where a segment begins the step forgets what comes in (a = 0), so that a tile
/// with a segment's start in it waits for nobody; and since the values go from tile to tile one after another, and not
/// by whatever is there first, the result does not depend on chance.
namespace roars::gpu {

namespace detail {

/// What a tile hands on: the value after its last step.
struct Handed {
    double value;
    unsigned ready;
};

/// `ready` of one block is seen by another one together with everything that was written before it.
ROARS_FN inline void announce(unsigned& ready) {
#if defined(__CUDA_ARCH__)
    ::cuda::atomic_ref<unsigned, ::cuda::thread_scope_device>(ready).store(1u, ::cuda::std::memory_order_release);
#else
    ready = 1u;
#endif
}
ROARS_FN inline void await([[maybe_unused]] unsigned& ready) {
#if defined(__CUDA_ARCH__)
    ::cuda::atomic_ref<unsigned, ::cuda::thread_scope_device> flag(ready);
    while (flag.load(::cuda::std::memory_order_acquire) == 0u) __nanosleep(20);
#endif
}
/// 0, 1, 2, ... in the order in which blocks begin, so that whom a block waits for has begun before it.
ROARS_FN inline unsigned take_number(unsigned& next) {
#if defined(__CUDA_ARCH__)
    return atomicAdd(&next, 1u);
#else
    return next++;
#endif
}

/// The order of a recursion over all elements, and where a segment's first step is in it.
struct ForwardScan {
    ROARS_FN static std::int64_t element(std::int64_t, std::int64_t place) { return place; }
    ROARS_FN static bool starts(const Segments& s, std::int64_t owner, std::int64_t i) { return i == s.begin(owner); }
};
struct BackwardScan {
    ROARS_FN static std::int64_t element(std::int64_t count, std::int64_t place) { return count - 1 - place; }
    ROARS_FN static bool starts(const Segments& s, std::int64_t owner, std::int64_t i) { return i + 1 == s.end(owner); }
};
/// What is stored: the value after the step, or the one before it (0 at a segment's start).
struct KeepAfter {
    static constexpr bool after = true;
};
struct KeepBefore {
    static constexpr bool after = false;
};

template <class Order, class Kept, class Step, class Store>
struct ScanTiles {
    static constexpr int threads = 256;
    static constexpr int items = 4;
    static constexpr std::int64_t tile = std::int64_t{threads} * items;
    using Map = Affine<double>;
    struct Pair {
        double a, b;
    };

    struct Shared {
        // A step of each element; later the value that is stored there. One place in 32 is left out, so that neighbours
        // `items` apart lie in different banks.
        Pair step[tile + tile / 32];
        bool starts[tile];
        Pair composed[2][threads];
        std::int64_t owner[2];
        double incoming;
        unsigned number;
    };

    Segments segments;
    Step step;
    Store store;
    Handed* handed;  ///< [tiles], zero at first
    unsigned* next;  ///< zero at first

    ROARS_FN static int place(int i) { return i + i / 32; }
    ROARS_FN static Map map(const Pair& pair) { return Map{pair.a, pair.b}; }
    ROARS_FN static Pair pair(const Map& map) { return {map.a, map.b}; }

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared& shared) const {
        block.each([&](int thread) {
            if (thread == 0) shared.number = take_number(*next);
        });
        const std::int64_t number = block.read(shared.number);
        const std::int64_t first = number * tile, count = segments.elements;
        const int size = static_cast<int>(least(tile, count - first));
        block.each([&](int thread) {
            if (thread < 2)
                shared.owner[thread] = segments.owner(Order::element(count, thread == 0 ? first : first + size - 1));
        });
        // Every thread reads neighbours of what its neighbours read.
        block.each([&](int thread) {
            std::int64_t low = least(shared.owner[0], shared.owner[1]), high = shared.owner[0] + shared.owner[1] - low;
            for (int k = thread; k < size; k += threads) {
                std::int64_t i = Order::element(count, first + k);
                Map own = step(i);
                shared.starts[k] = Order::starts(segments, segments.owner(i, low, high + 1), i);
                if (shared.starts[k]) own.a = 0.0;
                shared.step[place(k)] = pair(own);
            }
        });
        // From here on a thread has `items` neighbours of its own.
        block.each([&](int thread) {
            Map all;
            for (int k = thread * items; k < (thread + 1) * items && k < size; ++k)
                all = map(shared.step[place(k)]).after(all);
            shared.composed[0][thread] = pair(all);
        });
        int from = 0;
        for (int reach = 1; reach < threads; reach *= 2) {
            block.each([&](int thread) {
                Map own = map(shared.composed[from][thread]);
                if (thread >= reach) own = own.after(map(shared.composed[from][thread - reach]));
                shared.composed[1 - from][thread] = pair(own);
            });
            from = 1 - from;
        }
        block.each([&](int thread) {
            if (thread > 0) return;
            Map whole = map(shared.composed[from][threads - 1]);
            shared.incoming = 0.0;
            if (whole.a != 0.0 && number > 0) {
                await(handed[number - 1].ready);
                shared.incoming = handed[number - 1].value;
            }
            handed[number].value = whole(shared.incoming);
            announce(handed[number].ready);
            // The tile hands on without waiting where it can; its own first elements may need the value all the same.
            if (whole.a == 0.0 && number > 0 && (Kept::after ? shared.step[place(0)].a != 0.0 : !shared.starts[0])) {
                await(handed[number - 1].ready);
                shared.incoming = handed[number - 1].value;
            }
        });
        block.each([&](int thread) {
            double y = shared.incoming;
            if (thread > 0) y = map(shared.composed[from][thread - 1])(y);
            for (int k = thread * items; k < (thread + 1) * items && k < size; ++k) {
                Map own = map(shared.step[place(k)]);
                double before = shared.starts[k] ? 0.0 : y;
                y = own(y);
                shared.step[place(k)].b = Kept::after ? y : before;
            }
        });
        block.each([&](int thread) {
            for (int k = thread; k < size; k += threads)
                store(Order::element(count, first + k), shared.step[place(k)].b);
        });
    }
};

template <class Order, class Kept, class D, class Step, class Store>
void scan_segments(D& device, const Segments& segments, const Step& step, const Store& store) {
    using Tiles = ScanTiles<Order, Kept, Step, Store>;
    std::int64_t tiles = pieces_of(segments.elements, Tiles::tile);
    if (tiles == 0) return;
    Frame<D> frame(device);
    auto* handed = frame.template take<Handed>(tiles + 1);
    device.zero(handed, static_cast<std::size_t>(tiles + 1) * sizeof(Handed));
    device.launch(tiles, Tiles{segments, step, store, handed, &handed[tiles].ready});
}

template <class T, class Out>
struct SumStep {
    const T* x;
    Out* y;
    ROARS_FN Affine<double> operator()(std::int64_t i) const { return {1.0, static_cast<double>(x[i])}; }
    ROARS_FN void operator()(std::int64_t i, double value) const { y[i] = static_cast<Out>(value); }
};
template <class A, class B>
struct ColumnStep {
    const A* a;
    const B* b;
    ROARS_FN Affine<double> operator()(std::int64_t i) const {
        return {static_cast<double>(a[i]), static_cast<double>(b[i])};
    }
};
template <class Out>
struct StoreValue {
    Out* y;
    ROARS_FN void operator()(std::int64_t i, double value) const { y[i] = static_cast<Out>(value); }
};

}  // namespace detail

/// y_t = a_t y_{t+1} + b_t backwards through each segment, with 0 after its last element: returns, GAE, V-trace. step:
/// t -> Affine<double>{a_t, b_t}; store(t, y_t) is called once for every t of [0, elements), in parallel and after
/// step(t); both are functors that the device can call. Offsets begin at 0.
template <class D, class Step, class Store>
void segmented_affine_backward(D& device, const Segments& segments, const Step& step, const Store& store) {
    detail::scan_segments<detail::BackwardScan, detail::KeepAfter>(device, segments, step, store);
}
/// y_t = a_t y_{t-1} + b_t forwards through each segment, with 0 before its first element.
template <class D, class Step, class Store>
void segmented_affine_forward(D& device, const Segments& segments, const Step& step, const Store& store) {
    detail::scan_segments<detail::ForwardScan, detail::KeepAfter>(device, segments, step, store);
}
/// The same from columns. Shapes: a, b -> y [elements]; y may be b or a.
template <class D, class A, class B, class Out>
void segmented_affine_backward(D& device, const Segments& segments, const A* a, const B* b, Out* y) {
    segmented_affine_backward(device, segments, detail::ColumnStep<A, B>{a, b}, detail::StoreValue<Out>{y});
}
template <class D, class A, class B, class Out>
void segmented_affine_forward(D& device, const Segments& segments, const A* a, const B* b, Out* y) {
    segmented_affine_forward(device, segments, detail::ColumnStep<A, B>{a, b}, detail::StoreValue<Out>{y});
}

/// y_t = x_s + ... + x_t from the start s of t's segment, in double: whole numbers are exact up to 2^53. y may be x.
template <class D, class T, class Out>
void segmented_inclusive_sum(D& device, const Segments& segments, const T* x, Out* y) {
    detail::SumStep<T, Out> sum{x, y};
    detail::scan_segments<detail::ForwardScan, detail::KeepAfter>(device, segments, sum, sum);
}
/// y_t = x_s + ... + x_{t-1}, 0 at the start of a segment.
template <class D, class T, class Out>
void segmented_exclusive_sum(D& device, const Segments& segments, const T* x, Out* y) {
    detail::SumStep<T, Out> sum{x, y};
    detail::scan_segments<detail::ForwardScan, detail::KeepBefore>(device, segments, sum, sum);
}
/// y_t = x_t + ... + x_{e-1} to the end e of t's segment.
template <class D, class T, class Out>
void segmented_reverse_sum(D& device, const Segments& segments, const T* x, Out* y) {
    detail::SumStep<T, Out> sum{x, y};
    detail::scan_segments<detail::BackwardScan, detail::KeepAfter>(device, segments, sum, sum);
}
/// y_t = x_{t+1} + ... + x_{e-1}, 0 at the end of a segment.
template <class D, class T, class Out>
void segmented_reverse_exclusive_sum(D& device, const Segments& segments, const T* x, Out* y) {
    detail::SumStep<T, Out> sum{x, y};
    detail::scan_segments<detail::BackwardScan, detail::KeepBefore>(device, segments, sum, sum);
}

}  // namespace roars::gpu
