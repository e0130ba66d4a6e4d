#pragma once

#include "roars/advantage/guided_critics.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/regularizer/advantage_constraint.hpp"
#include "roars/reward/scaled_step.hpp"
#include "roars/sampler/data_rows.hpp"

namespace roars::methods {

/// A2PR: adaptive advantage-guided policy regularization (arXiv 2405.19909).
using AdvantageGuided =
    Algorithm<sampler::DataRows,                 // rows of the data
              reward::ScaledStep,                // what they were paid
              advantage::GuidedCritics,          // TD3's critics, a state's value, a model of the good actions
              regularizer::AdvantageConstraint,  // near the better action, the data's or the model's
              optimizer::PolicyGradient<surrogate::NormalisedClimb, aggregate::TokenMean, step::AdamW>>;

inline constexpr AdvantageGuided a2pr{
    .sampler = {.batch_size = 256, .standardise = true},
    .advantage = {.critics = {.network = {.width = 256, .layers = 4},
                              .critics = 2,
                              .step = {.learning_rate = 3e-4},
                              .polyak = {.tau = 0.005}},
                  .value_network = {.width = 256, .layers = 4},
                  .value_step = {.learning_rate = 3e-4},
                  .model = {.width = 750, .layers = 2, .step = {.learning_rate = 1e-3}}},
    .regularizer = {.coefficient = 1.0},
    .optimizer = {.surrogate = {.alpha = 2.5, .floor = 1e-8}, .step = {.learning_rate = 3e-4}, .every = 2}};

}  // namespace roars::methods
