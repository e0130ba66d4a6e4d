#pragma once

#include "roars/advantage/gae.hpp"
#include "roars/advantage/whiten.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/reward/step_reward.hpp"
#include "roars/sampler/rollouts.hpp"

namespace roars::methods {

/// PPO on environments (arXiv 1707.06347): a Gaussian or a categorical policy, a network of values beside it. The
/// values are not held near the old ones (critic::ClippedValue): that is in units of the return, which an environment
/// chooses.
using ControlPpo = Algorithm<sampler::Rollouts,   // fresh steps of every environment
                             reward::StepReward,  // what the environment pays
                             advantage::Whiten<advantage::Gae<critic::SquaredError>>,  // a learned baseline
                             regularizer::EntropyBonus,                                // spread out
                             optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::DecayingRecipe>>;
inline constexpr ControlPpo control_ppo{
    .sampler = {.steps = 2048},
    .advantage = {.base = {.gamma = 0.99, .lambda = 0.95, .critic = {.coefficient = 0.5}}},
    .regularizer = {.coefficient = 0.0},
    .optimizer = {.surrogate = {.low = 0.2, .high = 0.2},
                  .step = step::constant_recipe({.learning_rate = 3e-4, .eps = 1e-5}, 0.5),
                  .epochs = 10,
                  .minibatches = 32}};

/// A2C on environments (arXiv 1602.01783): short rollouts of several environments, one step on each.
using ControlActorCritic =
    Algorithm<sampler::Rollouts,                     // a few fresh steps of every environment
              reward::StepReward,                    // what the environment pays
              advantage::Gae<critic::SquaredError>,  // a learned baseline
              regularizer::EntropyBonus,             // spread out
              optimizer::PolicyGradient<surrogate::PolicyGradient, aggregate::TokenMean, step::Recipe>>;
inline constexpr ControlActorCritic control_actor_critic{
    .sampler = {.steps = 5},
    .advantage = {.gamma = 0.99, .lambda = 1.0, .critic = {.coefficient = 0.5}},
    .regularizer = {.coefficient = 0.01},
    .optimizer = {.step = step::recipe({.learning_rate = 7e-4, .eps = 1e-5}, 0, 0.5)}};

}  // namespace roars::methods
