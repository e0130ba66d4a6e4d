#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/fields.hpp"
#include "roars/optimizer/step/lanes.hpp"

namespace roars::step {

namespace detail {
/// The formula for one parameter, or for lanes of them; correct1 = 1 / (1 - b1^t), correct2 likewise.
template <class V>
struct AdamWUpdate {
    V factor, rate, decay, keep1, add1, keep2, add2, correct1, correct2, small;
    ROARS_FN ROARS_INLINE void operator()(const V& gradient, V& theta, V& m, V& v) const {
        V g = gradient * factor;
        m = keep1 * m + add1 * g;
        v = keep2 * v + add2 * (g * g);
        theta = theta - rate * ((m * correct1) / (math::sqrt(v * correct2) + small) + decay * theta);
    }
};
}  // namespace detail

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

        ROARS_MEMBERS(StateOf, first, second, steps)
    };
    using State = StateOf<float>;

    /// Shapes: parameters, gradients [parameters]. `scale` multiplies the learning rate (a schedule), `gradient_scale`
    /// the gradient (a clip). The two steps on theta are one, so that a small decay is not lost in a factor near 1.
    template <class Real>
    void step(StateOf<Real>& state, std::span<Real> parameters, std::span<Real> gradients, double scale = 1.0,
              double gradient_scale = 1.0) const {
        detail::expect_gradients("AdamW", parameters, gradients);
        auto first = detail::buffer("AdamW", state.first, parameters.size());
        auto second = detail::buffer("AdamW", state.second, parameters.size());
        auto update = at_step<math::Lanes<Real>>(static_cast<double>(++state.steps), scale, gradient_scale);
        detail::update_lanes(std::span<const Real>(gradients), update, parameters, first, second);
    }
    /// The formula of step t in values of V.
    template <class V>
    detail::AdamWUpdate<V> at_step(double t, double scale, double gradient_scale) const {
        auto value = [](double x) { return V(static_cast<math::Scalar<V>>(x)); };
        return {value(gradient_scale),
                value(learning_rate * scale),
                value(weight_decay),
                value(beta1),
                value(1.0 - beta1),
                value(beta2),
                value(1.0 - beta2),
                value(1.0 / (1.0 - std::pow(beta1, t))),
                value(1.0 / (1.0 - std::pow(beta2, t))),
                value(eps)};
    }
};
ROARS_FIELDS(AdamW, learning_rate, beta1, beta2, eps, weight_decay)

}  // namespace roars::step
