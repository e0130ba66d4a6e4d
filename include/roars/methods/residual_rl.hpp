#pragma once

#include <cstdint>
#include <limits>

#include "roars/advantage/action_critics.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/step/clipped.hpp"
#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/regularizer/action_size.hpp"
#include "roars/reward/step_reward.hpp"
#include "roars/sampler/step_replay.hpp"
#include "roars/sampler/with_demonstrations.hpp"
#include "roars/stages.hpp"

namespace roars::methods {

/// ResFiT: residual off-policy fine-tuning of a base policy (arXiv 2509.19301). States end with the base's action, and
/// actions correct it: train::WithBasePolicy makes such a world of any.
using ResidualFineTuning =
    Algorithm<sampler::WithDemonstrations<sampler::StepReplay<sampler::places::Uniform>>,  // half own steps, half
                                                                                           // demonstrations
              reward::StepReward,                                                          // success, at the end
              advantage::ActionCritics<critic::EnsembleTarget, advantage::penalty::None,
                                       critic::shown::CorrectedAction>,  // of what is executed, several steps ahead
              regularizer::ActionSize,                                   // small corrections
              optimizer::PolicyGradient<surrogate::Climb, aggregate::TokenMean, step::Clipped<step::AdamW>>>;

inline constexpr ResidualFineTuning residual_fine_tuning{
    .sampler = {.base = {.capacity = 200000,
                         .batch_size = 128,
                         .random_steps = 10000,
                         .warm_up = 10000,
                         .every = 4,
                         .horizon = 3},
                .demonstrations = 128,
                .horizon = 3},
    .advantage = {.network = {.width = 1024, .layers = 2, .layer_norm = true},
                  .critics = 10,
                  .step = {.learning_rate = 1e-4},
                  .polyak = {.tau = 0.005},
                  .target = {.rule = {.gamma = 0.99, .sigma = 0.25, .noise_clip = 1.5}, .n = 3, .subset = 2},
                  .shown = {.action_scale = 0.2}},
    .regularizer = {.coefficient = 0.0},
    .optimizer = {.step = {.base = {.learning_rate = 5e-6}, .max_norm = 1.0}, .every = 4}};

/// The whole paper: base and noise fill the memory, critics learn alone from it and the demonstrations, and then with
/// their policy and new steps. What was learnt and what was seen goes on.
using Resfit = Stages<Stage<ResidualFineTuning>,
                      Stage<ResidualFineTuning, take::Sampler, take::Advantage, take::Regularizer, take::Optimizer>>;

/// The first stage: an iteration for each step of the warm-up and `updates` of the critics, in which neither the policy
/// learns nor a step is taken.
constexpr Stage<ResidualFineTuning> critics_alone(ResidualFineTuning method, std::int64_t updates) {
    const std::int64_t iterations = method.sampler.base.warm_up + updates;
    method.sampler.base.every = std::numeric_limits<std::int64_t>::max();
    method.optimizer.every = std::numeric_limits<int>::max();
    return {method, iterations};
}
inline constexpr Resfit resfit{critics_alone(residual_fine_tuning, 10000), {residual_fine_tuning, 1200000}};

}  // namespace roars::methods
