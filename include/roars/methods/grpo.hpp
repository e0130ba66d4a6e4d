#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// GRPO: group relative policy optimization (DeepSeekMath, arXiv 2402.03300).
using Grpo = Algorithm<sampler::Groups,          // several answers to each prompt
                       reward::Verified,         // right or wrong
                       advantage::GroupZScore,   // the group is the baseline
                       regularizer::Kl<kl::K3>,  // stay near the reference
                       optimizer::PolicyGradient<surrogate::Clip, aggregate::SequenceMean, step::Recipe>>;

inline constexpr Grpo grpo{
    .sampler = {.prompts = 16, .group_size = 64},
    .regularizer = {.coefficient = 0.04},
    .optimizer = {.surrogate = {.low = 0.2, .high = 0.2}, .step = step::recipe({.learning_rate = 1e-6})}};

}  // namespace roars::methods
