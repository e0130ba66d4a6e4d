#pragma once

#include "roars/advantage/model_critics.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/regularizer/mean_discrepancy.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/regularizer/tuned_weight.hpp"
#include "roars/reward/step_reward.hpp"
#include "roars/sampler/data_rows.hpp"

/// Methods that learn a model of the data's actions beside critics and policy, and keep the policy within it.
namespace roars::methods {

/// BCQ (arXiv 1812.02900): the policy moves actions that the model draws, by a little.
using BatchConstrainedQ =
    Algorithm<sampler::DataRows,                                                            // rows of the data
              reward::StepReward,                                                           // what they were paid
              advantage::ModelCritics<critic::carried::Moved, critic::PolicyValue::first>,  // twin critics, the model
              regularizer::None,                                                            // the model holds it
              optimizer::PolicyGradient<surrogate::Climb, aggregate::TokenMean, step::AdamW>>;
inline constexpr BatchConstrainedQ bcq{
    .sampler = {.batch_size = 100},
    .advantage = {.critics = {.critics = 2, .step = {.learning_rate = 1e-3}, .target = {.rule = {.pessimism = 0.75}}},
                  .carried = {.move = {.range = 0.05}}},
    .optimizer = {.step = {.learning_rate = 1e-3}}};

/// BEAR (arXiv 1906.00949): the policy's draws keep near the model's, as a set.
using ErrorReduction =
    Algorithm<sampler::DataRows,                                                             // rows of the data
              reward::StepReward,                                                            // what they were paid
              advantage::ModelCritics<critic::carried::AsSaid, critic::PolicyValue::least>,  // twin critics, the model
              regularizer::LearnedMultiplier<regularizer::MeanDiscrepancy<>>,  // under a bound, by a learned weight
              optimizer::PolicyGradient<surrogate::Climb, aggregate::TokenMean, step::AdamW>>;
inline constexpr ErrorReduction bear{
    .sampler = {.batch_size = 256},
    .advantage = {.critics = {.critics = 2, .step = {.learning_rate = 3e-4}, .target = {.rule = {.pessimism = 0.75}}},
                  .model = {.loss = {.threshold = -1.0}, .step = {.learning_rate = 3e-4}},
                  .policy_after = 40000},
    .regularizer = {.term = {.kernel = {.sigma = 10.0}},
                    .weight = {.target = 0.05, .largest = 22026.0, .step = {.learning_rate = 1e-3}}},
    .optimizer = {.step = {.learning_rate = 1e-4}}};

/// PLAS (arXiv 2011.07213): the policy says a code, and the model, learnt before, what action that is.
using LatentActions =
    Algorithm<sampler::DataRows,                                                              // rows of the data
              reward::StepReward,                                                             // what they were paid
              advantage::ModelCritics<critic::carried::Decoded, critic::PolicyValue::first>,  // twin critics, the model
              regularizer::None,  // the code's bound holds it
              optimizer::PolicyGradient<surrogate::Climb, aggregate::TokenMean, step::AdamW>>;
inline constexpr LatentActions plas{
    .sampler = {.batch_size = 100},
    .advantage = {.critics = {.critics = 2, .step = {.learning_rate = 1e-3}, .target = {.rule = {.pessimism = 1.0}}},
                  .model = {.loss = {.threshold = -1.0}, .step = {.learning_rate = 1e-4}},
                  .carried = {.bound = 2.0},
                  .model_batches = 500000,
                  .critics_after = 500000,
                  .policy_after = 500000},
    .optimizer = {.step = {.learning_rate = 1e-4}}};

}  // namespace roars::methods
