#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <numeric>
#include <random>
#include <set>
#include <vector>

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

    template <class T>
    class Local {
    public:
        T& operator[](int thread) { return (*values_)[static_cast<std::size_t>(thread)]; }

    private:
        std::unique_ptr<std::array<T, threads_>> values_ = std::make_unique<std::array<T, threads_>>();
    };

    HostBlock(std::int64_t index, std::int64_t count, Order order) : index_(index), count_(count), order_(threads_) {
        std::iota(order_.begin(), order_.end(), 0);
        if (order == Order::backwards) std::reverse(order_.begin(), order_.end());
        if (order == Order::shuffled) std::shuffle(order_.begin(), order_.end(), std::mt19937(unsigned(index)));
    }
    std::int64_t index() const { return index_; }
    std::int64_t count() const { return count_; }
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
    std::int64_t index_, count_;
    std::vector<int> order_;
};

class Emulated {
public:
    static constexpr bool on_device = true;
    std::int64_t grain = 16384;

    explicit Emulated(Order order = Order::forwards) : order_(order), arena_(*this) {}
    Emulated(const Emulated&) = delete;

    Arena<Emulated>& arena() { return arena_; }
    void* allocate(std::size_t bytes) {
        ++allocations;
        void* memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
        std::memset(memory, 0x7f, bytes);
        return memory;
    }
    void release(void* memory, std::size_t bytes) noexcept {
        std::memset(memory, 0x7f, bytes);
        std::free(memory);
    }
    void copy(void* to, const void* from, std::size_t bytes, Way) {
        if (bytes > 0) std::memcpy(to, from, bytes);
    }
    void zero(void* to, std::size_t bytes) { std::memset(to, 0, bytes); }
    void wait() {}
    template <class Body>
    void launch(std::int64_t blocks, const Body& body) {
        static_assert(std::is_trivially_copyable_v<Body> &&
                      std::is_trivially_default_constructible_v<typename Body::Shared>);
        static_assert(sizeof(typename Body::Shared) <= 48 * 1024, "shared memory of a block");
        static_assert(sizeof(Body) <= 4096, "parameters of a kernel");
        for (std::int64_t index = 0; index < blocks; ++index) {
            auto memory = std::make_unique<std::aligned_storage_t<sizeof(typename Body::Shared), 64>>();
            std::memset(memory.get(), 0x7f, sizeof(typename Body::Shared));
            HostBlock<Body::threads> block(index, blocks, order_);
            body(block, *std::launder(reinterpret_cast<typename Body::Shared*>(memory.get())));
        }
    }

    std::int64_t allocations = 0;

private:
    Order order_;
    Arena<Emulated> arena_;
};

}  // namespace roars::gpu
