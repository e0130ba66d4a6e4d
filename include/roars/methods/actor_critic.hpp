#pragma once

#include "roars/advantage/gae_tokens.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/reward/on_last_token.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// A2C: advantage actor-critic (arXiv 1602.01783) on token sequences.
using ActorCritic = Algorithm<sampler::Groups,                             // one answer to each prompt
                              reward::OnLastToken<reward::Verified>,       // right or wrong
                              advantage::GaeTokens<critic::SquaredError>,  // a learned baseline per token
                              regularizer::EntropyBonus,                   // spread out
                              optimizer::PolicyGradient<surrogate::PolicyGradient, aggregate::TokenMean, step::Recipe>>;

inline constexpr ActorCritic actor_critic{.sampler = {.prompts = 256, .group_size = 1},
                                          .advantage = {.gamma = 1.0, .lambda = 0.95, .critic = {.coefficient = 0.5}},
                                          .regularizer = {.coefficient = 0.01},
                                          .optimizer = {.step = step::recipe({.learning_rate = 1e-6})}};

}  // namespace roars::methods
