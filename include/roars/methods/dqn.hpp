#pragma once

#include "roars/advantage/action_value_target.hpp"
#include "roars/algorithm.hpp"
#include "roars/critic/value_loss.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/optimizer/surrogates/quantile_regression.hpp"
#include "roars/optimizer/surrogates/weighted.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/step_reward.hpp"
#include "roars/sampler/step_replay.hpp"

namespace roars::methods {

/// DQN (doi 10.1038/nature14236): the policy is a network of action values, greedy but for a share of random actions.
template <class Choice, class Places, class Surrogate>
using DeepQOf = Algorithm<sampler::StepReplay<Places>,           // steps, new ones and old ones
                          reward::StepReward,                    // what the environment pays
                          advantage::ActionValueTarget<Choice>,  // rewards, and the best of the state behind them
                          regularizer::None,                     // the target network holds it
                          optimizer::PolicyGradient<Surrogate, aggregate::TokenMean, step::DecayingRecipe>>;

using ControlDeepQ = DeepQOf<advantage::choice::Target, sampler::places::Uniform, critic::HuberOf<col::q>>;
/// Double DQN (arXiv 1509.06461): the network that learns chooses, the target network values.
using DoubleDeepQ = DeepQOf<advantage::choice::Online, sampler::places::Uniform, critic::HuberOf<col::q>>;
/// Double DQN on three steps (arXiv 1710.02298) drawn by priority (arXiv 1511.05952).
using PrioritisedDeepQ =
    DeepQOf<advantage::choice::Online, sampler::places::Prioritised, surrogate::Weighted<critic::HuberOf<col::q>>>;
/// QR-DQN (arXiv 1710.10044): quantiles of the return in the place of its mean.
using QuantileDeepQ =
    Algorithm<sampler::StepReplay<sampler::places::Uniform>, reward::StepReward, advantage::QuantileTarget,
              regularizer::None,
              optimizer::PolicyGradient<surrogate::QuantileRegression, aggregate::TokenMean, step::DecayingRecipe>>;

inline constexpr ControlDeepQ dqn{
    .sampler = {.capacity = 1000000, .batch_size = 32, .random_steps = 1000, .warm_up = 1000, .steps = 4},
    .advantage = {.gamma = 0.99},
    .optimizer = {.surrogate = {.coefficient = 1.0}, .step = step::constant_recipe({.learning_rate = 1e-4}, 10.0)}};
inline constexpr DoubleDeepQ double_dqn{
    .sampler = dqn.sampler, .advantage = {.gamma = 0.99}, .optimizer = dqn.optimizer};
inline constexpr PrioritisedDeepQ prioritised_dqn{
    .sampler = {.capacity = 1000000,
                .batch_size = 32,
                .random_steps = 1000,
                .warm_up = 1000,
                .steps = 4,
                .horizon = 3,
                .places = {.alpha = 0.5, .beta = 0.4}},
    .advantage = {.gamma = 0.99, .n = 3},
    .optimizer = {.surrogate = {.base = {.coefficient = 1.0}},
                  .step = step::constant_recipe({.learning_rate = 1e-4}, 10.0)}};
inline constexpr QuantileDeepQ qr_dqn{.sampler = dqn.sampler,
                                      .advantage = {.gamma = 0.99},
                                      .optimizer = {.step = step::constant_recipe({.learning_rate = 5e-5}, 10.0)}};

}  // namespace roars::methods
