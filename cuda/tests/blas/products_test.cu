#include "../cuda_device.cuh"
#include "roars/cuda/blas.cuh"

#include "../linear_test.hpp"
#include "../muon_test.hpp"
