#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/optimizer/surrogates/clip_variants.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// SAPO: soft adaptive policy optimization (arXiv 2511.20347).
using Sapo = Algorithm<sampler::Groups,         // several answers to each prompt
                       reward::Verified,        // right or wrong
                       advantage::GroupZScore,  // the group is the baseline
                       regularizer::None,       // the gate holds it
                       optimizer::PolicyGradient<surrogate::SoftGate, aggregate::SequenceMean, step::Recipe>>;

inline constexpr Sapo sapo{.sampler = {.prompts = 64, .group_size = 8},
                           .optimizer = {.surrogate = {.tau_positive = 1.0, .tau_negative = 1.05},
                                         .step = step::recipe({.learning_rate = 1e-6}),
                                         .minibatches = 4}};

}  // namespace roars::methods
