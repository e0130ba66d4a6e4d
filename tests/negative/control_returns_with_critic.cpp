#include "roars/methods/ppo.hpp"

using namespace roars;
using Critic = critic::Huber;
using WithCritic = Algorithm<sampler::Groups, reward::Verified, advantage::Whiten<advantage::GaeTokens<Critic>>,
                             regularizer::KlInReward, methods::Ppo::Optimizer>;
using Columns = WithCritic::Columns;
