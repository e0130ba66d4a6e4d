#pragma once

#include <cstdint>

#include "roars/advantage/action_critics.hpp"
#include "roars/advantage/balanced_weight.hpp"
#include "roars/advantage/implicit_q.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/surrogate.hpp"
#include "roars/optimizer/surrogates/balanced_climb.hpp"
#include "roars/regularizer/entropy_temperature.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/step_reward.hpp"
#include "roars/sampler/balance.hpp"
#include "roars/sampler/data_rows.hpp"
#include "roars/sampler/step_replay.hpp"
#include "roars/sampler/then.hpp"
#include "roars/stages.hpp"

/// FamO2O: train once, get a family (arXiv 2310.17966). The universal policy reads the balance beside the state
/// (sampler::encode_balance) and learns all of its range; critic::BalancePolicy then chooses one for each state.
namespace roars::methods {

/// The critics of implicit Q-learning do not see the balance; the weight of an action does.
using BalancedImplicitQ =
    advantage::ImplicitQ<critic::Expectile, critic::SquaredErrorOf<col::q>, advantage::BalancedWeight<>>;

/// Offline: any balance for every row.
using Famo2o =
    Algorithm<sampler::Then<sampler::DataRows, sampler::UniformBalance>,  // rows of the data, each with its balance
              reward::StepReward,                                         // what they were paid
              BalancedImplicitQ,                                          // how much better than expected
              regularizer::None,                                          // the balance says how near
              optimizer::PolicyGradient<surrogate::PolicyGradient, aggregate::TokenMean, step::AdamW>>;
/// Online: the balance is what the balance policy says, a column that the actor brings.
using Famo2oOnline = Algorithm<sampler::StepReplay<sampler::places::Uniform>,  // its own steps
                               reward::StepReward, BalancedImplicitQ, regularizer::None,
                               optimizer::PolicyGradient<surrogate::PolicyGradient, aggregate::TokenMean, step::AdamW>>;
/// The same on a conservative critic: the balance is the worth of a climb beside the entropy.
using Famo2oConservative =
    Algorithm<sampler::Then<sampler::DataRows, sampler::UniformBalance>,  // rows of the data, each with its balance
              reward::StepReward,                                         // what they were paid
              advantage::ActionCritics<critic::SoftTarget, advantage::penalty::Conservative>,  // doubt
              regularizer::EntropyTemperature,                                                 // a learned temperature
              optimizer::PolicyGradient<surrogate::BalancedClimb, aggregate::TokenMean, step::AdamW>>;

inline constexpr BalancedImplicitQ balanced_implicit_q{.gamma = 0.99,
                                                       .value_loss = {.tau = 0.9},
                                                       .weight = {.cap = 100.0, .critic = {}},
                                                       .network = {.width = 256, .layers = 2},
                                                       .step = {.learning_rate = 3e-4},
                                                       .polyak = {.tau = 0.005}};
inline constexpr Famo2o famo2o{
    .sampler = {.first = {.batch_size = 256}, .second = {.range = {.low = 8.0, .high = 14.0}}},
    .advantage = balanced_implicit_q,
    .optimizer = {.step = {.learning_rate = 3e-4}}};
inline constexpr Famo2oOnline famo2o_online{.sampler = {.capacity = 1000000, .batch_size = 256, .random_steps = 0},
                                            .advantage = balanced_implicit_q,
                                            .optimizer = {.step = {.learning_rate = 3e-4}}};
inline constexpr Famo2oConservative famo2o_conservative{
    .sampler = {.first = {.batch_size = 256}, .second = {.range = {.low = 0.5, .high = 1.5}}},
    .advantage = {.critics = 2, .step = {.learning_rate = 3e-4}, .penalty = {.weight = 1.0}},
    .regularizer = {.step = {.learning_rate = 3e-4}},
    .optimizer = {.step = {.learning_rate = 3e-4}}};

/// Offline, then online: critics and moments go on.
using Famo2oStages = Stages<Stage<Famo2o>, Stage<Famo2oOnline, take::Advantage, take::Optimizer>>;
inline Famo2oStages famo2o_stages(std::int64_t offline, std::int64_t online) {
    return {Stage<Famo2o>{famo2o, offline},
            Stage<Famo2oOnline, take::Advantage, take::Optimizer>{famo2o_online, online}};
}

}  // namespace roars::methods
