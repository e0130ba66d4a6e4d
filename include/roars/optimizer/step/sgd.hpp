#pragma once

#include <span>
#include <vector>

#include "roars/fields.hpp"
#include "roars/optimizer/step/lanes.hpp"

namespace roars::step {

namespace detail {
/// The formula for one parameter, or for lanes of them, without momentum and with it.
template <class V>
struct SgdUpdate {
    V factor, rate, decay, keep;
    ROARS_FN ROARS_INLINE void operator()(const V& g, V& theta) const {
        theta = theta - rate * (g * factor + decay * theta);
    }
    ROARS_FN ROARS_INLINE void operator()(const V& g, V& theta, V& v) const {
        v = keep * v + g * factor;
        theta = theta - rate * (v + decay * theta);
    }
};
}  // namespace detail

/// Gradient descent with momentum and decoupled weight decay:
///     v = momentum v + g;  theta -= lr (v + weight_decay theta).
/// Without momentum nothing is stored.
struct Sgd {
    double learning_rate = 1e-2;
    double momentum = 0.0;
    double weight_decay = 0.0;

    template <class Real>
    struct StateOf {
        std::vector<Real> velocity;
        ROARS_MEMBERS(StateOf, velocity)
    };
    using State = StateOf<float>;

    /// Shapes and scales as in AdamW.
    template <class Real>
    void step(StateOf<Real>& state, std::span<Real> parameters, std::span<Real> gradients, double scale = 1.0,
              double gradient_scale = 1.0) const {
        detail::expect_gradients("Sgd", parameters, gradients);
        auto update = formula<math::Lanes<Real>>(scale, gradient_scale);
        std::span<const Real> constant(gradients);
        if (momentum == 0.0)
            detail::update_lanes(constant, update, parameters);
        else
            detail::update_lanes(constant, update, parameters,
                                 detail::buffer("Sgd", state.velocity, parameters.size()));
    }
    template <class V>
    detail::SgdUpdate<V> formula(double scale, double gradient_scale) const {
        auto value = [](double x) { return V(static_cast<math::Scalar<V>>(x)); };
        return {value(gradient_scale), value(learning_rate * scale), value(weight_decay), value(momentum)};
    }
};
ROARS_FIELDS(Sgd, learning_rate, momentum, weight_decay)

}  // namespace roars::step
