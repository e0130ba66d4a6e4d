#pragma once

#include "roars/advantage/regularised_plan.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/closed_form.hpp"
#include "roars/regularizer/cloned_policy.hpp"
#include "roars/reward/none.hpp"
#include "roars/sampler/episodes.hpp"

namespace roars::methods {

/// Demonstration-regularized RL (arXiv 2310.17303) in finite problems: an expert's episodes are cloned once, then plans
/// that pay for leaving the clone are played, optimistic about what was not seen.
using DemonstrationRegularised = Algorithm<sampler::Episodes,           // episodes of the last plan
                                           reward::None,                // rewards are known
                                           advantage::RegularisedPlan,  // bounds by backward induction, and a plan
                                           regularizer::ClonedPolicy,   // the demonstrations' policy as the reference
                                           optimizer::ClosedForm>;      // the maximiser is the plan itself

inline constexpr DemonstrationRegularised demonstration_regularised{
    .sampler = {.episodes = 1, .explore = true},
    .advantage = {.planning = {.kl_coefficient = 0.05, .bonus_scale = 0.0, .bonus_flat = 0.1}}};

}  // namespace roars::methods
