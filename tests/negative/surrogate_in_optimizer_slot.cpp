// expect: the fifth part is not an OptimizerPart: it has no terms, aggregate and step
#include "roars/methods/dapo.hpp"

using namespace roars;
using Short = Algorithm<sampler::Groups, reward::Verified, advantage::GroupZScore, regularizer::None, surrogate::Clip>;
using Columns = Short::Columns;
