#pragma once

#include "roars/algorithm.hpp"
#include "roars/critic/forward_backward_model.hpp"
#include "roars/optimizer/closed_form.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/none.hpp"
#include "roars/sampler/chosen.hpp"
#include "roars/sampler/data_rows.hpp"

/// Zero-shot RL by forward-backward representations (arXiv 2508.16496): rows without a reward become values of any
/// task, given later (reward::task_of_goal, task_of_rewards).
namespace roars::methods {

/// Rows of the data, each with a task that the model mixes.
using RowsWithTasks = sampler::Chosen<sampler::DataRows, col::task>;

/// Discrete actions.
template <class Doubt, class Memory = critic::memory::None>
using ZeroShot =
    Algorithm<RowsWithTasks,                                                      // any steps, any tasks
              reward::None,                                                       // none in training
              critic::ForwardBackwardModel<Doubt, critic::acts::Finite, Memory>,  // M = F^T B; values F^T z
              regularizer::None,                                                  // doubt is the model's own loss
              optimizer::ClosedForm>;                                             // the greedy action of any task
using ForwardBackward = ZeroShot<critic::doubt::None>;
using ValueConservative = ZeroShot<critic::doubt::OfValues>;
using MeasureConservative = ZeroShot<critic::doubt::OfMeasures>;

/// Continuous actions: a policy that reads the task.
template <class Doubt, class Memory = critic::memory::None>
using ZeroShotContinuous =
    Algorithm<RowsWithTasks,                                                          // any steps, any tasks
              reward::None,                                                           // none in training
              critic::ForwardBackwardModel<Doubt, critic::acts::Continuous, Memory>,  // M = F^T B, and dq/da
              regularizer::None,                                                      // doubt is the model's own loss
              optimizer::PolicyGradient<surrogate::Climb, aggregate::TokenMean, step::AdamW>>;  // climbs min F^T z
using ForwardBackwardContinuous = ZeroShotContinuous<critic::doubt::None>;
using ValueConservativeContinuous = ZeroShotContinuous<critic::doubt::OfValues>;
using MeasureConservativeContinuous = ZeroShotContinuous<critic::doubt::OfMeasures>;

/// States that are seen in part (arXiv 2506.15446): F, B and the policy read contexts.
using ForwardBackwardMemory = ZeroShot<critic::doubt::None, critic::memory::Recurrent>;
using ForwardBackwardMemoryContinuous = ZeroShotContinuous<critic::doubt::None, critic::memory::Recurrent>;

inline constexpr RowsWithTasks rows_with_tasks{.base = {.batch_size = 512}};

inline constexpr ForwardBackward forward_backward{.sampler = rows_with_tasks};
inline constexpr ValueConservative value_conservative{.sampler = rows_with_tasks};
inline constexpr MeasureConservative measure_conservative{.sampler = rows_with_tasks};
inline constexpr ForwardBackwardContinuous forward_backward_continuous{.sampler = rows_with_tasks,
                                                                       .optimizer = {.step = {.learning_rate = 1e-4}}};
inline constexpr ValueConservativeContinuous value_conservative_continuous{
    .sampler = rows_with_tasks, .optimizer = {.step = {.learning_rate = 3e-5}}};
inline constexpr MeasureConservativeContinuous measure_conservative_continuous{
    .sampler = rows_with_tasks, .optimizer = {.step = {.learning_rate = 3e-5}}};
inline constexpr ForwardBackwardMemory forward_backward_memory{.sampler = rows_with_tasks};
inline constexpr ForwardBackwardMemoryContinuous forward_backward_memory_continuous{
    .sampler = rows_with_tasks, .optimizer = {.step = {.learning_rate = 1e-4}}};

}  // namespace roars::methods
