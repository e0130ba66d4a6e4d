#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace roars::matrix {

/// Memory on the bounds of any lanes or packets, the same to a compiler that has none: where a vectorised loop begins
/// decides how its sum is rounded, and a run must not depend on what malloc returns.
template <class Real>
struct LaneAllocator {
    using value_type = Real;
    static constexpr std::align_val_t alignment{64};

    LaneAllocator() = default;
    template <class Other>
    LaneAllocator(const LaneAllocator<Other>&) {}
    Real* allocate(std::size_t count) { return static_cast<Real*>(::operator new(count * sizeof(Real), alignment)); }
    void deallocate(Real* memory, std::size_t) { ::operator delete(memory, alignment); }
    bool operator==(const LaneAllocator&) const = default;
};
template <class Real>
using Aligned = std::vector<Real, LaneAllocator<Real>>;

}  // namespace roars::matrix
