#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// Lite PPO: the two choices that suffice without a critic (arXiv 2508.08221).
using LitePpo = Algorithm<sampler::Groups,                  // several answers to each prompt
                          reward::Verified,                 // right or wrong
                          advantage::GroupMeanBatchSpread,  // centred by the group, scaled by the whole batch
                          regularizer::None,                // free to leave the reference
                          optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::Recipe>>;

inline constexpr LitePpo lite_ppo{
    .sampler = {.prompts = 128, .group_size = 8, .generation = {.temperature = 0.99, .top_p = 0.99}},
    .optimizer = {.surrogate = {.low = 0.2, .high = 0.2}, .step = step::recipe({.learning_rate = 1e-6})}};

}  // namespace roars::methods
