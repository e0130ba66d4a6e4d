#include "../cuda_device.cuh"

#include "roars/cuda/blas.cuh"

#include "../muon_test.hpp"
