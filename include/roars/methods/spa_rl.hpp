#pragma once

#include "roars/advantage/gae_tokens.hpp"
#include "roars/advantage/whiten.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/kl_in_turn_reward.hpp"
#include "roars/reward/combine.hpp"
#include "roars/reward/of_turns.hpp"
#include "roars/reward/progress_attribution.hpp"
#include "roars/sampler/explore_first.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// SPA-RL: stepwise progress attribution (arXiv 2505.20732).
using SpaRl = Algorithm<sampler::ExploreFirst<sampler::Groups>,  // the start policy's rollouts, for the estimator
                        reward::Then<reward::ProgressAttribution, reward::Grounding>,   // what a step contributed
                        advantage::Whiten<advantage::GaeTokens<critic::ClippedValue>>,  // a learned baseline per token
                        regularizer::KlInTurnReward,  // at the step's end; every token pays its divergence
                        optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::Recipe>>;

inline constexpr SpaRl spa_rl{
    .sampler = {.base = {.prompts = 256, .group_size = 1}},
    .reward = {.first = {.ridge = 1e-3}, .second = {.alpha = 1.0, .beta = 0.5}},
    .advantage = {.base = {.gamma = 1.0, .lambda = 0.95, .critic = {.coefficient = 0.5, .clip = 0.2}}},
    .regularizer = {.coefficient = 0.02},
    .optimizer = {.surrogate = {.low = 0.2, .high = 0.2}, .step = step::recipe({.learning_rate = 3e-6})}};

}  // namespace roars::methods
