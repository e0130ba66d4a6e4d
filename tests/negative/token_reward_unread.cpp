// expect: column_given_but_read_by_no_part<.*columns<.*col::token_reward> *>
#include "roars/methods/dapo.hpp"
#include "roars/regularizer/kl.hpp"

using namespace roars;
using Wasteful = Algorithm<sampler::Groups, reward::Verified, advantage::GroupZScore, regularizer::KlInReward,
                           methods::Dapo::Optimizer>;
using Columns = Wasteful::Columns;
