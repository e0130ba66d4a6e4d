#pragma once

#include <span>
#include <tuple>
#include <vector>

#include "roars/fields.hpp"
#include "roars/optimizer/step/lanes.hpp"

namespace roars::step {

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
        friend constexpr auto roars_fields(const StateOf*) {
            return std::make_tuple(Field{"velocity", &StateOf::velocity});
        }
    };
    using State = StateOf<float>;

    /// Shapes and scales as in AdamW.
    template <class Real>
    void step(StateOf<Real>& state, std::span<Real> parameters, std::span<Real> gradients, double scale = 1.0,
              double gradient_scale = 1.0) const {
        using V = math::Lanes<Real>;
        detail::expect_gradients("Sgd", parameters, gradients);
        auto lanes = [](double x) { return V(static_cast<Real>(x)); };
        const V factor = lanes(gradient_scale), rate = lanes(learning_rate * scale), decay = lanes(weight_decay),
                keep = lanes(momentum);
        std::span<const Real> constant(gradients);
        if (momentum == 0.0) {
            detail::update_lanes(
                constant, [&](const V& g, V& theta) { theta = theta - rate * (g * factor + decay * theta); },
                parameters);
            return;
        }
        detail::update_lanes(
            constant,
            [&](const V& g, V& theta, V& v) {
                v = keep * v + g * factor;
                theta = theta - rate * (v + decay * theta);
            },
            parameters, detail::buffer("Sgd", state.velocity, parameters.size()));
    }
};
ROARS_FIELDS(Sgd, learning_rate, momentum, weight_decay)

}  // namespace roars::step
