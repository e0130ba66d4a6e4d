#pragma once

#include <cstdint>

#include "roars/config.hpp"

/// Kernels of blocks of threads, written once for the GPU and for a loop on the host.
///
/// A kernel is a trivially copyable value with `threads`, a struct `Shared` (what the threads of a block share) and
///     template <class Block> ROARS_FN void operator()(Block& block, Shared& shared) const;
/// Its body is a row of steps: block.each([&](int thread) { ... }) is run by every thread, and behind it all wait for
/// each other; what a thread knows of an earlier step is in `shared`. In a step no thread reads what another one writes
/// in the same step. A branch around a step depends on what all threads see alike: block.read(x) for a value in
/// `shared`.
///
/// On the GPU a step is the thread's own call and a __syncthreads(). On the host it is a loop over all threads, in any
/// order: so the arithmetic of every index, and that no step depends on the order of its threads, is tested without a
/// GPU (tests/cuda).
namespace roars::gpu {

template <int threads_>
class DeviceBlock {
public:
    static constexpr int threads = threads_;

    /// The block's number.
    ROARS_FN std::int64_t index() const {
#if defined(__CUDA_ARCH__)
        return static_cast<std::int64_t>(blockIdx.x);
#else
        return 0;
#endif
    }
    template <class Step>
    ROARS_FN void each([[maybe_unused]] Step&& step) {
#if defined(__CUDA_ARCH__)
        step(static_cast<int>(threadIdx.x));
        __syncthreads();
#endif
    }
    /// A shared value that all threads see alike; they wait, so that the next step may write it.
    template <class T>
    ROARS_FN T read(const T& shared) {
        T value = shared;
#if defined(__CUDA_ARCH__)
        __syncthreads();
#endif
        return value;
    }
    /// to += x by any number of threads of a step at once; returns what stood there. Whole numbers only: their sum does
    /// not depend on the order.
    ROARS_FN unsigned long long add(unsigned long long& to, unsigned long long x) {
#if defined(__CUDA_ARCH__)
        return atomicAdd(&to, x);
#else
        unsigned long long before = to;
        to += x;
        return before;
#endif
    }
    ROARS_FN unsigned add(unsigned& to, unsigned x) {
#if defined(__CUDA_ARCH__)
        return atomicAdd(&to, x);
#else
        unsigned before = to;
        to += x;
        return before;
#endif
    }
    ROARS_FN void set_bits(unsigned& word, unsigned bits) {
#if defined(__CUDA_ARCH__)
        atomicOr(&word, bits);
#else
        word |= bits;
#endif
    }
};

/// values[0] = all values together, by a tree that depends on their number alone. Shapes: values [Block::threads].
template <class Block, class T, class Combine>
ROARS_FN void reduce(Block& block, T* values, Combine combine) {
    for (int half = Block::threads / 2; half > 0; half /= 2)
        block.each([&](int thread) {
            if (thread < half) values[thread] = combine(values[thread], values[thread + half]);
        });
}

struct Plus {
    template <class T>
    ROARS_FN T operator()(const T& a, const T& b) const {
        return a + b;
    }
};
struct Least {
    template <class T>
    ROARS_FN T operator()(const T& a, const T& b) const {
        return b < a ? b : a;
    }
};
struct Largest {
    template <class T>
    ROARS_FN T operator()(const T& a, const T& b) const {
        return a < b ? b : a;
    }
};

ROARS_FN constexpr std::int64_t least(std::int64_t a, std::int64_t b) { return b < a ? b : a; }
ROARS_FN constexpr std::int64_t pieces_of(std::int64_t count, std::int64_t size) { return (count + size - 1) / size; }

/// Some neighbours that are read and written as one access of up to 16 bytes.
template <class T, int width>
struct alignas(sizeof(T) * width) Packet {
    T value[width];
};
template <class T>
inline constexpr int packet_width = static_cast<int>(16 / sizeof(T));

template <class T>
ROARS_FN bool is_aligned(const T* pointer) {
    return reinterpret_cast<std::uintptr_t>(pointer) % 16 == 0;
}

/// values[0, used) from `from`; one access where `whole`: `from` is aligned and all are used.
template <class T, int width>
ROARS_FN ROARS_INLINE Packet<T, width> load_packet(const T* from, int used, bool whole) {
    if (whole) return *reinterpret_cast<const Packet<T, width>*>(from);
    Packet<T, width> packet{};
    for (int k = 0; k < width; ++k)
        if (k < used) packet.value[k] = from[k];
    return packet;
}
template <class T, int width>
ROARS_FN ROARS_INLINE void store_packet(T* to, const Packet<T, width>& packet, int used, bool whole) {
    if (whole) {
        *reinterpret_cast<Packet<T, width>*>(to) = packet;
        return;
    }
    for (int k = 0; k < width; ++k)
        if (k < used) to[k] = packet.value[k];
}

/// body(i) for i in [0, count), a thread each.
template <class Body>
struct ForEach {
    static constexpr int threads = 256;
    struct Shared {};
    std::int64_t count;
    Body body;

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared&) const {
        block.each([&](int thread) {
            std::int64_t i = block.index() * threads + thread;
            if (i < count) body(i);
        });
    }
};
template <class D, class Body>
void for_each(D& device, std::int64_t count, const Body& body) {
    device.launch(pieces_of(count, ForEach<Body>::threads), ForEach<Body>{count, body});
}

}  // namespace roars::gpu
