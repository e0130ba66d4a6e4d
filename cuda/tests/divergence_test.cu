#include "cuda_device.cuh"

#include "divergence_test.hpp"
