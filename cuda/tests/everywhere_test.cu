#include "cuda_device.cuh"

#include "everywhere_test.hpp"
