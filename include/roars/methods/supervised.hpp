#pragma once

#include "roars/advantage/none.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/none.hpp"
#include "roars/sampler/demonstrations.hpp"

namespace roars::methods {

/// Supervised fine-tuning on demonstrations: the warm start before reinforcement learning.
using SupervisedLikelihood =
    Algorithm<sampler::Demonstrations,  // answers that are given
              reward::None,             // nothing is judged
              advantage::None,          // every token counts the same
              regularizer::None,        // free to leave the reference
              optimizer::PolicyGradient<surrogate::Likelihood, aggregate::TokenMean, step::Recipe>>;

inline constexpr SupervisedLikelihood supervised{.sampler = {.batch_size = 256},
                                                 .optimizer = {.step = step::recipe({.learning_rate = 1e-5})}};

}  // namespace roars::methods
