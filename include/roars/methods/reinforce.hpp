#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// REINFORCE with the batch's mean reward as baseline (Williams 1992, doi 10.1007/BF00992696).
using Reinforce = Algorithm<sampler::Groups,           // one answer to each prompt
                            reward::Verified,          // right or wrong
                            advantage::BatchBaseline,  // better or worse than the batch
                            regularizer::None,         // free to leave the reference
                            optimizer::PolicyGradient<surrogate::PolicyGradient, aggregate::TokenMean, step::Recipe>>;

inline constexpr Reinforce reinforce{.sampler = {.prompts = 512, .group_size = 1},
                                     .optimizer = {.step = step::recipe({.learning_rate = 1e-6})}};

}  // namespace roars::methods
