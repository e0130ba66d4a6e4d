#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/error.hpp"
#include "roars/fields.hpp"

namespace roars::step {

/// Adam with decoupled weight decay. t counts steps from 1:
///     m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
///     theta -= lr weight_decay theta;  theta -= lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps).
/// Source: arXiv 1711.05101. weight_decay = 0 is Adam, arXiv 1412.6980.
struct AdamW {
    double learning_rate = 1e-3;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double eps = 1e-8;
    double weight_decay = 0.0;

    template <class Real>
    struct StateOf {
        std::vector<Real> first, second;
        std::int64_t steps = 0;

        friend constexpr auto roars_fields(const StateOf*) {
            return std::make_tuple(Field{"first", &StateOf::first}, Field{"second", &StateOf::second},
                                   Field{"steps", &StateOf::steps});
        }
    };
    using State = StateOf<float>;

    /// Shapes: parameters, gradients [parameters]. `scale` multiplies the learning rate (a schedule).
    template <class Real>
    void step(StateOf<Real>& state, std::span<Real> parameters, std::span<Real> gradients, double scale = 1.0) const {
        expect(parameters.size() == gradients.size(), "AdamW: expected as many gradients as parameters");
        state.first.resize(parameters.size());
        state.second.resize(parameters.size());
        double t = static_cast<double>(++state.steps);
        const Real rate = Real(learning_rate * scale), decay = Real(1.0 - learning_rate * scale * weight_decay);
        const Real keep1 = Real(beta1), add1 = Real(1.0 - beta1), keep2 = Real(beta2), add2 = Real(1.0 - beta2);
        const Real correct1 = Real(1.0 / (1.0 - std::pow(beta1, t))), correct2 = Real(1.0 / (1.0 - std::pow(beta2, t)));
        const Real small = Real(eps);
        for (std::size_t i = 0; i < parameters.size(); ++i) {
            Real g = gradients[i];
            Real m = state.first[i] = keep1 * state.first[i] + add1 * g;
            Real v = state.second[i] = keep2 * state.second[i] + add2 * g * g;
            parameters[i] = parameters[i] * decay - rate * (m * correct1) / (std::sqrt(v * correct2) + small);
        }
    }
};
ROARS_FIELDS(AdamW, learning_rate, beta1, beta2, eps, weight_decay)

}  // namespace roars::step
