#pragma once

#include "roars/advantage/none.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/preference/discriminative.hpp"
#include "roars/optimizer/preference/preference.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/kl_hinge.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// Discriminative constrained optimization (arXiv 2505.12366) with any score of an answer and any pool of the wrong
/// ones.
template <class Score, class Pool>
using DiscriminativeConstrained =
    Algorithm<sampler::Groups,       // several answers to each prompt
              reward::Verified,      // right and wrong ones
              advantage::None,       // none: the answers are told apart, not weighed
              regularizer::KlHinge,  // near the policy that sampled, at no cost inside the bound
              optimizer::Preference<surrogate::Discriminative<Score, Pool>, step::Recipe>>;

/// DisCO: right answers above the soft maximum of the wrong ones.
using Disco = DiscriminativeConstrained<score::LogLikelihood, pool::SoftMaximum>;
/// DisCO-b: above their mean.
using DiscoMean = DiscriminativeConstrained<score::LogLikelihood, pool::Mean>;
/// DisCO scored by the likelihood ratio.
using DiscoRatio = DiscriminativeConstrained<score::LikelihoodRatio, pool::SoftMaximum>;

inline constexpr Disco disco{
    .sampler = {.prompts = 128, .group_size = 8, .generation = {.temperature = 0.6}},
    .regularizer = {.beta = 1e3, .delta = 1e-4},
    .optimizer = {
        .surrogate = {.pool = {.tau = 10.0}}, .step = step::recipe({.learning_rate = 2e-6}), .minibatches = 4}};

inline constexpr DiscoMean disco_mean{.sampler = disco.sampler,
                                      .regularizer = disco.regularizer,
                                      .optimizer = {.step = disco.optimizer.step, .minibatches = 4}};

inline constexpr DiscoRatio disco_ratio{
    .sampler = disco.sampler,
    .regularizer = disco.regularizer,
    .optimizer = {.surrogate = {.pool = {.tau = 1.0}}, .step = disco.optimizer.step, .minibatches = 4}};

}  // namespace roars::methods
