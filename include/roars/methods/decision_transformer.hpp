#pragma once

#include "roars/advantage/none.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/optimizer/surrogate.hpp"
#include "roars/regularizer/near_action.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/none.hpp"
#include "roars/sampler/data_windows.hpp"

namespace roars::methods {

/// Decision Transformer (arXiv 2106.01345): the action of the data, of a sequence model that is told what was yet to
/// come. No value is learnt; who acts asks for much.
template <class Loss>
using SequenceModel = Algorithm<sampler::DataWindows,  // windows of episodes
                                reward::None,          // the model reads what was yet to come
                                advantage::None,       // every action counts alike
                                regularizer::None,     // nothing else to stay near
                                optimizer::PolicyGradient<Loss, aggregate::TokenMean, step::Recipe>>;

using DecisionTransformer = SequenceModel<regularizer::BehaviourCloning>;
inline constexpr DecisionTransformer decision_transformer{
    .sampler = {.batch_size = 64, .length = 20},
    .optimizer = {.step = step::recipe({.learning_rate = 1e-4, .weight_decay = 1e-4}, 10000, 0.25)}};

/// The same for discrete actions, by their likelihood.
using DiscreteDecisionTransformer = SequenceModel<surrogate::Likelihood>;
inline constexpr DiscreteDecisionTransformer discrete_decision_transformer{
    .sampler = {.batch_size = 64, .length = 20},
    .optimizer = {.step = step::recipe({.learning_rate = 1e-4, .weight_decay = 1e-4}, 10000, 0.25)}};

}  // namespace roars::methods
