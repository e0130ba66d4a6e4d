#pragma once

#include "roars/advantage/contrastive_q.hpp"
#include "roars/advantage/implicit_q.hpp"
#include "roars/algorithm.hpp"
#include "roars/critic/implicit_maximiser.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/surrogate.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/none.hpp"
#include "roars/reward/step_reward.hpp"
#include "roars/sampler/data_rows.hpp"
#include "roars/sampler/demonstrations.hpp"
#include "roars/sampler/then.hpp"

/// Dual RL: unification and new methods (arXiv 2302.08560).
namespace roars::methods {

/// f-DVL: implicit Q-learning whose value climbs by an f-divergence, with no exponential that could diverge.
template <class Divergence>
using DualValueLearning =
    Algorithm<sampler::DataRows,   // rows of the data
              reward::StepReward,  // what they were paid
              advantage::ImplicitQ<critic::ImplicitMaximiser<Divergence>, critic::HuberOf<col::q>>,  // V near the best
                                                                                                     // action
              regularizer::None,  // the likelihood holds it
              optimizer::PolicyGradient<surrogate::PolicyGradient, aggregate::TokenMean, step::AdamW>>;
using Fdvl = DualValueLearning<f_divergence::ChiSquare>;
using FdvlVariation = DualValueLearning<f_divergence::TotalVariation>;

inline constexpr Fdvl f_dvl{.sampler = {.batch_size = 1024},
                            .advantage = {.gamma = 0.99,
                                          .value_loss = {.tau = 0.8},
                                          .action_loss = {.coefficient = 1.0, .delta = 20.0},
                                          .weight = {.temperature = 3.0, .cap = 100.0},
                                          .step = {.learning_rate = 3e-4},
                                          .polyak = {.tau = 0.005}},
                            .optimizer = {.step = {.learning_rate = 3e-4}}};
inline constexpr FdvlVariation f_dvl_variation{.sampler = f_dvl.sampler,
                                               .advantage = {.gamma = 0.99,
                                                             .value_loss = {.tau = 0.8},
                                                             .action_loss = f_dvl.advantage.action_loss,
                                                             .weight = f_dvl.advantage.weight,
                                                             .step = f_dvl.advantage.step,
                                                             .polyak = f_dvl.advantage.polyak},
                                               .optimizer = f_dvl.optimizer};

/// ReCOIL: imitation of an expert with the help of any other data.
template <class Loss>
using ContrastiveImitation =
    Algorithm<sampler::Then<sampler::Demonstrations, sampler::DataRows>,  // rows of the expert, then others
              reward::None,                                               // no reward, and no discriminator
              advantage::ContrastiveQ<Loss>,  // up where the expert acts, down where the policy does
              regularizer::None,              // the likelihood holds it
              optimizer::PolicyGradient<surrogate::PolicyGradient, aggregate::TokenMean, step::AdamW>>;
using Recoil = ContrastiveImitation<critic::Recoil>;
using RecoilStabilised = ContrastiveImitation<critic::RecoilStabilised>;

inline constexpr Recoil recoil{.sampler = {.first = {.batch_size = 128}, .second = {.batch_size = 128}},
                               .advantage = {.action_loss = {.gamma = 0.99, .beta = 0.5},
                                             .value_loss = {.tau = 0.8},
                                             .weight = {.temperature = 3.0, .cap = 100.0},
                                             .step = {.learning_rate = 3e-4}},
                               .optimizer = {.step = {.learning_rate = 3e-4}}};
inline constexpr RecoilStabilised recoil_stabilised{
    .sampler = recoil.sampler,
    .advantage = {.action_loss = {.gamma = 0.99, .q_max = 200.0, .step_cost = 2.0},
                  .value_loss = {.tau = 0.8},
                  .weight = {.temperature = 3.0, .cap = 100.0},
                  .step = {.learning_rate = 3e-4}},
    .optimizer = recoil.optimizer};

}  // namespace roars::methods
