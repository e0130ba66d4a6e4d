#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/regularizer/only_where.hpp"
#include "roars/regularizer/scheduled.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// KDRL: knowledge distillation and reinforcement learning in one step (arXiv 2506.02208), with any pull to the
/// teacher.
template <class TeacherKl>
using DistilledReinforcement =
    Algorithm<sampler::Groups,         // answers of the student
              reward::Verified,        // right or wrong
              advantage::GroupZScore,  // the group is the baseline
              TeacherKl,               // near the teacher
              optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::Recipe>>;

/// Reverse KL to the teacher by k2, whose gradient is the unbiased one.
using TeacherKl = regularizer::Kl<kl::K2, col::logp_teacher>;

/// The pull decays: imitation first, reward later. The paper's best.
using Kdrl = DistilledReinforcement<regularizer::Scheduled<TeacherKl, schedule::LinearDecay>>;
/// The pull is constant.
using ConstantKdrl = DistilledReinforcement<TeacherKl>;
/// The pull is on wrong answers alone.
using ResponseMaskedKdrl = DistilledReinforcement<regularizer::OnlyWhere<TeacherKl, where::Wrong>>;
/// The pull is on groups without a right answer alone.
using GroupMaskedKdrl = DistilledReinforcement<regularizer::OnlyWhere<TeacherKl, where::GroupUnsolved>>;

namespace detail {
inline constexpr sampler::Groups kdrl_sampler{.prompts = 128, .group_size = 8};
inline constexpr decltype(Kdrl::optimizer) kdrl_optimizer{.step = step::recipe({.learning_rate = 1e-6})};
}  // namespace detail

inline constexpr Kdrl kdrl{.sampler = detail::kdrl_sampler,
                           .regularizer = {.base = {.coefficient = 5e-3}, .schedule = {.decay = 5e-5, .least = 1e-3}},
                           .optimizer = detail::kdrl_optimizer};
inline constexpr ConstantKdrl kdrl_constant{
    .sampler = detail::kdrl_sampler, .regularizer = {.coefficient = 2e-3}, .optimizer = detail::kdrl_optimizer};
inline constexpr ResponseMaskedKdrl kdrl_wrong_answers{.sampler = detail::kdrl_sampler,
                                                       .regularizer = {.base = {.coefficient = 2e-3}},
                                                       .optimizer = detail::kdrl_optimizer};
inline constexpr GroupMaskedKdrl kdrl_unsolved_groups{.sampler = detail::kdrl_sampler,
                                                      .regularizer = {.base = {.coefficient = 2e-3}},
                                                      .optimizer = detail::kdrl_optimizer};

}  // namespace roars::methods
