#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <type_traits>

#include "roars/fields.hpp"
#include "roars/optimizer/step/lanes.hpp"

namespace roars::step {

namespace detail {

/// A rule that does not know `gradient_scale` gets gradients that are scaled already.
template <class Base, class State, class Real>
void step_scaled(const Base& base, State& state, std::span<Real> parameters, std::span<Real> gradients, double scale,
                 double gradient_scale) {
    if constexpr (requires { base.step(state, parameters, gradients, scale, gradient_scale); }) {
        base.step(state, parameters, gradients, scale, gradient_scale);
    } else {
        if (gradient_scale != 1.0)
            for (Real& g : gradients) g = static_cast<Real>(static_cast<double>(g) * gradient_scale);
        base.step(state, parameters, gradients, scale);
    }
}

/// Tells a rule of a step that was left out, so that a schedule inside it goes on.
template <class Base, class State>
void skip(const Base& base, State& state) {
    if constexpr (requires { base.skip(state); }) base.skip(state);
}

}  // namespace detail

/// What a rule that looks at the gradient's norm keeps: of the last gradient, before the clip, and how many were left
/// out.
template <class BaseState>
struct GuardedState {
    BaseState base;
    double norm = 0.0;
    std::int64_t skipped = 0;

    ROARS_MEMBERS(GuardedState, base, norm, skipped)
};

/// Clip by the global norm, over all parameters: g *= min(1, max_norm / (norm + 1e-6)), then the step of Base. A step
/// with a gradient that is not finite is left out whole: no number of Base's State changes, but a schedule goes on.
template <class Base>
struct Clipped {
    Base base{};
    double max_norm = 1.0;

    template <class Real>
    using StateOf = GuardedState<typename Base::template StateOf<Real>>;
    using State = StateOf<float>;

    template <class BaseState, class Real>
    void step(GuardedState<BaseState>& state, std::span<Real> parameters, std::span<Real> gradients, double scale = 1.0,
              double gradient_scale = 1.0) const {
        state.norm = gradient_norm(std::span<const Real>(gradients)) * gradient_scale;
        if (!std::isfinite(state.norm)) return skip(state);
        double factor = std::min(1.0, max_norm / (state.norm + 1e-6));
        detail::step_scaled(base, state.base, parameters, gradients, scale, gradient_scale * factor);
    }
    template <class BaseState>
    void skip(GuardedState<BaseState>& state) const {
        ++state.skipped;
        detail::skip(base, state.base);
    }
};
template <class Base>
ROARS_FIELDS_OF((Clipped<Base>), base, max_norm)

/// The step of Base, left out whole where a gradient is not finite (see Clipped).
template <class Base>
struct SkipNonFinite {
    Base base{};

    template <class Real>
    using StateOf = GuardedState<typename Base::template StateOf<Real>>;
    using State = StateOf<float>;

    template <class BaseState, class Real>
    void step(GuardedState<BaseState>& state, std::span<Real> parameters, std::span<Real> gradients, double scale = 1.0,
              double gradient_scale = 1.0) const {
        state.norm = gradient_norm(std::span<const Real>(gradients)) * gradient_scale;
        if (!std::isfinite(state.norm)) return skip(state);
        detail::step_scaled(base, state.base, parameters, gradients, scale, gradient_scale);
    }
    template <class BaseState>
    void skip(GuardedState<BaseState>& state) const {
        ++state.skipped;
        detail::skip(base, state.base);
    }
};
template <class Base>
ROARS_FIELDS_OF((SkipNonFinite<Base>), base)

}  // namespace roars::step
