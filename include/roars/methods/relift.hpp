#pragma once

#include "roars/advantage/none.hpp"
#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/interleaved.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/reward/none.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"
#include "roars/sampler/hardest_prompts.hpp"

namespace roars::methods {

/// ReLIFT: what reinforcement learning cannot solve is learnt from demonstrations in between (arXiv 2506.07527).
using Relift = Interleaved<
    Algorithm<sampler::Groups,            // several answers to each prompt
              reward::Verified,           // right or wrong
              advantage::GroupZScore,     // the group is the baseline: none where all are wrong
              regularizer::EntropyBonus,  // a little spread out
              optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::Recipe>>,
    Algorithm<sampler::HardestPrompts,    // as soon as a batch of those that no rollout solved waits
              reward::None,               // nothing is judged
              advantage::None,            // every token counts the same
              regularizer::EntropyBonus,  // imitated, and still spread out
              optimizer::PolicyGradient<surrogate::Likelihood, aggregate::SequenceMeanOfAll, step::Recipe>>>;

inline constexpr Relift relift{.main = {.sampler = {.prompts = 128, .group_size = 8},
                                        .regularizer = {.coefficient = 1e-3},
                                        .optimizer = {.surrogate = {.low = 0.2, .high = 0.2},
                                                      .step = step::recipe({.learning_rate = 1e-6}, 0, 0.7)}},
                               .side = {.sampler = {.batch_size = 128},
                                        .regularizer = {.coefficient = 1e-4},
                                        .optimizer = {.step = step::recipe({.learning_rate = 1e-6}, 0, 1.0)}}};

}  // namespace roars::methods
