#pragma once

#include <span>
#include <string>
#include <vector>

#include "roars/fields.hpp"
#include "roars/optimizer/step/clipped.hpp"

namespace roars::step {

template <class BaseState, class Real>
struct AveragedState {
    BaseState base;
    std::vector<Real> average;  ///< empty before the first step

    ROARS_MEMBERS(AveragedState, base, average)
};

namespace detail {
template <class V>
struct AverageUpdate {
    V rate;
    ROARS_FN ROARS_INLINE void operator()(const V& theta, V& mean) const { mean = mean + rate * (theta - mean); }
};
}  // namespace detail

/// average = keep average + (1 - keep) target: the moving average of parameters, and the Polyak step of a target
/// network with keep = 1 - tau.
template <class Real>
void move_average(std::span<Real> average, std::span<const Real> target, double keep) {
    expect(average.size() == target.size(), [&] {
        return "an average of " + std::to_string(average.size()) + " parameters, expected " +
               std::to_string(target.size());
    });
    using V = math::Lanes<Real>;
    detail::update_lanes(target, detail::AverageUpdate<V>{V(static_cast<Real>(1.0 - keep))}, average);
}

/// The step of Base, and behind it an exponential moving average of the parameters, which begins at those before the
/// first step. The average is in the State, for evaluation; the parameters do not depend on it.
template <class Base>
struct Averaged {
    Base base{};
    double keep = 0.999;

    template <class Real>
    using StateOf = AveragedState<typename Base::template StateOf<Real>, Real>;
    using State = StateOf<float>;

    template <class BaseState, class Real>
    void step(AveragedState<BaseState, Real>& state, std::span<Real> parameters, std::span<Real> gradients,
              double scale = 1.0, double gradient_scale = 1.0) const {
        if (state.average.empty()) state.average.assign(parameters.begin(), parameters.end());
        detail::step_scaled(base, state.base, parameters, gradients, scale, gradient_scale);
        move_average(std::span<Real>(state.average), std::span<const Real>(parameters), keep);
    }
    template <class BaseState, class Real>
    void skip(AveragedState<BaseState, Real>& state) const {
        detail::skip(base, state.base);
    }
};
template <class Base>
ROARS_FIELDS_OF((Averaged<Base>), base, keep)

}  // namespace roars::step
