#pragma once

#include "roars/advantage/gae_tokens.hpp"
#include "roars/advantage/whiten.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/on_last_token.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// PPO: proximal policy optimization of sequences with a value head (arXiv 1707.06347; as RLHF runs it, arXiv
/// 2203.02155).
using Ppo = Algorithm<sampler::Groups,                                                // answers to prompts
                      reward::Verified,                                               // the task's score
                      advantage::Whiten<advantage::GaeTokens<critic::ClippedValue>>,  // a learned baseline per token
                      regularizer::KlInReward,                                        // every token pays its divergence
                      optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::Recipe>>;

inline constexpr Ppo ppo{
    .sampler = {.prompts = 256, .group_size = 1},
    .advantage = {.base = {.gamma = 1.0, .lambda = 0.95, .critic = {.coefficient = 0.5, .clip = 0.2}}},
    .regularizer = {.coefficient = 0.02},
    .optimizer = {.surrogate = {.low = 0.2, .high = 0.2}, .step = step::recipe({.learning_rate = 1e-6}), .epochs = 4}};

/// The same without a reference policy, for verified rewards: the outcome stands on the last token.
using PpoVerified = Algorithm<sampler::Groups, reward::OnLastToken<reward::Verified>,
                              advantage::Whiten<advantage::GaeTokens<critic::ClippedValue>>, regularizer::None,
                              optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::Recipe>>;

inline constexpr PpoVerified ppo_verified{
    .sampler = ppo.sampler, .advantage = ppo.advantage, .optimizer = ppo.optimizer};

}  // namespace roars::methods
