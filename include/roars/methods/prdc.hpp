#pragma once

#include "roars/advantage/action_critics.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/regularizer/dataset_constraint.hpp"
#include "roars/reward/scaled_step.hpp"
#include "roars/sampler/data_rows.hpp"

namespace roars::methods {

/// PRDC: policy regularization with dataset constraint (arXiv 2306.06569).
using DatasetConstrained =
    Algorithm<sampler::DataRows,                                 // rows of the data
              reward::ScaledStep,                                // what they were paid, scaled for the mazes
              advantage::ActionCritics<critic::SmoothedTarget>,  // TD3's twin critics
              regularizer::DatasetConstraint,  // near the data's nearest action, of whatever state nearby
              optimizer::PolicyGradient<surrogate::NormalisedClimb, aggregate::TokenMean, step::AdamW>>;

/// The settings for locomotion; half-cheetah: alpha 40; mazes: alpha and beta 7.5, rewards 10000 r - 1.
inline constexpr DatasetConstrained prdc{
    .sampler = {.batch_size = 256, .standardise = true},
    .advantage = {.critics = 2, .step = {.learning_rate = 3e-4}, .polyak = {.tau = 0.005}},
    .regularizer = {.beta = 2.0, .k = 1},
    .optimizer = {.surrogate = {.alpha = 2.5, .floor = 1e-8}, .step = {.learning_rate = 3e-4}, .every = 2}};

}  // namespace roars::methods
