#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// Dr. GRPO: GRPO without the two biases, of the spread and of the length (arXiv 2503.20783).
using DrGrpo = Algorithm<sampler::Groups,       // several answers to each prompt
                         reward::Verified,      // right or wrong
                         advantage::GroupMean,  // not divided by the spread
                         regularizer::None,     // free to leave the reference
                         optimizer::PolicyGradient<surrogate::Clip, aggregate::ConstantLength, step::Recipe>>;

inline constexpr DrGrpo dr_grpo{.sampler = {.prompts = 128, .group_size = 8},
                                .optimizer = {.surrogate = {.low = 0.2, .high = 0.2},
                                              .aggregate = {.max_length = 3000},
                                              .step = step::recipe({.learning_rate = 1e-6})}};

}  // namespace roars::methods
