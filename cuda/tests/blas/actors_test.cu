#include "../cuda_device.cuh"
#include "roars/cuda/blas.cuh"

#include "../text_actor_test.hpp"
#include "../transformer_test.hpp"
