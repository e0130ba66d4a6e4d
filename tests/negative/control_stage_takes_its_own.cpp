#include "roars/methods/dapo.hpp"
#include "roars/stages.hpp"

using namespace roars;
using Second = Stage<methods::Dapo, take::Optimizer>;
auto state = Second::begin(methods::Dapo::State{});
