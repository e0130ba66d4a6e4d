// expect: state_taken_over_is_of_another_type<.*take::Optimizer
#include "roars/methods/dapo.hpp"
#include "roars/methods/q_learning.hpp"
#include "roars/stages.hpp"

using namespace roars;
using Second = Stage<methods::DeepQ, take::Optimizer>;
auto state = Second::begin(methods::Dapo::State{});
