#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/advantage/signed_credit.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"
#include "roars/sampler/mark_grams.hpp"
#include "roars/sampler/then.hpp"

namespace roars::methods {

/// HICRA: hierarchy-aware credit assignment (arXiv 2509.03646).
using Hicra =
    Algorithm<sampler::Then<sampler::Groups, sampler::MarkGrams>,  // planning tokens stand inside strategic phrases
              reward::Verified,                                    // right or wrong
              advantage::Times<advantage::GroupMean, weight::SignedCredit<col::planning>>,  // plans get more credit
              regularizer::None,  // free to leave the reference
              optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::Recipe>>;

inline constexpr Hicra hicra{
    .sampler = {.first = {.prompts = 128, .group_size = 8}},
    .advantage = {.weight = {.alpha = 0.2}},
    .optimizer = {.surrogate = {.low = 0.2, .high = 0.28}, .step = step::recipe({.learning_rate = 1e-6})}};

}  // namespace roars::methods
