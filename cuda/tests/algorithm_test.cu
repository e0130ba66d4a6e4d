#include "cuda_device.cuh"

#include "algorithm_test.hpp"
#include "graph_test.cuh"  // of what the other has made already: kernels are dear to compile
