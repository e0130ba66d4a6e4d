#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "roars/cuda/backend.cuh"

/// Times of work on a stream, between events, as rows of a table: milliseconds, and bytes that must move against what a
/// copy of the device moves in the same run.
namespace roars::gpu::bench {

/// Median of `repeats` runs behind three that do not count, in seconds.
template <class Work>
double seconds(backend::Cuda& device, Work&& work, int repeats = 20) {
    cudaEvent_t begin, end;
    check(cudaEventCreate(&begin), "cudaEventCreate");
    check(cudaEventCreate(&end), "cudaEventCreate");
    std::vector<float> times;
    for (int i = -3; i < repeats; ++i) {
        check(cudaEventRecord(begin, device.stream()), "cudaEventRecord");
        work();
        check(cudaEventRecord(end, device.stream()), "cudaEventRecord");
        check(cudaEventSynchronize(end), "cudaEventSynchronize");
        float milliseconds = 0;
        check(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
        if (i >= 0) times.push_back(milliseconds);
    }
    check(cudaEventDestroy(begin), "cudaEventDestroy");
    check(cudaEventDestroy(end), "cudaEventDestroy");
    std::nth_element(times.begin(), times.begin() + repeats / 2, times.end());
    return double(times[std::size_t(repeats / 2)]) * 1e-3;
}

/// Bytes a second of a copy within the device, read and written.
inline double copy_speed(backend::Cuda& device) {
    constexpr std::int64_t bytes = std::int64_t{1} << 30;
    Buffer<char, backend::Cuda> from(device, bytes), to(device, bytes);
    from.zero();
    return 2.0 * double(bytes) / seconds(device, [&] { device.copy(to.data(), from.data(), bytes, Way::within); });
}

inline void row(const char* name, double time, double bytes, double copy) {
    std::printf("| %s | %.3f | %.0f | %.0f %% |\n", name, time * 1e3, bytes / time * 1e-9, 100 * bytes / time / copy);
    std::fflush(stdout);
}

/// Numbers that are no pattern, from -scale to scale, around `middle`.
template <class T>
struct Fill {
    T* to;
    float scale, middle;
    ROARS_FN void operator()(std::int64_t i) const {
        std::uint32_t x = static_cast<std::uint32_t>(i) * 2654435761u;
        x ^= x >> 15;
        x *= 2246822519u;
        x ^= x >> 13;
        to[i] = static_cast<T>((static_cast<float>(x) * 4.656612873e-10f - 1.0f) * scale + middle);
    }
};
template <class T>
void fill(backend::Cuda& device, T* to, std::int64_t count, float scale, float middle = 0.0f) {
    for_each(device, count, Fill<T>{to, scale, middle});
}

}  // namespace roars::gpu::bench
