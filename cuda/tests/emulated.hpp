#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <Eigen/Core>

#include "roars/cuda/device.hpp"

/// A device on the host: each block is a loop over its threads, in an order of one's choice. Memory is filled with what
/// no kernel may rely on.
namespace roars::gpu {

/// In which order the threads of a step run. What a kernel gives must not depend on it.
enum class Order { forwards, backwards, shuffled };

template <int threads_>
class HostBlock {
public:
    static constexpr int threads = threads_;

    HostBlock(std::int64_t index, Order order) : index_(index), order_(threads_) {
        std::iota(order_.begin(), order_.end(), 0);
        if (order == Order::backwards) std::reverse(order_.begin(), order_.end());
        if (order == Order::shuffled) std::shuffle(order_.begin(), order_.end(), std::mt19937(unsigned(index)));
    }
    std::int64_t index() const { return index_; }
    template <class Step>
    void each(Step&& step) {
        for (int thread : order_) step(thread);
    }
    template <class T>
    T read(const T& shared) {
        return shared;
    }
    template <class T>
    T add(T& to, std::type_identity_t<T> x) {
        T before = to;
        to += x;
        return before;
    }
    void set_bits(unsigned& word, unsigned bits) { word |= bits; }

private:
    std::int64_t index_;
    std::vector<int> order_;
};

template <Order order_>
class EmulatedIn {
public:
    static constexpr bool on_device = true;
    std::int64_t grain = 16384;

    EmulatedIn() : arena_(*this) {}
    EmulatedIn(const EmulatedIn&) = delete;

    Arena<EmulatedIn>& arena() { return arena_; }
    void* allocate(std::size_t bytes) {
        ++allocations;
        void* memory = nullptr;  // of exactly that size, for address sanitizers
        if (posix_memalign(&memory, 256, bytes) != 0) throw std::bad_alloc();
        std::memset(memory, 0x7f, bytes);
        return memory;
    }
    void release(void* memory, std::size_t bytes) noexcept {
        std::memset(memory, 0x7f, bytes);
        std::free(memory);
    }
    void copy(void* to, const void* from, std::size_t bytes, Way way) {
        if (way != Way::within) ++crossings;
        if (bytes > 0) std::memcpy(to, from, bytes);
    }
    void zero(void* to, std::size_t bytes) {
        if (bytes > 0) std::memset(to, 0, bytes);
    }
    void wait() { ++waits; }
    template <class Body>
    void launch(std::int64_t blocks, const Body& body) {
        static_assert(std::is_trivially_copyable_v<Body> &&
                      std::is_trivially_default_constructible_v<typename Body::Shared>);
        static_assert(sizeof(typename Body::Shared) <= 48 * 1024, "shared memory of a block");
        static_assert(sizeof(Body) <= 4096, "parameters of a kernel");
        for (std::int64_t index = 0; index < blocks; ++index) {
            auto memory = std::make_unique<std::aligned_storage_t<sizeof(typename Body::Shared), 64>>();
            std::memset(memory.get(), 0x7f, sizeof(typename Body::Shared));
            HostBlock<Body::threads> block(index, order_);
            body(block, *std::launder(reinterpret_cast<typename Body::Shared*>(memory.get())));
        }
    }

    std::int64_t allocations = 0, waits = 0;
    std::int64_t crossings = 0;  ///< copies from the host's memory or to it

private:
    Arena<EmulatedIn> arena_;
};
using Emulated = EmulatedIn<Order::forwards>;

/// What a device brings beside launches: a stable sort by the lowest bits, and a product as BLAS has it.
template <Order order>
void sort_pairs(EmulatedIn<order>&, const std::uint64_t* keys, const std::int64_t* places, std::int64_t* sorted,
                std::int64_t count, int bits) {
    std::uint64_t mask = bits >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
    std::vector<std::int64_t> at(static_cast<std::size_t>(count));
    std::iota(at.begin(), at.end(), 0);
    std::stable_sort(at.begin(), at.end(), [&](auto a, auto b) { return (keys[a] & mask) < (keys[b] & mask); });
    for (std::int64_t i = 0; i < count; ++i) sorted[i] = places[at[static_cast<std::size_t>(i)]];
}
template <class T>
double widened(const T& x) {
    if constexpr (std::is_same_v<T, double>)
        return x;
    else
        return double(float(x));
}
template <class T>
T narrowed(double x) {
    if constexpr (std::is_same_v<T, double>)
        return x;
    else
        return T(float(x));
}
/// Products are exact, whatever is asked for.
template <Order order, class T, class Out>
void gemm(EmulatedIn<order>&, Transposed transpose_a, Transposed transpose_b, std::int64_t m, std::int64_t n,
          std::int64_t k, float alpha, const T* a, std::int64_t lda, const T* b, std::int64_t ldb, float beta, Out* c,
          std::int64_t ldc, Products = Products::exact) {
    for (std::int64_t column = 0; column < n; ++column)
        for (std::int64_t row = 0; row < m; ++row) {
            double sum = 0.0;
            for (std::int64_t l = 0; l < k; ++l)
                sum += widened(a[transpose_a == Transposed::yes ? row * lda + l : l * lda + row]) *
                       widened(b[transpose_b == Transposed::yes ? l * ldb + column : column * ldb + l]);
            Out& to = c[column * ldc + row];
            to = narrowed<Out>(double(alpha) * sum + (beta == 0.0f ? 0.0 : double(beta) * widened(to)));
        }
}

/// A float whose last 16 bits are cut off, as bfloat16 is stored.
struct Brain {
    std::uint16_t bits;
    Brain() = default;
    explicit Brain(float x) : bits(static_cast<std::uint16_t>((std::bit_cast<std::uint32_t>(x) + 0x8000u) >> 16)) {}
    explicit operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

/// IEEE's 16 bits, to nearest.
struct Half {
    std::uint16_t bits;
    Half() = default;
    explicit Half(float x) : bits(Eigen::half_impl::float_to_half_rtne(x).x) {}
    explicit operator float() const {
        return Eigen::half_impl::half_to_float(Eigen::half_impl::raw_uint16_to_half(bits));
    }
};

/// The devices of the tests: here all orders of threads, in a .cu file the GPU.
using Devices =
    ::testing::Types<EmulatedIn<Order::forwards>, EmulatedIn<Order::backwards>, EmulatedIn<Order::shuffled>>;
/// Where compiling three times is dear.
using OneDevice = ::testing::Types<EmulatedIn<Order::shuffled>>;
template <class D>
bool is_there() {
    return true;
}

}  // namespace roars::gpu
