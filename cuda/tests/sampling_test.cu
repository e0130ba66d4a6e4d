#include "cuda_device.cuh"

#include "sampling_test.hpp"
