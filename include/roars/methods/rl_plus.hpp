#pragma once

#include "roars/advantage/focal.hpp"
#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/optimizer/surrogates/by_kind.hpp"
#include "roars/optimizer/surrogates/importance.hpp"
#include "roars/optimizer/surrogates/weighted.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/with_solution.hpp"

namespace roars::methods {

/// Given tokens: a bounded weight, and most of it for what the policy finds improbable.
using BoundedAndFocal = surrogate::Weighted<surrogate::MultipleImportance<>, weight::Focal>;

/// RL-PLUS: own rollouts and given solutions in one group (arXiv 2508.00222).
using RlPlus = Algorithm<sampler::GroupsWithSolution,  // the first answer of a group is a given one
                         reward::Verified,             // right or wrong, whoever wrote it
                         advantage::GroupMean,         // the group is the baseline, not divided by the spread
                         regularizer::None,            // free to leave the reference
                         optimizer::PolicyGradient<surrogate::ByKind<surrogate::ImportanceRatio, BoundedAndFocal>,
                                                   aggregate::Constant, step::Recipe>>;

inline constexpr RlPlus rl_plus{
    .sampler = {.prompts = 128, .group_size = 8},
    .optimizer = {.surrogate = {.external = {.base = {.behaviour = {.uniform = 1.0}}, .weight = {.power = 0.5}}},
                  .aggregate = {.normalizer = 8192},
                  .step = step::recipe({.learning_rate = 1e-6}),
                  .minibatches = 2}};

}  // namespace roars::methods
