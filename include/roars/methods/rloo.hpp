#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// RLOO: REINFORCE leave-one-out (arXiv 2402.14740).
using Rloo = Algorithm<sampler::Groups,         // several answers to each prompt
                       reward::Verified,        // right or wrong
                       advantage::LeaveOneOut,  // the other answers are the baseline
                       regularizer::None,       // Sum in a KlInReward for the paper's penalty
                       optimizer::PolicyGradient<surrogate::PolicyGradient, aggregate::SequenceSum, step::Recipe>>;

inline constexpr Rloo rloo{.sampler = {.prompts = 128, .group_size = 4},
                           .optimizer = {.step = step::recipe({.learning_rate = 1e-6})}};

}  // namespace roars::methods
