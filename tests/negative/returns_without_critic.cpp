// expect: column_given_but_read_by_no_part<.*col::returns
#include "roars/methods/ppo.hpp"

using namespace roars;
using Critic = critic::None;
using WithoutCritic = Algorithm<sampler::Groups, reward::Verified, advantage::Whiten<advantage::GaeTokens<Critic>>,
                                regularizer::KlInReward, methods::Ppo::Optimizer>;
using Columns = WithoutCritic::Columns;
