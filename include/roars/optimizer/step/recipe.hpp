#pragma once

#include <cstdint>

#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/step/clipped.hpp"
#include "roars/optimizer/step/scheduled.hpp"

namespace roars::step {

/// What the field trains language models with: AdamW, the gradient's global norm held to max_norm, a linear warm-up of
/// the learning rate and a constant one behind it.
using Recipe = Scheduled<Clipped<AdamW>, LinearWarmUp>;

/// The recipe with its settings in one line: recipe({.learning_rate = 1e-6}, 20).
constexpr Recipe recipe(const AdamW& adamw, std::int64_t warmup_steps = 0, double max_norm = 1.0) {
    return {.base = {.base = adamw, .max_norm = max_norm}, .schedule = {.warmup_steps = warmup_steps}};
}

/// The same whose rate then falls in a straight line, to 0 in `total_steps` if one says so.
using DecayingRecipe = Scheduled<Clipped<AdamW>, WarmUp<decay::Linear>>;

/// DecayingRecipe with its rate constant, until its schedule is given another end than 1.
constexpr DecayingRecipe constant_recipe(const AdamW& adamw, double max_norm = 1.0) {
    return {.base = {.base = adamw, .max_norm = max_norm}, .schedule = {.decay = {.last = 1.0}}};
}

}  // namespace roars::step
