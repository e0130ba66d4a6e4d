#include "roars/interleaved.hpp"
#include "roars/methods/grpo.hpp"
#include "roars/methods/relift.hpp"

using namespace roars;
Interleaved<methods::Grpo, methods::Relift::SideAlgorithm> method;
