#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/methods/ppo.hpp"
#include "roars/reward/combine.hpp"
#include "roars/reward/fewest_calls.hpp"

namespace roars::methods {

/// OTC-GRPO: optimal tool calls (arXiv 2504.14870), with any coefficient of the calls. A mean over tokens, because one
/// by sequence prefers short right answers by itself.
template <class Coefficient>
using OptimalToolCalls = Algorithm<sampler::Groups,                              // several answers to each question
                                   reward::Then<reward::Verified, Coefficient>,  // right, and worth more with few calls
                                   advantage::GroupZScore,                       // the group is the baseline
                                   regularizer::Kl<kl::K3>,                      // near the start
                                   optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::Recipe>>;

/// Beside the fewest calls of a right answer of the group.
using OtcGrpo = OptimalToolCalls<reward::FewestCalls>;
/// And of all earlier answers to the same question.
using RememberingOtcGrpo = OptimalToolCalls<reward::RememberedFewestCalls>;

/// OTC-PPO: no group, and so nothing to compare with: the fewer calls the better.
using OtcPpo = Algorithm<sampler::Groups,                                                // one answer to a question
                         reward::Then<reward::Verified, reward::FewCalls>,               // right, with few calls
                         advantage::Whiten<advantage::GaeTokens<critic::ClippedValue>>,  // a learned baseline
                         regularizer::KlInReward,                                        // near the start
                         optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::Recipe>>;

inline constexpr OtcGrpo otc_grpo{
    .sampler = {.prompts = 256, .group_size = 5},
    .reward = {.second = {.scale = 1.0, .smooth = 4.0}},
    .regularizer = {.coefficient = 0.001},
    .optimizer = {.surrogate = {.low = 0.2, .high = 0.2}, .step = step::recipe({.learning_rate = 1e-6})}};

inline constexpr RememberingOtcGrpo otc_grpo_memory{.sampler = otc_grpo.sampler,
                                                    .reward = {.second = {.base = otc_grpo.reward.second}},
                                                    .regularizer = otc_grpo.regularizer,
                                                    .optimizer = otc_grpo.optimizer};

inline constexpr OtcPpo otc_ppo{
    .sampler = {.prompts = 256, .group_size = 1},
    .reward = {.second = {.scale = 1.0, .smooth = 4.0}},
    .advantage = {.base = {.gamma = 1.0, .lambda = 1.0, .critic = {.coefficient = 0.5, .clip = 0.2}}},
    .regularizer = {.coefficient = 0.001},
    .optimizer = {.surrogate = {.low = 0.2, .high = 0.2}, .step = step::recipe({.learning_rate = 1e-6})}};

}  // namespace roars::methods
