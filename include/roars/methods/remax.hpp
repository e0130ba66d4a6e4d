#pragma once

#include "roars/advantage/reward_to_go.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/on_last_token.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// ReMax (arXiv 2310.10505).
using Remax = Algorithm<sampler::Groups,                        // one answer to each prompt
                        reward::OnLastToken<reward::Verified>,  // right or wrong
                        advantage::Remax,                       // better than the greedy answer or worse
                        regularizer::None,                      // free to leave the reference
                        optimizer::PolicyGradient<surrogate::PolicyGradient, aggregate::TokenMean, step::Recipe>>;

inline constexpr Remax remax{.sampler = {.prompts = 512, .group_size = 1},
                             .optimizer = {.step = step::recipe({.learning_rate = 1e-6})}};

}  // namespace roars::methods
