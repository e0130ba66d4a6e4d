#pragma once

#include <cstdint>
#include <span>

#include "roars/critic/steps.hpp"
#include "roars/fields.hpp"

namespace roars::critic {

/// y_t = r_t + gamma (1 - terminated_t) q_{t+1} with q of the action that the data took next: it values the policy that
/// made the data, never an action outside it. The last step of a stream looks at `value_after` of that stream. Its
/// Monte-Carlo form is LambdaReturn with lambda = 1. Shapes: reward, terminated, q, target [steps], value_after
/// [streams]. Source: behaviour value estimation as in arXiv 2111.04714, eq. 6.
struct LoggedAction {
    double gamma = 0.99;

    template <class Real>
    void target(backend::Host& backend, Offsets streams, std::span<const Real> reward, std::span<const Real> terminated,
                std::span<const Real> q, std::span<const Real> value_after, std::span<Real> target) const {
        roars::detail::expect_covered("q", q.size(), streams);
        roars::detail::expect_size("value_after", value_after.size(), segment_count(streams));
        segmented_for_each(backend, streams, [&](std::int64_t stream, std::int64_t step) {
            auto t = static_cast<std::size_t>(step);
            auto own = static_cast<std::size_t>(stream);
            double next = double(step + 1 < streams[own + 1] ? q[t + 1] : value_after[own]);
            target[t] = static_cast<Real>(one_step_target(double(reward[t]), gamma, terminated[t] != Real(0), next));
        });
    }
};
ROARS_FIELDS(LoggedAction, gamma)

}  // namespace roars::critic
