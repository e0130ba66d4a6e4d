#include "cuda_device.cuh"
#include "roars/cuda/cub.cuh"

#include "scan_test.hpp"
#include "segments_test.hpp"
#include "sort_test.hpp"
