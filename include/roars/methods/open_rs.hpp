#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/step/clipped.hpp"
#include "roars/optimizer/step/scheduled.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/reward/combine.hpp"
#include "roars/reward/format.hpp"
#include "roars/reward/length.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// Open-RS with any reward of correctness (arXiv 2503.16219).
template <class Correctness>
using FormatAndCorrectness = Algorithm<
    sampler::Groups,                                                                               // six answers each
    reward::Sum<reward::Scale<reward::Format>, reward::Scale<reward::IfVerifiable<Correctness>>>,  // both count
    advantage::GroupZScore,        // the group is the baseline
    regularizer::Kl<kl::ExactK3>,  // near the start
    optimizer::PolicyGradient<surrogate::Clip, aggregate::SequenceMean,
                              step::Scheduled<step::Clipped<step::AdamW>, step::WarmUp<step::decay::Cosine>>>>;

/// Open-RS: what reinforcement learning does for a small reasoner; long answers are paid less (experiment 3).
using OpenRs = FormatAndCorrectness<reward::HeldCosineLength>;
/// Its first experiments: right or wrong, whatever the length.
using OpenRsAccuracy = FormatAndCorrectness<reward::Verified>;

namespace detail {
inline constexpr decltype(OpenRs::optimizer) open_rs_optimizer{
    .surrogate = {.low = 0.2, .high = 0.2},
    .step = {.base = {.base = {.learning_rate = 1e-6}, .max_norm = 1.0},
             .schedule = {.warmup_steps = 50, .total_steps = 500, .decay = {.last = 0.1}}}};
inline constexpr sampler::Groups open_rs_sampler{.prompts = 12, .group_size = 6, .generation = {.temperature = 0.7}};
}  // namespace detail

inline constexpr OpenRs open_rs{
    .sampler = detail::open_rs_sampler,
    .reward = {reward::Scale<reward::Format>{.factor = 1.0},
               reward::Scale<reward::IfVerifiable<reward::HeldCosineLength>>{.base = {.base = {.right_at_zero = 1.0,
                                                                                               .right_at_max = 0.5,
                                                                                               .wrong_at_zero = 0.0,
                                                                                               .wrong_at_max = -0.5,
                                                                                               .max_length = 3584},
                                                                                      .otherwise = 1.0},
                                                                             .factor = 2.0}},
    .advantage = {.scale = {.eps = 1e-4, .ddof = 1}},
    .regularizer = {.coefficient = 0.04},
    .optimizer = detail::open_rs_optimizer};

inline constexpr OpenRsAccuracy open_rs_accuracy{.sampler = detail::open_rs_sampler,
                                                 .advantage = open_rs.advantage,
                                                 .regularizer = open_rs.regularizer,
                                                 .optimizer = detail::open_rs_optimizer};

}  // namespace roars::methods
