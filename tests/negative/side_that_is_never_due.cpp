// expect: does not say when it is due
#include "roars/interleaved.hpp"
#include "roars/methods/grpo.hpp"
#include "roars/methods/supervised.hpp"

using namespace roars;
Interleaved<methods::Grpo, methods::SupervisedLikelihood> method;
