#pragma once

#include <cstdint>

#include <cub/device/device_radix_sort.cuh>

#include "roars/cuda/backend.cuh"

/// What comes from CUB: the stable sort of 64-bit keys.
namespace roars::backend {

/// sorted = places in the order of their keys' lowest `bits`; equal keys keep the order they came in. `keys` and
/// `places` are left as they are.
inline void sort_pairs(Cuda& device, const std::uint64_t* keys, const std::int64_t* places, std::int64_t* sorted,
                       std::int64_t count, int bits) {
    gpu::Frame<Cuda> frame(device);
    auto* sorted_keys = frame.take<std::uint64_t>(count);
    std::size_t bytes = 0;
    gpu::check(cub::DeviceRadixSort::SortPairs(nullptr, bytes, keys, sorted_keys, places, sorted, count, 0, bits,
                                               device.stream()),
               "cub::DeviceRadixSort::SortPairs (size)");
    void* storage = frame.take<std::byte>(static_cast<std::int64_t>(bytes));
    gpu::check(cub::DeviceRadixSort::SortPairs(storage, bytes, keys, sorted_keys, places, sorted, count, 0, bits,
                                               device.stream()),
               "cub::DeviceRadixSort::SortPairs");
}

}  // namespace roars::backend
