#include "cuda_device.cuh"

#include "roars/cuda/cub.cuh"

#include "sort_test.hpp"
