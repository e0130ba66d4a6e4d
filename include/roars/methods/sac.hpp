#pragma once

#include "roars/advantage/action_critics.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/regularizer/entropy_temperature.hpp"
#include "roars/reward/step_reward.hpp"
#include "roars/sampler/step_replay.hpp"

namespace roars::methods {

/// SAC: soft actor-critic with a learned temperature (arXiv 1812.05905). The policy is a squashed Gaussian.
using SoftActorCritic = Algorithm<sampler::StepReplay<sampler::places::Uniform>,  // steps, new ones and old ones
                                  reward::StepReward,                             // what the environment pays
                                  advantage::ActionCritics<critic::SoftTarget>,  // twin critics, the smaller one counts
                                  regularizer::EntropyTemperature,  // as random as the temperature pays for
                                  optimizer::PolicyGradient<surrogate::Climb, aggregate::TokenMean, step::AdamW>>;

inline constexpr SoftActorCritic sac{
    .sampler = {.capacity = 1000000, .batch_size = 256, .random_steps = 1000, .warm_up = 1000},
    .advantage = {.network = {.width = 256, .layers = 2},
                  .critics = 2,
                  .step = {.learning_rate = 3e-4},
                  .polyak = {.tau = 0.005},
                  .target = {.gamma = 0.99}},
    .regularizer = {.initial = 1.0, .entropy_per_dimension = -1.0, .step = {.learning_rate = 3e-4}},
    .optimizer = {.step = {.learning_rate = 3e-4}}};

}  // namespace roars::methods
