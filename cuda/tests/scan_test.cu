#include "cuda_device.cuh"

#include "scan_test.hpp"
