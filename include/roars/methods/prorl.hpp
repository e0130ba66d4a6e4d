#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/regularizer/reset_reference.hpp"
#include "roars/regularizer/sum.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/reward/truncated.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// ProRL: prolonged reinforcement learning (arXiv 2505.24864), with any rule for when to begin again.
template <class When>
using ResetReinforcement =
    Algorithm<sampler::DynamicGroups,                    // no group all right or all wrong
              reward::ScaleTruncated<reward::Verified>,  // an answer that did not end is worth a tenth
              advantage::GroupZScore,                    // the group is the baseline
              regularizer::Sum<regularizer::Kl<kl::ExactK3>, regularizer::ResetReference<When>>,  // near a moving start
              optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::Recipe>>;

/// The reference is reset where validation stands still or falls.
using ProRl = ResetReinforcement<begin_again::OnPlateau>;
/// The reference is reset at fixed times.
using ScheduledProRl = ResetReinforcement<begin_again::Every>;

inline constexpr ProRl prorl{
    .sampler = {.prompts = 256, .group_size = 16, .generation = {.temperature = 1.2}},
    .reward = {.factor = 0.1},
    .regularizer = {regularizer::Kl<kl::ExactK3>{.coefficient = 5e-4},
                    regularizer::ResetReference<begin_again::OnPlateau>{
                        {.patience = 3, .min_improvement = 0.005, .max_drop = 0.05}}},
    .optimizer = {
        .surrogate = {.low = 0.2, .high = 0.4}, .step = step::recipe({.learning_rate = 2e-6}), .minibatches = 4}};

inline constexpr ScheduledProRl prorl_scheduled{
    .sampler = prorl.sampler,
    .reward = prorl.reward,
    .regularizer = {regularizer::Kl<kl::ExactK3>{.coefficient = 5e-4},
                    regularizer::ResetReference<begin_again::Every>{{.iterations = 150}}},
    .optimizer = prorl.optimizer};

}  // namespace roars::methods
