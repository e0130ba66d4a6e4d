#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/advantage/plus.hpp"
#include "roars/advantage/reward_to_go.hpp"
#include "roars/advantage/times_group.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/reward/combine.hpp"
#include "roars/reward/format.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/reward/shortest_right.hpp"
#include "roars/sampler/ladder.hpp"

namespace roars::methods {

/// Observe-R1: dynamic progressive RL (arXiv 2505.12432).
using ObserveR1 =
    Algorithm<sampler::Ladder,  // from easy and short to hard and long
              reward::Then<reward::Sum<reward::Verified, reward::Scale<reward::Format>>,
                           reward::ShortestRightBonus>,  // right, of the form, and the shortest of its group
              advantage::Plus<advantage::TimesGroup<advantage::GroupZScore, weight::Uncertainty>,  // unsure prompts
                              advantage::RewardToGo>,  // and what the tokens cost
              regularizer::KlOfTokens,                 // the divergence to come, in the return
              optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::Recipe>>;

inline constexpr ObserveR1 observe_r1{
    .sampler = {.prompts = 128, .group_size = 8, .attempts = 8},
    .reward = {.first = {reward::Verified{}, reward::Scale<reward::Format>{.factor = 0.5}},
               .second = {.bonus = 0.2, .min_length = 100}},
    .advantage = {.base = {.base = {.scale = {.eps = 1e-9, .ddof = 1}}, .weight = {.sigma = 1.8}}},
    .regularizer = {.coefficient = 0.01},
    .optimizer = {
        .surrogate = {.low = 0.2, .high = 0.2}, .step = step::recipe({.learning_rate = 1e-6}), .minibatches = 2}};

}  // namespace roars::methods
