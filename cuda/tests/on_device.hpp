#pragma once

#include <vector>

#include <gtest/gtest.h>

#include "roars/cuda/device.hpp"

/// What the tests of the device share. A test is written once over D: tests/cuda compiles it for loops on the host, in
/// three orders of the threads, and cuda/tests for the GPU, where it is skipped, and never passed, if there is none.
namespace roars::gpu {

template <class D>
struct OnDevice : ::testing::Test {
    void SetUp() override {
        if (!is_there<D>()) GTEST_SKIP() << "no CUDA device";
    }
};

template <class T, class D>
Buffer<T, D> put(D& device, const std::vector<T>& values) {
    return Buffer<T, D>(device, std::span<const T>(values));
}

}  // namespace roars::gpu
