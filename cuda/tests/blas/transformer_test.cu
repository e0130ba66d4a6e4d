#include "../cuda_device.cuh"

#include "roars/cuda/blas.cuh"

#include "../transformer_test.hpp"
