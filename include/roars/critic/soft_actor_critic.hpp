#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "roars/critic/rows.hpp"
#include "roars/critic/steps.hpp"
#include "roars/fields.hpp"

namespace roars::critic {

/// Soft actor-critic: the target of the critics, the loss of the actor and that of the learned temperature alpha.
/// Source: arXiv 1812.05905, eqs. 5, 7 and 18.
struct SoftActorCritic {
    double gamma = 0.99;
    double target_entropy = -1.0;  ///< usually -(dimensions of the action)

    /// y = r + gamma (1 - terminated) (min(q1, q2) - alpha logp), q and logp of an action of the policy in the next
    /// state. Shapes: all [rows].
    template <class Real>
    void target(backend::Host& backend, double alpha, std::span<const Real> reward, std::span<const Real> terminated,
                std::span<const Real> q1, std::span<const Real> q2, std::span<const Real> next_logp,
                std::span<Real> target) const {
        parallel_for(backend, std::ssize(target), [&](std::int64_t row) {
            auto i = static_cast<std::size_t>(row);
            double next = std::min(double(q1[i]), double(q2[i])) - alpha * double(next_logp[i]);
            target[i] = static_cast<Real>(one_step_target(double(reward[i]), gamma, terminated[i] != Real(0), next));
        });
    }
    /// mean(alpha logp - q); its derivatives are alpha / rows and -1 / rows.
    template <class Real>
    double actor_loss(backend::Host& backend, double alpha, std::span<const Real> logp, std::span<const Real> q) const {
        return mean_of(backend, std::ssize(q), [&](std::int64_t i) {
            return alpha * double(logp[std::size_t(i)]) - double(q[std::size_t(i)]);
        });
    }
    /// d/d log_alpha of -mean(log_alpha (logp + target_entropy)); the loss is log_alpha times that.
    template <class Real>
    double temperature_slope(backend::Host& backend, std::span<const Real> logp) const {
        return -mean_of(backend, std::ssize(logp),
                        [&](std::int64_t i) { return double(logp[std::size_t(i)]) + target_entropy; });
    }
};
ROARS_FIELDS(SoftActorCritic, gamma, target_entropy)

}  // namespace roars::critic
