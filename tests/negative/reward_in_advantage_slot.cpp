// expect: the third part is not an AdvantagePart: it has no estimate
#include "roars/methods/dapo.hpp"

using namespace roars;
using Confused =
    Algorithm<sampler::Groups, reward::Verified, reward::Verified, regularizer::None, methods::Dapo::Optimizer>;
using Columns = Confused::Columns;
