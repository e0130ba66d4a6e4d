#pragma once

#include "roars/advantage/best_of_group.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/recipe.hpp"
#include "roars/optimizer/surrogates/over.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::methods {

/// The policy imitates the best of its own answers: RAFT (arXiv 2304.06767), ReST (arXiv 2308.08998), best-of-n.
using Raft = Algorithm<
    sampler::Groups,         // several answers to each prompt
    reward::Verified,        // what orders them
    advantage::BestOfGroup,  // the best ones are kept
    regularizer::None,       // free to leave the reference
    optimizer::PolicyGradient<surrogate::Over<surrogate::Likelihood, col::keep>, aggregate::TokenMean, step::Recipe>>;

inline constexpr Raft raft{.sampler = {.prompts = 128, .group_size = 8},
                           .advantage = {.best = 1, .threshold = 0.5},
                           .optimizer = {.step = step::recipe({.learning_rate = 1e-5})}};
/// The threshold rises from iteration to iteration; as many answers as pass it are kept.
inline constexpr Raft rest{
    .sampler = raft.sampler, .advantage = {.best = 8, .threshold = 0.0, .rise = 0.01}, .optimizer = raft.optimizer};

}  // namespace roars::methods
