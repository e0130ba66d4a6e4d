#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/advantage/shared_tokens.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/optimizer/surrogates/clip_variants.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/reward/combine.hpp"
#include "roars/reward/format.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/reward/several_tools.hpp"
#include "roars/sampler/entropy_branches.hpp"

namespace roars::methods {

/// -1 without the form, 0 where nothing is right, else the accuracy, and more for tools of two kinds.
using ToolReward = reward::Gate<reward::Format, reward::Verified, reward::Sum<reward::Verified, reward::SeveralTools>>;

/// ARPO with any attribution to tokens that rollouts share (arXiv 2507.19849).
template <class Advantage>
using ArpoWith =
    Algorithm<sampler::EntropyBranches,  // half of the group branches behind tools' results, where the policy is unsure
              ToolReward,                // form, then accuracy, then a bonus
              Advantage,                 // the group is the baseline
              regularizer::Kl<kl::K3>,   // free to leave the reference as released
              optimizer::PolicyGradient<surrogate::DualClip, aggregate::TokenMean, step::Recipe>>;

/// ARPO: agentic reinforced policy optimization. Soft attribution: every copy of a shared token has its own advantage.
using Arpo = ArpoWith<advantage::GroupZScore>;
/// Hard attribution: a shared token has the mean of its copies.
using ArpoHard = ArpoWith<advantage::SharedTokens<advantage::GroupZScore>>;

inline constexpr Arpo arpo{.sampler = {.prompts = 128, .rollouts = 16, .initial = 8},
                           .reward = {.shut = -1.0},
                           .regularizer = {.coefficient = 0.0},
                           .optimizer = {.surrogate = {.low = 0.2, .high = 0.2, .bound = 3.0},
                                         .step = step::recipe({.learning_rate = 1e-6}),
                                         .minibatches = 8}};

inline constexpr ArpoHard arpo_hard{
    .sampler = arpo.sampler, .reward = arpo.reward, .regularizer = arpo.regularizer, .optimizer = arpo.optimizer};

}  // namespace roars::methods
