#pragma once

#include "roars/advantage/none.hpp"
#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/preference/preference.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/optimizer/surrogates/clip_variants.hpp"
#include "roars/optimizer/surrogates/unfitted.hpp"
#include "roars/regularizer/covariance_entropy.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/regularizer/sum.hpp"
#include "roars/reward/combine.hpp"
#include "roars/reward/dense_constraints.hpp"
#include "roars/reward/format.hpp"
#include "roars/reward/length_scaled.hpp"
#include "roars/reward/none.hpp"
#include "roars/sampler/demonstrations.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// Points for each constraint that is met, and nothing for an answer whose reasoning has no end.
using ConstraintPoints = reward::Gate<reward::Format, reward::DenseConstraints>;

/// Light-IF, first stage: reasoning is paid for while it helps (arXiv 2508.03178).
using LightIfZero = Algorithm<sampler::Groups,                         // several answers to each prompt
                              reward::LengthScaled<ConstraintPoints>,  // more for longer good answers
                              advantage::GroupZScore,                  // the group is the baseline
                              regularizer::Kl<kl::K3>,                 // loosely near the start
                              optimizer::PolicyGradient<surrogate::DualClip, aggregate::TokenMean, step::Recipe>>;

/// Second stage, Entropy-SFT: demonstrations, without the tokens that are fitted already.
using EntropySft = Algorithm<sampler::Demonstrations,  // answers that are given
                             reward::None,             // nothing is judged
                             advantage::None,          // every token counts the same
                             regularizer::None,        // free to leave the reference
                             optimizer::Preference<surrogate::UnfittedLikelihood, step::Recipe>>;

/// Third stage, TEA-RL: partial credit, and entropy where confidence and advantage go together.
using LightIf =
    Algorithm<sampler::Groups,         // several answers to each prompt
              ConstraintPoints,        // a point for each constraint
              advantage::GroupZScore,  // the group is the baseline
              regularizer::Sum<regularizer::Kl<kl::K3>, regularizer::CovarianceEntropy>,  // near, and spread out
              optimizer::PolicyGradient<surrogate::DualClip, aggregate::TokenMean, step::Recipe>>;

inline constexpr LightIf light_if{.sampler = {.prompts = 128, .group_size = 8},
                                  .regularizer = {regularizer::Kl<kl::K3>{.coefficient = 1e-3},
                                                  regularizer::CovarianceEntropy{.scale = 10.0, .most = 5.0}},
                                  // The ratio is held in [0, 2].
                                  .optimizer = {.surrogate = {.low = 1.0, .high = 1.0, .bound = 10.0},
                                                .step = step::recipe({.learning_rate = 5e-6}),
                                                .minibatches = 4}};

inline constexpr LightIfZero light_if_zero{.sampler = light_if.sampler,
                                           .reward = {.max_length = 8192, .least = 0.2, .beyond = -2.0},
                                           .regularizer = {.coefficient = 1e-3},
                                           .optimizer = light_if.optimizer};

inline constexpr EntropySft entropy_sft{.sampler = {.batch_size = 256},
                                        .optimizer = {.surrogate = {.fraction = 0.8, .entropy_coefficient = 0.8},
                                                      .step = step::recipe({.learning_rate = 1e-5})}};

}  // namespace roars::methods
