#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/optimizer/surrogates/from_behaviour.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/reward/combine.hpp"
#include "roars/reward/format.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/reward/truncated.hpp"
#include "roars/sampler/probed_failures.hpp"

namespace roars::methods {

/// The verdict, and something for the form; nothing for what never answers.
using MatchAndForm = reward::Gate<reward::Finished, reward::Sum<reward::Verified, reward::Scale<reward::FormatShare>>>;

/// REX-RAG: failures are reopened with a hint, the ratio is taken against the mixture (arXiv 2508.08149).
using RexRag = Algorithm<sampler::ProbedFailures,  // groups, and the most plausible probes of their failures
                         MatchAndForm,             // right or wrong, and the form
                         advantage::GroupZScore,   // the enlarged group is the baseline
                         regularizer::Kl<kl::K3>,  // stay near the reference
                         optimizer::PolicyGradient<surrogate::FromBehaviour<surrogate::Clip>,  // whoever drew it
                                                   aggregate::TokenMean, step::Recipe>>;

inline constexpr RexRag rex_rag{
    .sampler = {.prompts = 512, .group_size = 5},
    .reward = {.behind = {reward::Verified{}, reward::Scale<reward::FormatShare>{.factor = 0.2}}},
    .regularizer = {.coefficient = 0.001},
    .optimizer = {.surrogate = {.base = {.low = 0.2, .high = 0.2}},
                  .step = step::recipe({.learning_rate = 1e-6}),
                  .minibatches = 2}};

}  // namespace roars::methods
