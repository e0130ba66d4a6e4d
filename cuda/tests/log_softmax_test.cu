#include "cuda_device.cuh"

#include "log_softmax_test.hpp"
