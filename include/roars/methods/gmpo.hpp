#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/optimizer/surrogates/geometric_mean.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// GMPO: geometric-mean policy optimization (arXiv 2507.20673).
using Gmpo = Algorithm<sampler::Groups,         // several answers to each prompt
                       reward::Verified,        // right or wrong
                       advantage::GroupZScore,  // the group is the baseline
                       regularizer::None,       // free to leave the reference
                       optimizer::PolicyGradient<surrogate::GeometricMean, aggregate::SequenceMean, step::Recipe>>;

inline constexpr Gmpo gmpo{
    .sampler = {.prompts = 128, .group_size = 8},
    .optimizer = {
        .surrogate = {.low = 0.4, .high = 0.4}, .step = step::recipe({.learning_rate = 1e-6}), .minibatches = 8}};

}  // namespace roars::methods
