#pragma once

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/hint_imitation.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/regularizer/sum.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/hints.hpp"

namespace roars::methods {

/// SEELE: hints as long as it takes to be right half of the time (arXiv 2509.06923). With other hints under it too.
template <class Hints>
using Hinted = Algorithm<Hints,                 // answers that go on from the beginning of a solution
                         reward::Verified,      // right or wrong
                         advantage::GroupMean,  // against all answers to the prompt, whatever their hints
                         regularizer::Sum<regularizer::Kl<kl::K3>,      // near the reference, where it wrote itself
                                          regularizer::HintImitation>,  // a little of the hints themselves
                         optimizer::PolicyGradient<surrogate::Clip, aggregate::SequenceSumOfAll, step::Recipe>>;
using Seele = Hinted<sampler::FittedHints>;
/// Its baseline: hints that are the same for every prompt, and fade away.
using FadingHints = Hinted<sampler::ScheduledHints>;

inline constexpr Seele seele{
    .sampler = {.prompts = 256, .rounds = 4, .completions = 8, .target = 0.5},
    .regularizer = {regularizer::Kl<kl::K3>{.coefficient = 1e-3}, regularizer::HintImitation{.coefficient = 1e-3}},
    .optimizer = {
        .surrogate = {.low = 0.2, .high = 0.2}, .step = step::recipe({.learning_rate = 1e-6}), .minibatches = 4}};

inline constexpr FadingHints fading_hints{.sampler = {.prompts = 256, .group_size = 32, .first = 1.0, .last = 0.0},
                                          .regularizer = seele.regularizer,
                                          .optimizer = seele.optimizer};

}  // namespace roars::methods
