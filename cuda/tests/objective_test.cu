#include "cuda_device.cuh"

#include "objective_test.hpp"
