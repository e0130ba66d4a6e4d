#include "cuda_device.cuh"

#include "segments_test.hpp"
