#pragma once

#include "roars/advantage/whiten.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// REINFORCE++ (arXiv 2501.03262): no critic and no groups, the whole batch is the baseline.
using ReinforcePlusPlus = Algorithm<sampler::Groups,               // one answer to each prompt
                                    reward::Verified,              // the task's score
                                    advantage::ReinforcePlusPlus,  // rewards to come, whitened over the batch
                                    regularizer::KlInReward,       // every token pays its divergence
                                    optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::Recipe>>;

inline constexpr ReinforcePlusPlus reinforce_plus_plus{
    .sampler = {.prompts = 512, .group_size = 1},
    .advantage = {.base = {.gamma = 1.0}, .eps = 1e-8},
    .regularizer = {.coefficient = 0.01},
    .optimizer = {.surrogate = {.low = 0.2, .high = 0.2}, .step = step::recipe({.learning_rate = 1e-6})}};

}  // namespace roars::methods
