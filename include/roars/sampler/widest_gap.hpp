#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/fields.hpp"
#include "roars/primitives/finite_horizon.hpp"

namespace roars::sampler {

/// Exploration by one step: an episode follows a policy, except that at one step, drawn uniformly from 0 .. H (H:
/// nowhere), it takes the action whose bounds are widest apart, arg max_a q_upper - q_lower, the lowest of equal ones.
/// The regularised plan's error is at most a sum over steps of E[max_a (q_upper - q_lower)^2] / (2 c), so that is what
/// must shrink. Source: arXiv 2310.17303, the mixture pi^{t,(h)}; its exact form is a reading.
struct WidestGap {
    /// floor(uniform (horizon + 1)), at most horizon.
    static std::int64_t switch_step(std::int64_t horizon, double uniform) {
        return std::clamp<std::int64_t>(static_cast<std::int64_t>(uniform * static_cast<double>(horizon + 1)), 0,
                                        horizon);
    }

    /// The policy of an episode that leaves `policy` at step `at`. Shapes: all [horizon, states, actions].
    static std::vector<double> policy(const FiniteHorizon& shape, std::span<const double> q_upper,
                                      std::span<const double> q_lower, std::span<const double> policy,
                                      std::int64_t at) {
        check(shape, q_upper, q_lower);
        shape.check("policy", policy.size(), shape.step_actions());
        std::vector<double> explores(policy.begin(), policy.end());
        if (at >= shape.horizon) return explores;
        for (std::int64_t s = 0; s < shape.states; ++s) {
            std::int64_t widest = 0;
            for (std::int64_t a = 0; a < shape.actions; ++a) {
                explores[shape.at(at, s, a)] = 0.0;
                if (gap(shape, q_upper, q_lower, at, s, a) > gap(shape, q_upper, q_lower, at, s, widest)) widest = a;
            }
            if (shape.actions > 0) explores[shape.at(at, s, widest)] = 1.0;
        }
        return explores;
    }

    /// (max_a q_upper - q_lower)^2 / (2 kl_coefficient); 0 where the bounds meet. Shapes: q [horizon, states, actions]
    /// -> [horizon, states].
    static std::vector<double> gap_bound(const FiniteHorizon& shape, std::span<const double> q_upper,
                                         std::span<const double> q_lower, double kl_coefficient) {
        check(shape, q_upper, q_lower);
        std::vector<double> bound(shape.step_states());
        for (std::int64_t h = 0; h < shape.horizon; ++h)
            for (std::int64_t s = 0; s < shape.states; ++s) {
                double widest = shape.actions > 0 ? gap(shape, q_upper, q_lower, h, s, 0) : 0.0;
                for (std::int64_t a = 1; a < shape.actions; ++a)
                    widest = std::max(widest, gap(shape, q_upper, q_lower, h, s, a));
                bound[shape.at(h, s)] = widest == 0.0 ? 0.0 : widest * widest / (2.0 * kl_coefficient);
            }
        return bound;
    }

private:
    static void check(const FiniteHorizon& shape, std::span<const double> q_upper, std::span<const double> q_lower) {
        shape.check("q_upper", q_upper.size(), shape.step_actions());
        shape.check("q_lower", q_lower.size(), shape.step_actions());
    }
    static double gap(const FiniteHorizon& shape, std::span<const double> q_upper, std::span<const double> q_lower,
                      std::int64_t h, std::int64_t s, std::int64_t a) {
        return q_upper[shape.at(h, s, a)] - q_lower[shape.at(h, s, a)];
    }
};
ROARS_FIELDS(WidestGap)

}  // namespace roars::sampler
