#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/methods/ppo.hpp"
#include "roars/methods/preference.hpp"
#include "roars/methods/supervised.hpp"
#include "roars/reward/model_score.hpp"
#include "roars/reward/over_turns.hpp"

namespace roars::methods {

/// RLHF (InstructGPT, arXiv 2203.02155): PPO on the score of a reward model, which methods::reward_model has trained.
using Rlhf = Algorithm<sampler::Groups, reward::ModelScore, Ppo::Advantage, Ppo::Regularizer, Ppo::Optimizer>;

inline constexpr Rlhf rlhf{.sampler = ppo.sampler,
                           .advantage = ppo.advantage,
                           .regularizer = {.coefficient = 0.05},
                           .optimizer = ppo.optimizer};

/// RLAIF (arXiv 2309.00267), in the form where a judge's score is the reward itself: the same type, another model.
inline constexpr Rlhf rlaif = rlhf;

/// Constitutional AI (arXiv 2212.08073), first stage: supervised on answers that the model has revised itself by the
/// principles.
inline constexpr SupervisedLikelihood constitutional_revision = supervised;
/// Second stage: RLAIF with a judge that has the principles before it.
inline constexpr Rlhf constitutional = rlaif;

/// RLVR: the verdict of a verifier and PPO; methods::grpo and methods::rloo are its forms without a critic.
inline constexpr PpoVerified rlvr = ppo_verified;

/// The steps of an answer are scored by a process reward model (arXiv 2305.20050); the worst step counts.
using ProcessGuided = Algorithm<sampler::Groups,                           // several answers to each prompt
                                reward::OverTurns<reward::over::Minimum>,  // as good as its worst step
                                advantage::GroupZScore,                    // the group is the baseline
                                regularizer::Kl<kl::K3>,                   // stay near the reference
                                optimizer::PolicyGradient<surrogate::Clip, aggregate::SequenceMean, step::Recipe>>;

inline constexpr ProcessGuided process_guided{
    .sampler = {.prompts = 128, .group_size = 8},
    .regularizer = {.coefficient = 0.04},
    .optimizer = {.surrogate = {.low = 0.2, .high = 0.2}, .step = step::recipe({.learning_rate = 1e-6})}};

}  // namespace roars::methods
