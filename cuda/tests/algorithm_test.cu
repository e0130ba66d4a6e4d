#include "cuda_device.cuh"

#include "algorithm_test.hpp"
#include "objective_test.hpp"
#include "step_test.hpp"

#include "graph_test.cuh"  // of what the others have made already: kernels are dear to compile
