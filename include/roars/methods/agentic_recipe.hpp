#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/optimizer/surrogates/clip_variants.hpp"
#include "roars/optimizer/surrogates/sequence_clip.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/reward/tool_use.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// A recipe for agents that reason with tools (arXiv 2510.11701), by what is varied in it.
template <class Reward, class Regularizer, class Surrogate, class Aggregate>
using AgenticRecipe = Algorithm<sampler::Groups,         // 16 answers to each problem
                                Reward,                  // right, or wrong but with the tool
                                advantage::GroupZScore,  // the group is the baseline
                                Regularizer,             // none, or near the start
                                optimizer::PolicyGradient<Surrogate, Aggregate, step::Recipe>>;

/// GRPO-TCR: token mean, a higher upper clip, long answers cost.
using GrpoTcr = AgenticRecipe<reward::Sum<reward::ToolUse, reward::SoftOverlong>, regularizer::None,
                              surrogate::DualClip, aggregate::TokenMean>;
/// GRPO-SCR: the same with one ratio a sequence, mean over sequences.
using GrpoScr = AgenticRecipe<reward::Sum<reward::ToolUse, reward::SoftOverlong>, regularizer::None,
                              surrogate::SequenceClip, aggregate::SequenceMeanOfAll>;
/// GRPO-T, the baseline: token mean, one clip on both sides, near the reference.
using GrpoT = AgenticRecipe<reward::ToolUse, regularizer::Kl<kl::K3>, surrogate::DualClip, aggregate::TokenMean>;

namespace detail {
inline constexpr sampler::Groups agentic_sampler{.prompts = 64, .group_size = 16};
inline constexpr reward::Sum<reward::ToolUse, reward::SoftOverlong> agentic_reward{
    reward::ToolUse{.bonus = 0.1, .wrong_cap = -0.6}, reward::SoftOverlong{.max_length = 20480, .buffer = 4096}};
}  // namespace detail

inline constexpr GrpoTcr grpo_tcr{.sampler = detail::agentic_sampler,
                                  .reward = detail::agentic_reward,
                                  .optimizer = {.surrogate = {.low = 0.2, .high = 0.28, .bound = 10.0},
                                                .step = step::recipe({.learning_rate = 1e-6}),
                                                .minibatches = 4}};
inline constexpr GrpoScr grpo_scr{
    .sampler = detail::agentic_sampler,
    .reward = detail::agentic_reward,
    .optimizer = {
        .surrogate = {.low = 3e-4, .high = 4e-4}, .step = step::recipe({.learning_rate = 1e-6}), .minibatches = 4}};
inline constexpr GrpoT grpo_t{.sampler = detail::agentic_sampler,
                              .regularizer = {.coefficient = 0.001},
                              .optimizer = {.surrogate = {.low = 0.2, .high = 0.2, .bound = 10.0},
                                            .step = step::recipe({.learning_rate = 1e-6}),
                                            .minibatches = 4}};

}  // namespace roars::methods
