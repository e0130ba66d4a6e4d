#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <new>
#include <utility>
#include <vector>

namespace roars {

namespace detail {

/// Blocks of memory that a thread has given back and may have again. Their sizes come in steps of an eighth.
class SpareBlocks {
public:
    ~SpareBlocks() {
        for (const Block& block : blocks_) ::operator delete(block.memory);
    }
    void* take(std::size_t bytes) {
        std::size_t size = rounded(bytes);
        for (Block& block : blocks_)
            if (block.memory && block.size == size) return std::exchange(block.memory, nullptr);
        return ::operator new(size);
    }
    void give_back(void* memory, std::size_t bytes) {
        std::swap(blocks_[next_].memory, memory);
        blocks_[next_].size = rounded(bytes);
        next_ = (next_ + 1) % blocks_.size();
        ::operator delete(memory);  // the one that has lain there longest, if any
    }

private:
    static std::size_t rounded(std::size_t bytes) {
        std::size_t step = std::max<std::size_t>(std::bit_floor(bytes) / 8, 64);
        return (bytes + step - 1) / step * step;
    }
    struct Block {
        void* memory = nullptr;
        std::size_t size = 0;
    };
    std::array<Block, 16> blocks_{};
    std::size_t next_ = 0;
};

}  // namespace detail

/// An allocator for columns in passing: the thread keeps what it gives back, so that a loop whose sizes do not grow
/// asks the system for nothing; and a new number is not set to 0.
template <class T>
struct KeptMemory {
    using value_type = T;

    KeptMemory() = default;
    template <class U>
    KeptMemory(const KeptMemory<U>&) {}
    T* allocate(std::size_t count) { return static_cast<T*>(spare().take(count * sizeof(T))); }
    void deallocate(T* memory, std::size_t count) { spare().give_back(memory, count * sizeof(T)); }
    template <class U>
    void construct(U* place) {
        ::new (static_cast<void*>(place)) U;
    }
    template <class U, class... Value>
    void construct(U* place, Value&&... value) {
        ::new (static_cast<void*>(place)) U(std::forward<Value>(value)...);
    }
    friend bool operator==(const KeptMemory&, const KeptMemory&) { return true; }

private:
    static detail::SpareBlocks& spare() {
        thread_local detail::SpareBlocks blocks;
        return blocks;
    }
};
template <class T>
using KeptVector = std::vector<T, KeptMemory<T>>;

}  // namespace roars
