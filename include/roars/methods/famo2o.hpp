#pragma once

#include <cstdint>

#include "roars/advantage/action_critics.hpp"
#include "roars/advantage/balanced_weight.hpp"
#include "roars/advantage/implicit_q.hpp"
#include "roars/advantage/state_balance.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/surrogate.hpp"
#include "roars/optimizer/surrogates/balanced_climb.hpp"
#include "roars/regularizer/entropy_temperature.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/step_reward.hpp"
#include "roars/sampler/balance.hpp"
#include "roars/sampler/chosen.hpp"
#include "roars/sampler/data_rows.hpp"
#include "roars/sampler/step_replay.hpp"
#include "roars/sampler/then.hpp"
#include "roars/stages.hpp"

/// FamO2O: train once, get a family (arXiv 2310.17966). The universal policy reads the balance beside the state
/// (sampler::encode_balance) and learns all of its range; beside the critics a balance policy chooses one for each
/// state, in both stages.
namespace roars::methods {

/// The critics of implicit Q-learning do not see the balance; the weight of an action does.
using BalancedImplicitQ =
    advantage::ImplicitQ<critic::Expectile, critic::SquaredErrorOf<col::q>, advantage::BalancedWeight<>>;

using StateBalancedQ = advantage::StateBalance<BalancedImplicitQ>;

/// Offline: any balance for every row.
using Famo2oOffline =
    Algorithm<sampler::Then<sampler::DataRows, sampler::UniformBalance>,  // rows of the data, each with its balance
              reward::StepReward,                                         // what they were paid
              StateBalancedQ,                                             // how much better than expected
              regularizer::None,                                          // the balance says how near
              optimizer::PolicyGradient<surrogate::PolicyGradient, aggregate::TokenMean, step::AdamW>>;
/// Own steps, and rows of the data that stay, each with what the balance policy draws for its state.
using BalancedReplay =
    sampler::Chosen<sampler::Then<sampler::StepReplay<sampler::places::Uniform>, sampler::DataRows>, col::balance>;
/// Online.
using Famo2oOnline = Algorithm<BalancedReplay, reward::StepReward, StateBalancedQ, regularizer::None,
                               optimizer::PolicyGradient<surrogate::PolicyGradient, aggregate::TokenMean, step::AdamW>>;

/// The same on conservative critics: the balance is the worth of a climb beside the entropy. The critics' target has
/// the balance of the next state.
using StateBalancedCritics =
    advantage::StateBalance<advantage::ActionCritics<critic::SoftTarget, advantage::penalty::Conservative>>;
using Famo2oConservativeOffline =
    Algorithm<sampler::Then<sampler::DataRows, sampler::UniformBalance>,  // rows of the data, each with its balance
              reward::StepReward,                                         // what they were paid
              StateBalancedCritics,                                       // doubt
              regularizer::EntropyTemperature,                            // a learned temperature
              optimizer::PolicyGradient<surrogate::BalancedClimb, aggregate::TokenMean, step::AdamW>>;
using Famo2oConservativeOnline =
    Algorithm<BalancedReplay, reward::StepReward, StateBalancedCritics, regularizer::EntropyTemperature,
              optimizer::PolicyGradient<surrogate::BalancedClimb, aggregate::TokenMean, step::AdamW>>;

inline constexpr StateBalancedQ state_balanced_q{.base = {.gamma = 0.99,
                                                          .value_loss = {.tau = 0.9},
                                                          .weight = {.cap = 100.0, .critic = {}},
                                                          .network = {.width = 256, .layers = 2},
                                                          .step = {.learning_rate = 3e-4},
                                                          .polyak = {.tau = 0.005}},
                                                 .balance = {.range = {.low = 8.0, .high = 14.0}}};
inline constexpr StateBalancedCritics state_balanced_critics{
    .base = {.critics = 2, .step = {.learning_rate = 3e-4}, .penalty = {.weight = 1.0}},
    .balance = {.range = {.low = 0.5, .high = 1.5}},
    .initial_temperature = 0.0};  // the released conservative code has no entropy here
inline constexpr BalancedReplay balanced_replay{
    .base = {.first = {.capacity = 1000000, .batch_size = 128, .random_steps = 0, .warm_up = 1},
             .second = {.batch_size = 128}}};

inline constexpr Famo2oOffline famo2o_offline{
    .sampler = {.first = {.batch_size = 256}, .second = {.range = {.low = 8.0, .high = 14.0}}},
    .advantage = state_balanced_q,
    .optimizer = {.step = {.learning_rate = 3e-4}}};
inline constexpr Famo2oOnline famo2o_online{
    .sampler = balanced_replay, .advantage = state_balanced_q, .optimizer = {.step = {.learning_rate = 3e-4}}};
inline constexpr Famo2oConservativeOffline famo2o_conservative_offline{
    .sampler = {.first = {.batch_size = 256}, .second = {.range = {.low = 0.5, .high = 1.5}}},
    .advantage = state_balanced_critics,
    .regularizer = {.step = {.learning_rate = 3e-4}},
    .optimizer = {.step = {.learning_rate = 3e-4}}};
inline constexpr Famo2oConservativeOnline famo2o_conservative_online{
    .sampler = balanced_replay,
    .advantage = state_balanced_critics,
    .regularizer = famo2o_conservative_offline.regularizer,
    .optimizer = famo2o_conservative_offline.optimizer};

/// Offline, then online: critics, balance policy and moments go on.
using Famo2o = Stages<Stage<Famo2oOffline>, Stage<Famo2oOnline, take::Advantage, take::Optimizer>>;
using Famo2oConservative = Stages<Stage<Famo2oConservativeOffline>,
                                  Stage<Famo2oConservativeOnline, take::Advantage, take::Regularizer, take::Optimizer>>;
inline constexpr Famo2o famo2o{{famo2o_offline, 1000000}, {famo2o_online, 1000000}};
inline constexpr Famo2oConservative famo2o_conservative{{famo2o_conservative_offline, 1000000},
                                                        {famo2o_conservative_online, 1000000}};

}  // namespace roars::methods
