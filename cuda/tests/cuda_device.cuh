#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <gtest/gtest.h>

#include "roars/cuda/backend.cuh"

namespace roars::gpu {

/// The types of 16 bits that the tests use.
using Brain = __nv_bfloat16;
using Half = __half;
using Devices = ::testing::Types<backend::Cuda>;
using OneDevice = Devices;
template <class D>
bool is_there() {
    return device_count() > 0;
}

}  // namespace roars::gpu
