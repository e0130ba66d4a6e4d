#pragma once

#include "roars/advantage/across_prompts.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/optimizer/surrogates/blended.hpp"
#include "roars/optimizer/surrogates/clip_variants.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// COPO: consistency-aware policy optimization (arXiv 2508.04138).
using Copo = Algorithm<
    sampler::Groups,              // several answers to each prompt, none filtered
    reward::Verified,             // right or wrong
    advantage::LocalAndGlobal<>,  // against the group, and against the other prompts
    regularizer::None,            // free to leave the reference
    optimizer::PolicyGradient<surrogate::Blended<surrogate::DualClip>, aggregate::SequenceMeanOfAll, step::Recipe>>;

inline constexpr Copo copo{.sampler = {.prompts = 512, .group_size = 6},
                           .advantage = {.steepness = 20.0, .threshold = 1.5},
                           .optimizer = {.surrogate = {.base = {.low = 0.2, .high = 0.2, .bound = 3.0}},
                                         .step = step::recipe({.learning_rate = 1e-6}),
                                         .minibatches = 16}};

}  // namespace roars::methods
