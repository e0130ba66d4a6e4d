#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/reward/rubric_score.hpp"
#include "roars/sampler/scaffold.hpp"

namespace roars::methods {

/// RuscaRL: rubric-scaffolded reinforcement learning (arXiv 2508.16949). Both log-probabilities of the ratio are of the
/// bare prompt, as is everything that a learner says of a batch: a scaffolded answer is imitated, not corrected for.
template <class OverTime, class Within>
using Scaffolded = Algorithm<sampler::ScaffoldedGroups<OverTime, Within>,  // some see a part of the rubric
                             reward::RubricScore,                          // the share of its points
                             advantage::GroupZScore,                       // the group is the baseline
                             regularizer::Kl<kl::ExactK3>,                 // loosely near the start
                             optimizer::PolicyGradient<surrogate::Clip, aggregate::SequenceMean, step::Recipe>>;
using RuscaRl = Scaffolded<sampler::scaffold::Fading, sampler::scaffold::Falling>;

inline constexpr RuscaRl ruscarl{
    .sampler = {.prompts = 64, .group_size = 8, .over_time = {.steepness = 125.0, .midpoint = 0.2}},
    .regularizer = {.coefficient = 1e-3},
    .optimizer = {
        .surrogate = {.low = 0.2, .high = 0.2}, .step = step::recipe({.learning_rate = 1e-6}), .minibatches = 2}};

}  // namespace roars::methods
