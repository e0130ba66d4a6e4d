#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/fields.hpp"
#include "roars/optimizer/step/clipped.hpp"

namespace roars::step {

template <class BaseState, class Real>
struct AccumulatedState {
    BaseState base;
    std::vector<Real> sum;
    std::int64_t count = 0;

    ROARS_MEMBERS(AccumulatedState, base, sum, count)
};

namespace detail {
template <class V>
struct AddGradient {
    V factor;
    ROARS_FN ROARS_INLINE void operator()(const V& g, V& total) const { total = total + g * factor; }
};
}  // namespace detail

/// One step of Base with the mean of `steps` gradients; the parameters rest in between. For gradients of batches that
/// each have a denominator of their own: micro-batches of one batch share theirs, and their gradients simply add up.
/// A broken gradient breaks the mean, so that Clipped inside leaves the whole step out, and outside that gradient
/// alone.
template <class Base>
struct Accumulated {
    Base base{};
    std::int64_t steps = 1;

    template <class Real>
    using StateOf = AccumulatedState<typename Base::template StateOf<Real>, Real>;
    using State = StateOf<float>;

    template <class BaseState, class Real>
    void step(AccumulatedState<BaseState, Real>& state, std::span<Real> parameters, std::span<Real> gradients,
              double scale = 1.0, double gradient_scale = 1.0) const {
        detail::expect_gradients("Accumulated", parameters, gradients);
        using V = math::Lanes<Real>;
        auto sum = detail::buffer("Accumulated", state.sum, parameters.size());
        detail::update_lanes(std::span<const Real>(gradients),
                             detail::AddGradient<V>{V(static_cast<Real>(gradient_scale))}, sum);
        if (++state.count < steps) return;
        detail::step_scaled(base, state.base, parameters, sum, scale, 1.0 / static_cast<double>(state.count));
        std::fill(sum.begin(), sum.end(), Real(0));
        state.count = 0;
    }
    template <class BaseState, class Real>
    void skip(AccumulatedState<BaseState, Real>& state) const {
        detail::skip(base, state.base);
    }
};
template <class Base>
ROARS_FIELDS_OF((Accumulated<Base>), base, steps)

}  // namespace roars::step
