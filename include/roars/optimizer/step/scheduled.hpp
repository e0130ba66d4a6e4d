#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

#include "roars/fields.hpp"
#include "roars/optimizer/step/clipped.hpp"

namespace roars::step {

/// What the learning rate is multiplied with at x, the share of the schedule behind it, from 0 to 1.
namespace decay {

/// 1
struct Constant {
    double at(double) const { return 1.0; }
};
/// last + (1 - last) (1 - x)
struct Linear {
    double last = 0.0;
    double at(double x) const { return last + (1.0 - last) * (1.0 - x); }
};
/// last + (1 - last) (1 + cos(pi x)) / 2
struct Cosine {
    double last = 0.0;
    double at(double x) const { return last + (1.0 - last) * 0.5 * (1.0 + std::cos(3.141592653589793 * x)); }
};

ROARS_FIELDS(Constant)
ROARS_FIELDS(Linear, last)
ROARS_FIELDS(Cosine, last)

}  // namespace decay

/// Warm-up alone: t / w if t <= w, 1 beyond. w = warmup_steps.
struct LinearWarmUp {
    std::int64_t warmup_steps = 0;
    double factor(std::int64_t t) const {
        return t < warmup_steps ? static_cast<double>(t) / static_cast<double>(warmup_steps) : 1.0;
    }
};
ROARS_FIELDS(LinearWarmUp, warmup_steps)

/// Warm-up, then decay. Step t counts from 1, w = warmup_steps, T = total_steps:
///     t / w if t <= w,   decay.at((t - w) / (T - w)) beyond, held at its end from t = T on.
template <class Decay>
struct WarmUp {
    std::int64_t warmup_steps = 0;
    std::int64_t total_steps = 1;
    Decay decay{};

    double factor(std::int64_t t) const {
        if (t <= warmup_steps) return static_cast<double>(t) / static_cast<double>(warmup_steps);
        if (t >= total_steps) return decay.at(1.0);
        return decay.at(static_cast<double>(t - warmup_steps) / static_cast<double>(total_steps - warmup_steps));
    }
};
template <class Decay>
ROARS_FIELDS_OF((WarmUp<Decay>), warmup_steps, total_steps, decay)

template <class BaseState>
struct ScheduledState {
    BaseState base;
    std::int64_t steps = 0;  ///< those that were left out count too

    ROARS_MEMBERS(ScheduledState, base, steps)
};

/// The step of Base at lr_t = lr factor(t), t counted from 1. A step that is left out moves the schedule on, on
/// whichever side of Clipped this stands.
template <class Base, class Schedule>
struct Scheduled {
    Base base{};
    Schedule schedule{};

    template <class Real>
    using StateOf = ScheduledState<typename Base::template StateOf<Real>>;
    using State = StateOf<float>;

    /// What the learning rate of the next step is multiplied with.
    template <class BaseState>
    double next_factor(const ScheduledState<BaseState>& state) const {
        return schedule.factor(state.steps + 1);
    }
    template <class BaseState, class Real>
    void step(ScheduledState<BaseState>& state, std::span<Real> parameters, std::span<Real> gradients,
              double scale = 1.0, double gradient_scale = 1.0) const {
        double factor = schedule.factor(++state.steps);
        detail::step_scaled(base, state.base, parameters, gradients, scale * factor, gradient_scale);
    }
    template <class BaseState>
    void skip(ScheduledState<BaseState>& state) const {
        ++state.steps;
        detail::skip(base, state.base);
    }
};
template <class Base, class Schedule>
ROARS_FIELDS_OF((Scheduled<Base, Schedule>), base, schedule)

}  // namespace roars::step
