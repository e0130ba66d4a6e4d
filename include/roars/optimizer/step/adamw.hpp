#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include "roars/fields.hpp"
#include "roars/optimizer/step/lanes.hpp"

namespace roars::step {

/// Adam with decoupled weight decay. t counts steps from 1:
///     m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;
///     theta -= lr weight_decay theta;  theta -= lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps).
/// Source: arXiv 1711.05101. weight_decay = 0 is Adam, arXiv 1412.6980. A gradient that is not finite stays in m and v
/// for good: Clipped and SkipNonFinite leave such a step out.
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

    /// Shapes: parameters, gradients [parameters]. `scale` multiplies the learning rate (a schedule), `gradient_scale`
    /// the gradient (a clip). The two steps on theta are one, so that a small decay is not lost in a factor near 1.
    template <class Real>
    void step(StateOf<Real>& state, std::span<Real> parameters, std::span<Real> gradients, double scale = 1.0,
              double gradient_scale = 1.0) const {
        using V = math::Lanes<Real>;
        detail::expect_gradients("AdamW", parameters, gradients);
        auto first = detail::buffer("AdamW", state.first, parameters.size());
        auto second = detail::buffer("AdamW", state.second, parameters.size());
        double t = static_cast<double>(++state.steps);
        auto lanes = [](double x) { return V(static_cast<Real>(x)); };
        const V factor = lanes(gradient_scale), rate = lanes(learning_rate * scale), decay = lanes(weight_decay);
        const V keep1 = lanes(beta1), add1 = lanes(1.0 - beta1), keep2 = lanes(beta2), add2 = lanes(1.0 - beta2);
        const V correct1 = lanes(1.0 / (1.0 - std::pow(beta1, t))), correct2 = lanes(1.0 / (1.0 - std::pow(beta2, t)));
        const V small = lanes(eps);
        detail::update_lanes(
            std::span<const Real>(gradients),
            [&](const V& gradient, V& theta, V& m, V& v) {
                V g = gradient * factor;
                m = keep1 * m + add1 * g;
                v = keep2 * v + add2 * (g * g);
                theta = theta - rate * ((m * correct1) / (math::sqrt(v * correct2) + small) + decay * theta);
            },
            parameters, first, second);
    }
};
ROARS_FIELDS(AdamW, learning_rate, beta1, beta2, eps, weight_decay)

}  // namespace roars::step
