#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "roars/primitives/finite_horizon.hpp"

namespace roars::metrics {

/// KL(p || reference) = sum p ln(p / reference), nats: p = 0 adds 0, p > 0 where the reference is 0 makes it +inf.
/// Shapes: [actions].
inline double divergence(std::span<const double> p, std::span<const double> reference) {
    double sum = 0.0;
    for (std::size_t a = 0; a < p.size(); ++a) {
        if (!(p[a] > 0.0)) continue;
        if (!(reference[a] > 0.0)) return std::numeric_limits<double>::infinity();
        sum += p[a] * std::log(p[a] / reference[a]);
    }
    return sum;
}

/// What a policy is worth in a known finite problem, from each first state.
struct PolicyWorth {
    std::vector<double> value;          ///< E[sum_h r_h]
    std::vector<double> trajectory_kl;  ///< E[sum_h KL(policy_h(.|s_h) || reference_h(.|s_h))], nats

    /// value - kl_coefficient trajectory_kl; with a coefficient of 0 the value, whatever the divergence.
    std::vector<double> regularised(double kl_coefficient) const {
        std::vector<double> worth = value;
        if (kl_coefficient != 0.0)
            for (std::size_t s = 0; s < worth.size(); ++s) worth[s] -= kl_coefficient * trajectory_kl[s];
        return worth;
    }
};

/// By backward induction, exactly. What is never reached adds nothing, infinite divergences too. Shapes: transition
/// [horizon, states, actions, states], reward, policy, reference [horizon, states, actions] -> [states].
inline PolicyWorth evaluate_policy(const FiniteHorizon& shape, std::span<const double> transition,
                                   std::span<const double> reward, std::span<const double> policy,
                                   std::span<const double> reference) {
    shape.check("transition", transition.size(), shape.transitions());
    shape.check("reward", reward.size(), shape.step_actions());
    shape.check("policy", policy.size(), shape.step_actions());
    shape.check("reference policy", reference.size(), shape.step_actions());
    const std::vector<double> nothing(static_cast<std::size_t>(shape.states));
    PolicyWorth worth{nothing, nothing};
    auto actions = static_cast<std::size_t>(shape.actions);
    for (std::int64_t h = shape.horizon; h-- > 0;) {
        PolicyWorth before{nothing, nothing};
        for (std::int64_t s = 0; s < shape.states; ++s) {
            auto own = static_cast<std::size_t>(s);
            std::size_t first = shape.at(h, s, 0);
            before.trajectory_kl[own] = divergence(policy.subspan(first, actions), reference.subspan(first, actions));
            for (std::int64_t a = 0; a < shape.actions; ++a) {
                double takes = policy[shape.at(h, s, a)];
                if (takes == 0.0) continue;
                before.value[own] += takes * reward[shape.at(h, s, a)];
                for (std::int64_t to = 0; to < shape.states; ++to) {
                    double goes = takes * transition[shape.at(h, s, a, to)];
                    if (goes == 0.0) continue;
                    before.value[own] += goes * worth.value[static_cast<std::size_t>(to)];
                    before.trajectory_kl[own] += goes * worth.trajectory_kl[static_cast<std::size_t>(to)];
                }
            }
        }
        worth = before;
    }
    return worth;
}

}  // namespace roars::metrics
