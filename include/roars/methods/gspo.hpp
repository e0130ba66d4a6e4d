#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/optimizer/surrogates/sequence_clip.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// GSPO: group sequence policy optimization (arXiv 2507.18071).
using Gspo = Algorithm<sampler::Groups,         // several answers to each prompt
                       reward::Verified,        // right or wrong
                       advantage::GroupZScore,  // the group is the baseline
                       regularizer::None,       // the narrow clip holds it
                       optimizer::PolicyGradient<surrogate::SequenceClip, aggregate::SequenceMean, step::Recipe>>;

inline constexpr Gspo gspo{
    .sampler = {.prompts = 64, .group_size = 8},
    .optimizer = {
        .surrogate = {.low = 3e-4, .high = 4e-4}, .step = step::recipe({.learning_rate = 1e-6}), .minibatches = 4}};

}  // namespace roars::methods
