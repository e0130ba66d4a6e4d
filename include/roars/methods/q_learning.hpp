#pragma once

#include "roars/advantage/one_step_target.hpp"
#include "roars/algorithm.hpp"
#include "roars/critic/value_loss.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/step_reward.hpp"
#include "roars/sampler/groups.hpp"
#include "roars/sampler/replay.hpp"

namespace roars::methods {

/// Q-learning with a network, a target network and a memory: DQN (doi 10.1038/nature14236). The actor acts greedily by
/// its action values q; next_value is the largest one of the next state by the target network.
using DeepQ = Algorithm<sampler::Replay<sampler::Groups, sampler::draw::Uniform>,  // steps, new ones and old ones
                        reward::StepReward,                                        // what the environment pays
                        advantage::OneStepTarget,  // the reward, and the best of the next state
                        regularizer::None,         // the target network holds it
                        optimizer::PolicyGradient<critic::SquaredErrorOf<col::q>, aggregate::TokenMean, step::AdamW>>;

inline constexpr DeepQ deep_q{.sampler = {.base = {.prompts = 1, .group_size = 1}, .capacity = 100000, .replayed = 32},
                              .advantage = {.gamma = 0.99},
                              .optimizer = {.surrogate = {.coefficient = 1.0}, .step = {.learning_rate = 1e-4}}};

}  // namespace roars::methods
