#pragma once

#include "roars/advantage/branches.hpp"
#include "roars/algorithm.hpp"
#include "roars/critic/success_probability.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/preference/preference.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/optimizer/surrogates/advantage_regression.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/regularizer/reset_reference.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/branches.hpp"

namespace roars::methods {

/// Direct advantage policy optimization, first stage: a critic of the reference policy's chance of success (arXiv
/// 2412.18279).
using DirectAdvantageCritic =
    Algorithm<sampler::StateCompletions,  // completions of states within solutions
              reward::Verified,           // right or wrong
              advantage::StateMean,       // the state's share of right completions
              regularizer::None,          // nothing is near anything
              optimizer::PolicyGradient<critic::SuccessProbability, aggregate::TokenMean, step::Recipe>>;

/// Second stage: the log-ratio of every candidate step is regressed on its advantage over beta.
using DirectAdvantage =
    Algorithm<sampler::CandidateSteps,                          // first steps from the same state
              reward::Verified,                                 // of a step that ends the response
              advantage::CandidateSteps,                        // better or worse than the state's others
              regularizer::ResetReference<begin_again::Every>,  // the outer loop: the policy is the next reference
              optimizer::Preference<surrogate::AdvantageRegression, step::Recipe>>;

inline constexpr DirectAdvantageCritic direct_advantage_critic{
    .sampler = {.states = 512, .completions = 16, .solutions = 32, .kept = 6},
    .optimizer = {.step = step::recipe({.learning_rate = 5e-6})}};

inline constexpr DirectAdvantage direct_advantage{
    .sampler = {.states = 512, .completions = 16, .solutions = 32, .kept = 6},
    .advantage = {.gap = 0.1},
    .regularizer = {.when = {.iterations = 100}},
    .optimizer = {.surrogate = {.beta = 0.01}, .step = step::recipe({.learning_rate = 5e-7})}};

}  // namespace roars::methods
