#pragma once

#include "roars/advantage/whiten.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/optimizer/surrogates/clip_variants.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/reward/combine.hpp"
#include "roars/reward/length_budget.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/reward/truncated.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// DLER with any reward that punishes length (arXiv 2510.15110).
template <class LengthReward>
using LengthPenalised =
    Algorithm<sampler::RedrawGroups<sampler::keep::InformativeOrAlone>,  // no group without a contrast
              LengthReward,                                              // too long is wrong
              advantage::WhitenedGroupMean,                              // centred by the group, scaled by the batch
              regularizer::Kl<kl::K3>,                                   // loosely near the start
              optimizer::PolicyGradient<surrogate::DualClip, aggregate::TokenMean, step::Recipe>>;

/// DLER: doing length penalty right. One limit for all; an answer that did not end by itself keeps a tenth.
using Dler = LengthPenalised<reward::ScaleTruncated<reward::Gate<reward::Within, reward::Verified>>>;
/// DA-DLER: prompts that are answered rightly more often get a shorter limit.
using DifficultyAwareDler = LengthPenalised<reward::Then<reward::Verified, reward::DifficultyBudget<2>>>;

inline constexpr Dler dler{.sampler = {.prompts = 512, .group_size = 16, .max_draws = 8},
                           .reward = {.base = {.door = {.max_length = 4000}}, .factor = 0.1},
                           .regularizer = {.coefficient = 5e-4},
                           .optimizer = {.surrogate = {.low = 0.2, .high = 0.28, .bound = 10.0},
                                         .step = step::recipe({.learning_rate = 1e-6, .weight_decay = 0.01}),
                                         .minibatches = 8}};

inline constexpr DifficultyAwareDler dler_difficulty{
    .sampler = dler.sampler,
    .reward = {.second = {.thresholds = {0.5}, .budgets = {4000, 2000}}},
    .regularizer = dler.regularizer,
    .optimizer = dler.optimizer};

}  // namespace roars::methods
