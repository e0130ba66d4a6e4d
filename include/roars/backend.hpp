#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

#include "roars/config.hpp"

#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

namespace roars {

namespace backend {

/// Where a stage runs is chosen by type. `Host`: Thrust's host systems (OpenMP, TBB or one thread, as Thrust is
/// configured) and Eigen for matrices. `Cuda` is in cuda/roars/cuda/backend.cuh.
struct Host {
    static constexpr bool on_device = false;
    /// Elements a unit of parallel work. Partial sums belong to a unit, so that a result does not depend on the number
    /// of threads: the same size gives the same tree of sums.
    std::int64_t grain = 16384;
};

}  // namespace backend

template <class B>
concept Backend = requires(B b) {
    { B::on_device } -> std::convertible_to<bool>;
    { b.grain } -> std::convertible_to<std::int64_t>;
};

namespace detail {
/// Thrust's host system, as it is configured. To a CUDA compiler thrust::device is the GPU: there the host works in one
/// thread.
inline const auto& on_host() {
#if defined(__CUDACC__)
    return thrust::host;
#else
    return thrust::device;
#endif
}
}  // namespace detail

/// Calls body(i) for i in [0, count), in parallel. `body` must not depend on the order.
template <class Body>
void parallel_for(backend::Host&, std::int64_t count, Body&& body) {
    if (count <= 1) {
        if (count == 1) body(std::int64_t{0});
        return;
    }
    thrust::for_each(detail::on_host(), thrust::counting_iterator<std::int64_t>(0),
                     thrust::counting_iterator<std::int64_t>(count), [&body](std::int64_t i) { body(i); });
}

/// Cuts [0, count) into pieces of backend.grain and calls body(piece, begin, end) for each, in parallel. The cut
/// depends on `count` alone. Returns the number of pieces.
template <class Body>
std::int64_t parallel_pieces(backend::Host& backend, std::int64_t count, Body&& body) {
    std::int64_t grain = backend.grain;
    std::int64_t pieces = (count + grain - 1) / grain;
    parallel_for(backend, pieces, [&](std::int64_t piece) {
        std::int64_t begin = piece * grain;
        body(piece, begin, begin + grain < count ? begin + grain : count);
    });
    return pieces;
}

}  // namespace roars
