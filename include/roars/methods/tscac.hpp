#pragma once

#include <cstddef>
#include <cstdint>

#include "roars/advantage/gae.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/surrogates/towards_references.hpp"
#include "roars/optimizer/surrogates/weighted_likelihood.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/step_reward.hpp"
#include "roars/sampler/demonstrations.hpp"
#include "roars/stages.hpp"

namespace roars::methods {

/// TSCAC: two-stage constrained actor-critic (arXiv 2302.01680). First stage, once for each auxiliary response: an
/// actor-critic of that response alone, on logged rows. Its policy is then frozen.
using TscacResponse =
    Algorithm<sampler::Demonstrations,               // rows of a log, which another policy drew
              reward::Response,                      // one of the responses that the log holds
              advantage::Gae<critic::SquaredError>,  // one step: r + gamma V(s') - V(s), a critic of its own
              regularizer::None,                     // free to leave the policy that drew
              optimizer::PolicyGradient<surrogate::ClippedWeight, aggregate::TokenMean, step::AdamW>>;  // their ratio

/// Second stage: the main response, near the frozen policies of all the others.
template <std::size_t auxiliaries>
using TscacMain = Algorithm<sampler::Demonstrations,               // the same rows
                            reward::Response,                      // the main response
                            advantage::Gae<critic::SquaredError>,  // its critic
                            regularizer::None,                     // closeness is in the weight below
                            optimizer::PolicyGradient<surrogate::TowardsReferences<auxiliaries>, aggregate::TokenMean,
                                                      step::AdamW>>;  // likelihood, weighed towards the closest policy

inline constexpr TscacResponse tscac_response{
    .sampler = {.batch_size = 512},
    .reward = {.index = 1},
    .advantage = {.gamma = 0.99, .lambda = 0.0, .critic = {.coefficient = 2.0}},
    .optimizer = {.surrogate = {.low = 1.0, .high = 9.0}, .step = {.learning_rate = 1e-4, .weight_decay = 1e-2}}};

/// With the four auxiliary responses of the paper's public logs: click, like, comment, hate.
inline constexpr TscacMain<4> tscac_main{.sampler = {.batch_size = 512},
                                         .reward = {.index = 0},
                                         .advantage = {.gamma = 0.99, .lambda = 0.0, .critic = {.coefficient = 2.0}},
                                         .optimizer = {.step = {.learning_rate = 1e-4, .weight_decay = 1e-2}}};

/// The four auxiliary responses one after the other, each policy frozen at its end, then the main one near them.
using TscacNext = Stage<TscacResponse, take::Reference>;
using Tscac = Stages<Stage<TscacResponse>, TscacNext, TscacNext, TscacNext, Stage<TscacMain<4>, take::Reference>>;
constexpr TscacResponse tscac_response_of(std::int64_t index) {
    TscacResponse method = tscac_response;
    method.reward.index = index;
    return method;
}
inline constexpr Tscac tscac{{tscac_response_of(1), 100000},
                             {tscac_response_of(2), 100000},
                             {tscac_response_of(3), 100000},
                             {tscac_response_of(4), 100000},
                             {tscac_main, 100000}};

}  // namespace roars::methods
