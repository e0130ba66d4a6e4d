#include "cuda_device.cuh"

#include "step_test.hpp"
