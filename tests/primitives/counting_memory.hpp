#pragma once

#include <algorithm>
#include <cstddef>
#include <memory_resource>

namespace roars {
namespace {

/// Memory that knows `peak`, the most bytes that were ever held at once.
class CountingMemory : public std::pmr::memory_resource {
public:
    std::size_t peak = 0;

private:
    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
        held_ += bytes;
        peak = std::max(peak, held_);
        return std::pmr::new_delete_resource()->allocate(bytes, alignment);
    }
    void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override {
        held_ -= bytes;
        std::pmr::new_delete_resource()->deallocate(memory, bytes, alignment);
    }
    bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
    std::size_t held_ = 0;
};

}  // namespace
}  // namespace roars
