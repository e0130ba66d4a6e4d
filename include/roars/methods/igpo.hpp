#pragma once

#include "roars/advantage/turn_returns.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/reward/combine.hpp"
#include "roars/reward/format.hpp"
#include "roars/reward/information_gain.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// IGPO: information gain-based policy optimization (arXiv 2510.14967).
template <class Measure, class Pool>
using OfInformationGain =
    Algorithm<sampler::Groups,  // several rollouts of many turns to each prompt
              reward::Then<reward::Gate<reward::Format, reward::Verified>,  // the answer's score, or a penalty
                           reward::InformationGain<Measure>>,               // what each turn made of the confidence
              advantage::TurnReturns<Pool>,                                 // each turn gets what follows from it
              regularizer::Kl<kl::K3>,                                      // stay near the reference
              optimizer::PolicyGradient<surrogate::Clip, aggregate::SequenceMean, step::Recipe>>;
using Igpo = OfInformationGain<reward::gain::LogProbability, pool::Separate>;
/// The paper's first version: gains of probability, normalised together with the outcomes.
using IgpoJoint = OfInformationGain<reward::gain::Probability, pool::Joint>;

template <class Method>
constexpr Method of_information_gain() {
    return {.sampler = {.prompts = 32, .group_size = 16},
            .reward = {.first = {.shut = -2.0}},
            .regularizer = {.coefficient = 0.001},
            .optimizer = {.surrogate = {.low = 0.2, .high = 0.2}, .step = step::recipe({.learning_rate = 1e-6})}};
}
inline constexpr Igpo igpo = of_information_gain<Igpo>();
inline constexpr IgpoJoint igpo_joint = of_information_gain<IgpoJoint>();

}  // namespace roars::methods
