#pragma once

#include "roars/methods/ppo.hpp"
#include "roars/reward/combine.hpp"
#include "roars/reward/outcome_before_cost.hpp"
#include "roars/reward/windowed_cost.hpp"

namespace roars::methods {

/// Router-R1 (arXiv 2506.09033): which model of a pool to ask, round by round. Wrong says what a wrong answer that was
/// cheap is worth.
template <class Wrong>
using Routing =
    Algorithm<sampler::Groups,                                                         // one rollout a question
              reward::Then<reward::WindowedCost<>, reward::OutcomeBeforeCost<Wrong>>,  // form, outcome, cost
              advantage::Whiten<advantage::GaeTokens<critic::ClippedValue>>,           // a learned baseline
              regularizer::KlInReward,                                                 // near the start
              optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::Recipe>>;

/// As the code has it: nothing for a wrong answer.
using RouterR1 = Routing<reward::wrong::Nothing>;
/// As the equation is printed: a wrong answer may be paid for being cheap.
using UngatedRouterR1 = Routing<reward::wrong::ItsShare>;

inline constexpr RouterR1 router_r1{
    .sampler = {.prompts = 64, .group_size = 1},
    .reward = {.first = {.window = 1000, .q_low = 0.05, .q_high = 0.95}, .second = {.alpha = 0.6}},
    .advantage = {.base = {.gamma = 1.0, .lambda = 1.0, .critic = {.coefficient = 0.5, .clip = 0.2}}},
    .regularizer = {.coefficient = 0.001},
    .optimizer = {
        .surrogate = {.low = 0.2, .high = 0.2}, .step = step::recipe({.learning_rate = 1e-6}), .minibatches = 2}};

inline constexpr UngatedRouterR1 router_r1_ungated{
    .sampler = router_r1.sampler,
    .reward = {.first = router_r1.reward.first, .second = {.alpha = 0.6}},
    .advantage = router_r1.advantage,
    .regularizer = router_r1.regularizer,
    .optimizer = router_r1.optimizer};

}  // namespace roars::methods
