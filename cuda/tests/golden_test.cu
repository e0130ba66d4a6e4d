#include "cuda_device.cuh"

#include "golden_test.hpp"
