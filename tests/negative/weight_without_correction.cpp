// expect: column_needed_but_given_by_no_part_or_actor.*importance_weight
// A weighted surrogate, and no part that gives a weight.
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
Algorithm<sampler::Groups, reward::Verified, advantage::GroupZScore, regularizer::None,
          optimizer::PolicyGradient<surrogate::Weighted<surrogate::Clip>, aggregate::TokenMean, step::AdamW>>
    method;
