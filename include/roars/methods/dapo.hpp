#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// DAPO: decoupled clip and dynamic sampling policy optimization (arXiv 2503.14476).
using Dapo = Algorithm<sampler::DynamicGroups,                               // no group without a signal
                       reward::Sum<reward::Verified, reward::SoftOverlong>,  // long answers cost a little
                       advantage::GroupZScore,                               // the group is the baseline
                       regularizer::None,                                    // free to leave the reference
                       optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::Recipe>>;

inline constexpr Dapo dapo{.sampler = {.prompts = 512, .group_size = 16},
                           .reward = {reward::Verified{}, reward::SoftOverlong{.max_length = 20480, .buffer = 4096}},
                           .optimizer = {.surrogate = {.low = 0.2, .high = 0.28},
                                         .step = step::recipe({.learning_rate = 1e-6, .weight_decay = 0.1}, 20),
                                         .minibatches = 16}};

}  // namespace roars::methods
