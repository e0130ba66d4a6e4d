#pragma once

#include "roars/advantage/decision_z_score.hpp"
#include "roars/advantage/normalise.hpp"
#include "roars/advantage/plus.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/reward/judgement.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// ReSeek with any reward and advantage (arXiv 2510.00568).
template <class Reward, class Advantage>
using SelfJudging = Algorithm<sampler::Groups,          // several rollouts of several turns to each question
                              Reward,                   // right judgements are paid beside the right answer
                              Advantage,                // the group is the baseline
                              regularizer::Kl<kl::K3>,  // near the start
                              optimizer::PolicyGradient<surrogate::Clip, aggregate::SequenceMean, step::Recipe>>;

/// ReSeek: a self-correcting search agent; answer and judgements are one number a rollout.
using ReSeek = SelfJudging<reward::ReturnOfTurns<reward::Judgement>, advantage::GroupZScore>;
/// The rule of the released code.
using ReSeekContainment = SelfJudging<reward::ReturnOfTurns<reward::JudgementByContainment>, advantage::GroupZScore>;
/// A judgement is paid to the token that makes it; the rest learns from the answer alone.
using ReSeekTurns = SelfJudging<reward::WithTurns<reward::Verified, reward::Judgement>,
                                advantage::Plus<advantage::GroupZScore, advantage::DecisionZScore>>;

namespace detail {
inline constexpr sampler::Groups reseek_sampler{.prompts = 512, .group_size = 5};
inline constexpr decltype(ReSeek::optimizer) reseek_optimizer{
    .surrogate = {.low = 0.2, .high = 0.2}, .step = step::recipe({.learning_rate = 1e-6}), .minibatches = 2};
}  // namespace detail

inline constexpr ReSeek reseek{.sampler = detail::reseek_sampler,
                               .advantage = {.scale = {.eps = 1e-6}},
                               .regularizer = {.coefficient = 0.001},
                               .optimizer = detail::reseek_optimizer};
inline constexpr ReSeekContainment reseek_containment{.sampler = detail::reseek_sampler,
                                                      .advantage = reseek.advantage,
                                                      .regularizer = reseek.regularizer,
                                                      .optimizer = detail::reseek_optimizer};
inline constexpr ReSeekTurns reseek_turns{.sampler = detail::reseek_sampler,
                                          .advantage = {.base = reseek.advantage},
                                          .regularizer = reseek.regularizer,
                                          .optimizer = detail::reseek_optimizer};

}  // namespace roars::methods
