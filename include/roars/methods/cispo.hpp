#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/optimizer/surrogates/weighted_likelihood.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// CISPO: clipped importance sampling policy optimization (MiniMax-M1, arXiv 2506.13585).
using Cispo = Algorithm<sampler::DynamicGroups,                               // no group without a signal
                        reward::Sum<reward::Verified, reward::SoftOverlong>,  // long answers cost a little
                        advantage::GroupZScore,                               // the group is the baseline
                        regularizer::None,                                    // free to leave the reference
                        optimizer::PolicyGradient<surrogate::ClippedWeight, aggregate::TokenMean, step::Recipe>>;

inline constexpr Cispo cispo{
    .sampler = {.prompts = 512, .group_size = 16},
    .reward = {reward::Verified{}, reward::SoftOverlong{.max_length = 20480, .buffer = 4096}},
    .optimizer = {.surrogate = {.low = 1.0, .high = 0.28},
                  .step = step::recipe({.learning_rate = 1e-6, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-15}),
                  .minibatches = 16}};

}  // namespace roars::methods
