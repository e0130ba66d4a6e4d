// expect: column_needed_but_given_by_no_part_or_actor<.*columns<.*col::advantage> *>
#include "roars/advantage/none.hpp"
#include "roars/methods/dapo.hpp"
#include "roars/reward/none.hpp"

using namespace roars;
using Aimless = Algorithm<sampler::Groups, reward::None, advantage::None, regularizer::None, methods::Dapo::Optimizer>;
using Columns = Aimless::Columns;
