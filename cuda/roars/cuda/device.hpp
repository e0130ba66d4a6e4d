#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/backend.hpp"
#include "roars/cuda/block.hpp"
#include "roars/error.hpp"

/// What the kernels' callers ask of a device, and how its memory is held. backend::Cuda (backend.cuh) is one; the tests
/// have another one, on the host.
namespace roars::gpu {

/// Which way a copy goes.
enum class Way { to_device, to_host, within };
/// Whether a factor of a matrix product is transposed.
enum class Transposed { no, yes };
/// How a product of floats is taken: in float, or with the factors rounded to tf32 (10 bits of fraction).
enum class Products { exact, tf32 };

/// Memory and launches are ordered as they are asked for (a stream); nothing waits but wait(), and a copy to the host
/// is there after it.
template <class D>
concept Device = Backend<D> && D::on_device && requires(D device, void* to, const void* from, std::size_t bytes) {
    { device.allocate(bytes) } -> std::convertible_to<void*>;
    device.release(to, bytes);
    device.copy(to, from, bytes, Way::within);
    device.zero(to, bytes);
    device.wait();
    device.arena();
};

/// Values in the device's memory, owned. The device must outlive it.
template <class T, class D>
class Buffer {
    static_assert(std::is_trivially_copyable_v<T>);

public:
    Buffer() = default;
    Buffer(D& device, std::int64_t size) : device_(&device), size_(size) {
        if (size > 0) data_ = static_cast<T*>(device.allocate(bytes()));
    }
    Buffer(D& device, std::span<const T> values) : Buffer(device, std::ssize(values)) { upload(values); }
    Buffer(Buffer&& other) noexcept { swap(other); }
    Buffer& operator=(Buffer&& other) noexcept {
        Buffer taken(std::move(other));
        swap(taken);
        return *this;
    }
    ~Buffer() {
        if (data_) device_->release(data_, bytes());
    }

    T* data() const { return data_; }
    std::int64_t size() const { return size_; }
    void zero() {
        if (size_ > 0) device_->zero(data_, bytes());
    }
    /// Errors: not as many values.
    void upload(std::span<const T> values) {
        expect(std::ssize(values) == size_,
               [&] { return std::to_string(values.size()) + " values for a buffer of " + std::to_string(size_); });
        if (size_ > 0) device_->copy(data_, values.data(), bytes(), Way::to_device);
    }
    /// Waits for the device.
    std::vector<T> download() const {
        std::vector<T> values(static_cast<std::size_t>(size_));
        if (size_ > 0) {
            device_->copy(values.data(), data_, bytes(), Way::to_host);
            device_->wait();
        }
        return values;
    }

private:
    std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }
    void swap(Buffer& other) {
        std::swap(device_, other.device_);
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
    }
    D* device_ = nullptr;
    T* data_ = nullptr;
    std::int64_t size_ = 0;
};

/// Memory that grows to the largest size that was asked for. Contents are unspecified after a change of size.
template <class T, class D>
class Room {
public:
    explicit Room(D& device) : device_(&device) {}
    T* resize(std::int64_t size) {
        if (size > memory_.size()) {
            memory_ = {};
            memory_ = Buffer<T, D>(*device_, size);
        }
        size_ = size;
        return data();
    }
    T* upload(std::span<const T> values) {
        resize(std::ssize(values));
        if (size_ > 0) device_->copy(data(), values.data(), values.size_bytes(), Way::to_device);
        return data();
    }
    T* data() const { return memory_.data(); }
    std::int64_t size() const { return size_; }

private:
    D* device_;
    Buffer<T, D> memory_;
    std::int64_t size_ = 0;
};

/// Scratch memory of a device, taken and given back like a stack. It grows to what the largest call needed and is then
/// one piece: a loop whose sizes do not grow allocates nothing after its first turn, and may be captured in a graph.
template <class D>
class Arena {
public:
    explicit Arena(D& device) : device_(device) {}
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;
    ~Arena() { release_all(); }

    void* take(std::size_t bytes) {
        bytes = (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
        if (chunks_.empty() || chunks_.back().size - chunks_.back().used < bytes) grow(bytes);
        Chunk& chunk = chunks_.back();
        void* taken = chunk.memory + chunk.used;
        chunk.used += bytes;
        return taken;
    }
    std::size_t capacity() const {
        std::size_t all = 0;
        for (const Chunk& chunk : chunks_) all += chunk.size;
        return all;
    }

private:
    template <class>
    friend class Frame;
    static constexpr std::size_t alignment = 256;
    struct Chunk {
        std::byte* memory;
        std::size_t size, used;
    };
    void grow(std::size_t bytes) {
        std::size_t size = std::max(bytes, capacity());
        chunks_.reserve(chunks_.size() + 1);
        chunks_.push_back({static_cast<std::byte*>(device_.allocate(size)), size, 0});
    }
    void release_all() {
        for (const Chunk& chunk : chunks_) device_.release(chunk.memory, chunk.size);
        chunks_.clear();
    }
    void enter() { ++depth_; }
    /// Back to where the frame began. Behind the outermost one, pieces become one.
    void leave(std::size_t chunks, std::size_t used) noexcept {
        for (std::size_t i = chunks; i < chunks_.size(); ++i) chunks_[i].used = 0;
        if (chunks > 0) chunks_[chunks - 1].used = used;
        if (--depth_ > 0 || chunks_.size() < 2) return;
        std::size_t size = capacity();
        release_all();
        try {
            grow(size);
        } catch (...) {  // then the next one to take from it asks again, and is told why
        }
    }

    D& device_;
    std::vector<Chunk> chunks_;
    int depth_ = 0;
};

/// Takes from the arena until it ends.
template <class D>
class Frame {
public:
    explicit Frame(D& device) : device_(device), arena_(device.arena()) {
        arena_.enter();
        chunks_ = arena_.chunks_.size();
        used_ = chunks_ > 0 ? arena_.chunks_.back().used : 0;
    }
    Frame(const Frame&) = delete;
    Frame& operator=(const Frame&) = delete;
    ~Frame() { arena_.leave(chunks_, used_); }

    /// Memory of `count` values, with nothing in it.
    template <class T>
    T* take(std::int64_t count) {
        return static_cast<T*>(arena_.take(static_cast<std::size_t>(count) * sizeof(T)));
    }
    /// The same with a copy of the host's values, which the host may use again once they have arrived.
    template <class T>
    T* upload(std::span<const T> values) {
        T* to = take<T>(std::ssize(values));
        device_.copy(to, values.data(), values.size_bytes(), Way::to_device);
        return to;
    }

private:
    D& device_;
    Arena<D>& arena_;
    std::size_t chunks_, used_;
};

/// One value from the device; waits.
template <class T, class D>
T read_value(D& device, const T* from) {
    T value;
    device.copy(&value, from, sizeof(T), Way::to_host);
    device.wait();
    return value;
}
template <class T, class D>
std::vector<T> read_values(D& device, const T* from, std::int64_t count) {
    std::vector<T> values(static_cast<std::size_t>(count));
    if (count > 0) device.copy(values.data(), from, static_cast<std::size_t>(count) * sizeof(T), Way::to_host);
    device.wait();
    return values;
}

}  // namespace roars::gpu
