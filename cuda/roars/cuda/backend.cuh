#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include <cuda_runtime_api.h>

#include "roars/cuda/device.hpp"

namespace roars::gpu {

/// A CUDA call that failed: which, and the runtime's reason.
struct CallFailed : std::runtime_error {
    CallFailed(const std::string& call, cudaError_t code)
        : std::runtime_error(call + ": " + cudaGetErrorName(code) + ", " + cudaGetErrorString(code)), code(code) {}
    cudaError_t code;
};
inline void check(cudaError_t code, const char* call) {
    if (code == cudaSuccess) return;
    static_cast<void>(cudaGetLastError());  // told of now; the next call begins without it
    throw CallFailed(call, code);
}

/// Devices that can be used; 0 where there is no driver.
inline int device_count() {
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess) {
        static_cast<void>(cudaGetLastError());
        return 0;
    }
    return count;
}

/// Where memory comes from. Yours, or one of the two below. Both calls are ordered on the stream.
class MemoryResource {
public:
    virtual ~MemoryResource() = default;
    virtual void* allocate(std::size_t bytes, cudaStream_t stream) = 0;
    virtual void release(void* memory, std::size_t bytes, cudaStream_t stream) noexcept = 0;
};

/// The current device's own stream-ordered pool.
class DefaultMemory final : public MemoryResource {
public:
    void* allocate(std::size_t bytes, cudaStream_t stream) override {
        void* memory = nullptr;
        check(cudaMallocAsync(&memory, bytes, stream), "cudaMallocAsync");
        return memory;
    }
    void release(void* memory, std::size_t, cudaStream_t stream) noexcept override {
        static_cast<void>(cudaFreeAsync(memory, stream));
    }
};
inline MemoryResource& default_memory() {
    static DefaultMemory memory;
    return memory;
}

/// A pool of its own on one device, which keeps what is given back until it ends.
class PoolMemory final : public MemoryResource {
public:
    explicit PoolMemory(int device = 0) {
        cudaMemPoolProps properties{};
        properties.allocType = cudaMemAllocationTypePinned;
        properties.location.type = cudaMemLocationTypeDevice;
        properties.location.id = device;
        check(cudaMemPoolCreate(&pool_, &properties), "cudaMemPoolCreate");
        std::uint64_t keep = ~std::uint64_t{0};
        check(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &keep), "cudaMemPoolSetAttribute");
    }
    PoolMemory(const PoolMemory&) = delete;
    PoolMemory& operator=(const PoolMemory&) = delete;
    ~PoolMemory() override { static_cast<void>(cudaMemPoolDestroy(pool_)); }

    void* allocate(std::size_t bytes, cudaStream_t stream) override {
        void* memory = nullptr;
        check(cudaMallocFromPoolAsync(&memory, bytes, pool_, stream), "cudaMallocFromPoolAsync");
        return memory;
    }
    void release(void* memory, std::size_t, cudaStream_t stream) noexcept override {
        static_cast<void>(cudaFreeAsync(memory, stream));
    }

private:
    cudaMemPool_t pool_ = nullptr;
};

/// A stream of its own, for those who have none.
class Stream {
public:
    Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags"); }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { static_cast<void>(cudaStreamDestroy(stream_)); }
    operator cudaStream_t() const { return stream_; }

private:
    cudaStream_t stream_ = nullptr;
};

#if defined(__CUDACC__)
namespace detail {
template <class Body>
__global__ void __launch_bounds__(Body::threads) run_body(const __grid_constant__ Body body) {
    __shared__ typename Body::Shared shared;
    DeviceBlock<Body::threads> block;
    body(block, shared);
}
}  // namespace detail
#endif

}  // namespace roars::gpu

namespace roars::backend {

/// A GPU: the current device, a stream and a memory resource, all three the caller's. Nothing synchronises but what
/// says so; what it needs in passing comes from its arena. Not to be copied; use one per stream.
class Cuda {
public:
    static constexpr bool on_device = true;
    std::int64_t grain = 16384;

    explicit Cuda(cudaStream_t stream = nullptr, gpu::MemoryResource& memory = gpu::default_memory())
        : stream_(stream), memory_(&memory), arena_(*this) {}
    Cuda(const Cuda&) = delete;
    Cuda& operator=(const Cuda&) = delete;

    cudaStream_t stream() const { return stream_; }
    gpu::Arena<Cuda>& arena() { return arena_; }

    /// Errors: the stream is being captured. Memory of a graph would end with it.
    void* allocate(std::size_t bytes) {
        cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
        gpu::check(cudaStreamIsCapturing(stream_, &capture), "cudaStreamIsCapturing");
        expect(capture == cudaStreamCaptureStatusNone,
               "memory is needed while the stream is captured: run the same work once before the capture");
        return memory_->allocate(bytes, stream_);
    }
    void release(void* memory, std::size_t bytes) noexcept { memory_->release(memory, bytes, stream_); }

    void copy(void* to, const void* from, std::size_t bytes, gpu::Way way) {
        auto kind = way == gpu::Way::to_device ? cudaMemcpyHostToDevice
                    : way == gpu::Way::to_host ? cudaMemcpyDeviceToHost
                                               : cudaMemcpyDeviceToDevice;
        if (bytes > 0) gpu::check(cudaMemcpyAsync(to, from, bytes, kind, stream_), "cudaMemcpyAsync");
    }
    void zero(void* to, std::size_t bytes) {
        if (bytes > 0) gpu::check(cudaMemsetAsync(to, 0, bytes, stream_), "cudaMemsetAsync");
    }
    void wait() { gpu::check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

#if defined(__CUDACC__)
    /// `body` in `blocks` blocks; none for 0.
    template <class Body>
    void launch(std::int64_t blocks, const Body& body) {
        static_assert(std::is_trivially_copyable_v<Body>, "a kernel's body is copied to the device as bytes");
        if (blocks <= 0) return;
        expect(blocks <= 2147483647, [&] { return std::to_string(blocks) + " blocks are more than a grid can have"; });
        gpu::detail::run_body<Body><<<static_cast<unsigned>(blocks), Body::threads, 0, stream_>>>(body);
        gpu::check(cudaGetLastError(), "launch of a kernel");
    }
#endif

private:
    cudaStream_t stream_;
    gpu::MemoryResource* memory_;
    gpu::Arena<Cuda> arena_;
};

}  // namespace roars::backend
