#pragma once

#include <span>
#include <vector>

#include "roars/fields.hpp"
#include "roars/optimizer/step/lanes.hpp"

namespace roars::step {

namespace detail {
/// The formula for one parameter, or for lanes of them.
template <class V>
struct LionUpdate {
    V factor, rate, decay, keep1, add1, keep2, add2;
    ROARS_FN ROARS_INLINE void operator()(const V& gradient, V& theta, V& m) const {
        using Real = math::Scalar<V>;
        const V zero(Real(0)), one(Real(1));
        V g = gradient * factor, u = keep1 * m + add1 * g;
        V sign = math::select(u > zero, one, math::select(u < zero, -one, zero));
        theta = theta - rate * (sign + decay * theta);
        m = keep2 * m + add2 * g;
    }
};
}  // namespace detail

/// Lion, the sign of a momentum:
///     theta -= lr (sign(b1 m + (1 - b1) g) + weight_decay theta);  m = b2 m + (1 - b2) g;  sign(0) = 0.
/// Source: arXiv 2302.06675.
struct Lion {
    double learning_rate = 1e-4;
    double beta1 = 0.9;
    double beta2 = 0.99;
    double weight_decay = 0.0;

    template <class Real>
    struct StateOf {
        std::vector<Real> momentum;
        ROARS_MEMBERS(StateOf, momentum)
    };
    using State = StateOf<float>;

    /// Shapes and scales as in AdamW.
    template <class Real>
    void step(StateOf<Real>& state, std::span<Real> parameters, std::span<Real> gradients, double scale = 1.0,
              double gradient_scale = 1.0) const {
        detail::expect_gradients("Lion", parameters, gradients);
        detail::update_lanes(std::span<const Real>(gradients), formula<math::Lanes<Real>>(scale, gradient_scale),
                             parameters, detail::buffer("Lion", state.momentum, parameters.size()));
    }
    template <class V>
    detail::LionUpdate<V> formula(double scale, double gradient_scale) const {
        auto value = [](double x) { return V(static_cast<math::Scalar<V>>(x)); };
        return {value(gradient_scale), value(learning_rate * scale), value(weight_decay),
                value(beta1),          value(1.0 - beta1),           value(beta2),
                value(1.0 - beta2)};
    }
};
ROARS_FIELDS(Lion, learning_rate, beta1, beta2, weight_decay)

}  // namespace roars::step
