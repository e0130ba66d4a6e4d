#pragma once

#include "roars/actors/transformer.hpp"
#include "roars/tasks/random_calculation.hpp"

/// A few problems and a policy to learn them with, for tests of training.
namespace roars::small_text {

using Task = tasks::RandomCalculation;
inline const Task& task() {
    static const Task task = [] {
        auto settings = tasks::small_integer_calculation();
        settings.train_per_level = 12;
        settings.test_per_level = 6;
        return Task(settings, 1);
    }();
    return task;
}
inline constexpr actor::TransformerSettings policy{.layers = 1, .width = 16, .heads = 2, .hidden = 24};

}  // namespace roars::small_text
