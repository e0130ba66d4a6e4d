#include "cuda_device.cuh"

#include "algorithm_test.hpp"
