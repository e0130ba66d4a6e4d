#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include "roars/critic/rows.hpp"
#include "roars/fields.hpp"

namespace roars::critic {

/// A deterministic policy that climbs its critic and stays near the data:
///     loss = -c mean q + mean over rows and dimensions of (policy_action - action)^2,  c = alpha / mean |q|,
/// without a gradient through c; c = 0 where mean |q| is 0. Source: TD3+BC, arXiv 2106.06860, eq. 5.
struct BehaviourCloning {
    double alpha = 2.5;

    /// c. Shapes: q [rows].
    template <class Real>
    double scale(backend::Host& backend, std::span<const Real> q) const {
        double size =
            mean_of(backend, std::ssize(q), [&](std::int64_t i) { return std::abs(double(q[std::size_t(i)])); });
        return size > 0.0 ? alpha / size : 0.0;
    }

    /// The loss, and its derivatives by q and by the policy's action. Shapes: q, grad_q [rows]; actions [rows, width].
    template <class Real>
    double loss(backend::Host& backend, std::span<const Real> q, Rows<const Real> policy_action,
                Rows<const Real> action, std::span<Real> grad_q, Rows<Real> grad_action) const {
        double factor = scale(backend, q), rows = double(std::ssize(q)), cells = double(std::ssize(action.values));
        auto distance = [&](std::int64_t i) {
            return double(policy_action.values[std::size_t(i)]) - double(action.values[std::size_t(i)]);
        };
        parallel_for(backend, std::ssize(grad_q),
                     [&](std::int64_t i) { grad_q[std::size_t(i)] = static_cast<Real>(-factor / rows); });
        parallel_for(backend, std::ssize(grad_action.values), [&](std::int64_t i) {
            grad_action.values[std::size_t(i)] = static_cast<Real>(2.0 * distance(i) / cells);
        });
        double value = mean_of(backend, std::ssize(q), [&](std::int64_t i) { return double(q[std::size_t(i)]); });
        double away =
            mean_of(backend, std::ssize(action.values), [&](std::int64_t i) { return distance(i) * distance(i); });
        return -factor * value + away;
    }
};
ROARS_FIELDS(BehaviourCloning, alpha)

}  // namespace roars::critic
