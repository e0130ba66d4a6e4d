#pragma once

#include "roars/methods/ppo.hpp"
#include "roars/optimizer/surrogates/over.hpp"
#include "roars/regularizer/selective_loss_mask.hpp"
#include "roars/regularizer/sum.hpp"
#include "roars/reward/reasoning_cost.hpp"

namespace roars::methods {

/// AdaCoT: when to reason, learnt from two costs that pull against each other (arXiv 2505.11896).
using AdaCot = Algorithm<sampler::Groups,                                                // answers to prompts
                         reward::ReasoningCost<reward::Verified>,                        // a wrong choice costs
                         advantage::Whiten<advantage::GaeTokens<critic::ClippedValue>>,  // a learned baseline per token
                         regularizer::KlInReward,  // every token pays its divergence
                         optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::Recipe>>;

/// Its first stage, on prompts that all need reasoning: the token that decides is left as it is.
using AdaCotMasked = Algorithm<
    sampler::Groups, reward::Verified, advantage::Whiten<advantage::GaeTokens<critic::ClippedValue>>,
    regularizer::Sum<regularizer::KlInReward, regularizer::SelectiveLossMask>,
    optimizer::PolicyGradient<surrogate::Over<surrogate::Clip, col::keep>, aggregate::TokenMean, step::Recipe>>;

inline constexpr AdaCot adacot{
    .sampler = ppo.sampler,
    .reward = {.missing = 0.3, .needless = 0.3, .misformed = 1.0},
    .advantage = {.base = {.gamma = 1.0, .lambda = 0.95, .critic = {.coefficient = 0.5, .clip = 0.2}}},
    .regularizer = ppo.regularizer,
    .optimizer = ppo.optimizer};

inline constexpr AdaCotMasked adacot_masked{
    .sampler = ppo.sampler,
    .advantage = ppo.advantage,
    .regularizer = {ppo.regularizer, regularizer::SelectiveLossMask{}},
    .optimizer = {.surrogate = {ppo.optimizer.surrogate}, .step = ppo.optimizer.step, .epochs = ppo.optimizer.epochs}};

}  // namespace roars::methods
