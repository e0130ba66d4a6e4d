#include "cuda_device.cuh"

#include "divergence_test.hpp"
#include "log_softmax_test.hpp"
#include "sampling_test.hpp"
