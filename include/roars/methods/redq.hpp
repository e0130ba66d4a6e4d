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

/// REDQ: randomised ensembled double Q-learning (arXiv 2101.05982): ten critics, twenty updates of them a step.
using RandomEnsemble =
    Algorithm<sampler::StepReplay<sampler::places::Uniform>,         // a step, and twenty batches
              reward::StepReward,                                    // what the environment pays
              advantage::ActionCritics<critic::RandomSubsetTarget>,  // the least of two critics drawn anew
              regularizer::EntropyTemperature,                       // as random as the temperature pays for
              optimizer::PolicyGradient<surrogate::Climb, aggregate::TokenMean, step::AdamW>>;

inline constexpr RandomEnsemble redq{
    .sampler = {.capacity = 1000000, .batch_size = 256, .random_steps = 5000, .warm_up = 5000, .every = 20},
    .advantage = {.critics = 10,
                  .step = {.learning_rate = 3e-4},
                  .polyak = {.tau = 0.005},
                  .target = {.gamma = 0.99, .subset = 2}},
    .regularizer = {.step = {.learning_rate = 3e-4}},
    .optimizer = {.step = {.learning_rate = 3e-4}, .every = 20}};

}  // namespace roars::methods
