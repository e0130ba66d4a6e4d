#pragma once

#include "roars/algorithm.hpp"
#include "roars/critic/forward_backward_model.hpp"
#include "roars/optimizer/closed_form.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/none.hpp"
#include "roars/sampler/data_rows.hpp"

namespace roars::methods {

/// Zero-shot RL by forward-backward representations (arXiv 2508.16496): rows without a reward become values of any
/// task, given later (reward::task_of_goal, task_of_rewards). Discrete actions.
template <class Doubt>
using ZeroShot = Algorithm<sampler::DataRows,                    // rows of the data
                           reward::None,                         // none in training
                           critic::ForwardBackwardModel<Doubt>,  // M = F^T B, tasks drawn beside; values F^T z
                           regularizer::None,                    // doubt and orthonormality are the model's own loss
                           optimizer::ClosedForm>;               // the greedy action of any task
using ForwardBackward = ZeroShot<critic::doubt::None>;
using ValueConservative = ZeroShot<critic::doubt::OfValues>;
using MeasureConservative = ZeroShot<critic::doubt::OfMeasures>;

inline constexpr ForwardBackward forward_backward{.sampler = {.batch_size = 512}};
inline constexpr ValueConservative value_conservative{.sampler = {.batch_size = 512}};
inline constexpr MeasureConservative measure_conservative{.sampler = {.batch_size = 512}};

}  // namespace roars::methods
