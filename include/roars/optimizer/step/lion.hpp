#pragma once

#include <span>
#include <tuple>
#include <vector>

#include "roars/fields.hpp"
#include "roars/optimizer/step/lanes.hpp"

namespace roars::step {

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
        friend constexpr auto roars_fields(const StateOf*) {
            return std::make_tuple(Field{"momentum", &StateOf::momentum});
        }
    };
    using State = StateOf<float>;

    /// Shapes and scales as in AdamW.
    template <class Real>
    void step(StateOf<Real>& state, std::span<Real> parameters, std::span<Real> gradients, double scale = 1.0,
              double gradient_scale = 1.0) const {
        using V = math::Lanes<Real>;
        detail::expect_gradients("Lion", parameters, gradients);
        auto lanes = [](double x) { return V(static_cast<Real>(x)); };
        const V factor = lanes(gradient_scale), rate = lanes(learning_rate * scale), decay = lanes(weight_decay);
        const V keep1 = lanes(beta1), add1 = lanes(1.0 - beta1), keep2 = lanes(beta2), add2 = lanes(1.0 - beta2);
        const V zero(Real(0)), one(Real(1));
        detail::update_lanes(
            std::span<const Real>(gradients),
            [&](const V& gradient, V& theta, V& m) {
                V g = gradient * factor, u = keep1 * m + add1 * g;
                V sign = math::select(u > zero, one, math::select(u < zero, -one, zero));
                theta = theta - rate * (sign + decay * theta);
                m = keep2 * m + add2 * g;
            },
            parameters, detail::buffer("Lion", state.momentum, parameters.size()));
    }
};
ROARS_FIELDS(Lion, learning_rate, beta1, beta2, weight_decay)

}  // namespace roars::step
