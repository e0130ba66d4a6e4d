#pragma once

#include "roars/advantage/action_critics.hpp"
#include "roars/advantage/conservative_lagrangian.hpp"
#include "roars/advantage/critic_weight.hpp"
#include "roars/advantage/implicit_q.hpp"
#include "roars/advantage/none.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/surrogate.hpp"
#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/regularizer/entropy_temperature.hpp"
#include "roars/regularizer/near_action.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/none.hpp"
#include "roars/reward/step_reward.hpp"
#include "roars/sampler/data_rows.hpp"

/// Methods that learn from a data set of transitions and take no step themselves.
namespace roars::methods {

/// Behaviour cloning: the action of the data by least squares, a deterministic policy.
using BehaviourCloning =
    Algorithm<sampler::DataRows,  // rows of the data
              reward::None,       // none is looked at
              advantage::None,    // every action counts alike
              regularizer::None,  // nothing else to stay near
              optimizer::PolicyGradient<regularizer::BehaviourCloning, aggregate::TokenMean, step::AdamW>>;
inline constexpr BehaviourCloning behaviour_cloning{.sampler = {.batch_size = 256},
                                                    .optimizer = {.step = {.learning_rate = 3e-4}}};

/// TD3+BC (arXiv 2106.06860): TD3 that stays near the actions of the data.
using TwinDelayedCloning =
    Algorithm<sampler::DataRows,                                 // rows of the data
              reward::StepReward,                                // what they were paid
              advantage::ActionCritics<critic::SmoothedTarget>,  // twin critics, a smoothed target
              regularizer::BehaviourCloning,                     // near the data's action
              optimizer::PolicyGradient<surrogate::NormalisedClimb, aggregate::TokenMean, step::AdamW>>;
inline constexpr TwinDelayedCloning td3_bc{
    .sampler = {.batch_size = 256, .standardise = true},
    .advantage = {.critics = 2, .step = {.learning_rate = 3e-4}, .polyak = {.tau = 0.005}},
    .regularizer = {.coefficient = 1.0},
    .optimizer = {.surrogate = {.alpha = 2.5}, .step = {.learning_rate = 3e-4}, .every = 2}};

/// IQL (arXiv 2110.06169): values of the data's own actions, and the better ones of them imitated.
using ImplicitQLearning =
    Algorithm<sampler::DataRows,       // rows of the data
              reward::StepReward,      // what they were paid
              advantage::ImplicitQ<>,  // an expectile of the action values
              regularizer::None,       // the likelihood holds it
              optimizer::PolicyGradient<surrogate::PolicyGradient, aggregate::TokenMean, step::AdamW>>;
inline constexpr ImplicitQLearning iql{
    .sampler = {.batch_size = 256},
    .advantage = {.gamma = 0.99, .value_loss = {.tau = 0.7}, .weight = {.temperature = 3.0, .cap = 100.0}},
    .optimizer = {.step = {.learning_rate = 3e-4}}};

/// AWAC (arXiv 2006.09359): actions of the data, weighed by their advantage over the policy's own.
using AdvantageWeighted =
    Algorithm<sampler::DataRows,        // rows of the data
              reward::StepReward,       // what they were paid
              advantage::CriticWeight,  // how much better than the policy's action
              regularizer::None,        // the likelihood holds it
              optimizer::PolicyGradient<surrogate::PolicyGradient, aggregate::TokenMean, step::AdamW>>;
inline constexpr AdvantageWeighted awac{
    .sampler = {.batch_size = 1024},
    .advantage = {.critics = {.critics = 2, .step = {.learning_rate = 3e-4}}, .weight = {.temperature = 1.0}},
    .optimizer = {.step = {.learning_rate = 3e-4}}};

/// CQL (arXiv 2006.04779): soft actor-critic whose critics value what the data lacks low.
using ConservativeQ =
    Algorithm<sampler::DataRows,                                                               // rows of the data
              reward::StepReward,                                                              // what they were paid
              advantage::ActionCritics<critic::SoftTarget, advantage::penalty::Conservative>,  // doubt
              regularizer::EntropyTemperature,                                                 // a learned temperature
              optimizer::PolicyGradient<surrogate::Climb, aggregate::TokenMean, step::AdamW>>;
inline constexpr ConservativeQ cql{
    .sampler = {.batch_size = 256},
    .advantage = {.critics = 2, .step = {.learning_rate = 3e-4}, .penalty = {.weight = 5.0}},
    .regularizer = {.step = {.learning_rate = 1e-4}},
    .optimizer = {.step = {.learning_rate = 1e-4}}};

/// CQL whose penalty has a learned weight: the gap is held near a threshold.
using ConservativeQLagrangian =
    Algorithm<sampler::DataRows,                                                                         // its rows
              reward::StepReward,                                                                        // its pay
              advantage::ActionCritics<critic::SoftTarget, advantage::penalty::ConservativeLagrangian>,  // doubt
              regularizer::EntropyTemperature,  // a learned temperature
              optimizer::PolicyGradient<surrogate::Climb, aggregate::TokenMean, step::AdamW>>;
inline constexpr ConservativeQLagrangian cql_lagrange{
    .sampler = {.batch_size = 256},
    .advantage = {.critics = 2,
                  .step = {.learning_rate = 3e-4},
                  .penalty = {.gap = {.weight = 5.0}, .multiplier = {.target = 10.0}}},
    .regularizer = {.step = {.learning_rate = 1e-4}},
    .optimizer = {.step = {.learning_rate = 1e-4}}};

}  // namespace roars::methods
