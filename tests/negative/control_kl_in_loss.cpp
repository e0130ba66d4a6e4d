#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

using namespace roars;
Algorithm<sampler::Groups, reward::Verified, advantage::GroupZScore, regularizer::Kl<>,
          optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::AdamW>>
    method;
