#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/correction.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/surrogates/weighted.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

using namespace roars;
Algorithm<sampler::Groups, reward::Verified, advantage::GroupZScore, correction::TruncatedToken,
          optimizer::PolicyGradient<surrogate::Weighted<surrogate::Clip>, aggregate::TokenMean, step::AdamW>>
    method;
