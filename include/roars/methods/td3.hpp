#pragma once

#include "roars/advantage/action_critics.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/step_reward.hpp"
#include "roars/sampler/step_replay.hpp"

namespace roars::methods {

/// TD3: twin delayed deep deterministic policy gradient (arXiv 1802.09477). The policy is deterministic.
using TwinDelayed = Algorithm<sampler::StepReplay<sampler::places::Uniform>,     // steps, new ones and old ones
                              reward::StepReward,                                // what the environment pays
                              advantage::ActionCritics<critic::SmoothedTarget>,  // twin critics, a smoothed target
                              regularizer::None,                                 // the target networks hold it
                              optimizer::PolicyGradient<surrogate::Climb, aggregate::TokenMean, step::AdamW>>;

inline constexpr TwinDelayed td3{
    .sampler = {.capacity = 1000000, .batch_size = 256, .random_steps = 1000, .warm_up = 1000},
    .advantage = {.critics = 2, .step = {.learning_rate = 3e-4}, .polyak = {.tau = 0.005}},
    .optimizer = {.step = {.learning_rate = 3e-4}, .every = 2}};

/// DDPG: one critic, no smoothing, no delay (arXiv 1509.02971).
inline constexpr TwinDelayed ddpg{
    .sampler = {.capacity = 1000000, .batch_size = 256, .random_steps = 1000, .warm_up = 1000},
    .advantage = {.critics = 1,
                  .step = {.learning_rate = 1e-3},
                  .polyak = {.tau = 0.005},
                  .target = {.rule = {.sigma = 0.0}}},
    .optimizer = {.step = {.learning_rate = 3e-4}}};

}  // namespace roars::methods
