#include "cuda_device.cuh"

#include "roars/cuda/cub.cuh"

#include "everywhere_test.hpp"
