#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "roars/critic/steps.hpp"
#include "roars/fields.hpp"

namespace roars::critic {

/// The target of a state's value beside TD3's critics: min(critic_target, r + gamma (1 - terminated) min(q1, q2)), q1
/// and q2 the critics themselves (not their targets) at the smoothed next action, after their step. Low on purpose: it
/// only tells the sign of advantages. Shapes: all [rows]. Source: A2PR, arXiv 2405.19909.
struct CautiousValue {
    double gamma = 0.99;

    template <class Real>
    void target(backend::Host& backend, std::span<const Real> reward, std::span<const Real> terminated,
                std::span<const Real> critic_target, std::span<const Real> q1, std::span<const Real> q2,
                std::span<Real> target) const {
        parallel_for(backend, std::ssize(target), [&](std::int64_t row) {
            auto i = static_cast<std::size_t>(row);
            double own = one_step_target(double(reward[i]), gamma, terminated[i] != Real(0),
                                         std::min(double(q1[i]), double(q2[i])));
            target[i] = static_cast<Real>(std::min(double(critic_target[i]), own));
        });
    }
};
ROARS_FIELDS(CautiousValue, gamma)

}  // namespace roars::critic
