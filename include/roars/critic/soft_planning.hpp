#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "roars/backend.hpp"
#include "roars/critic/rows.hpp"
#include "roars/fields.hpp"
#include "roars/primitives/finite_horizon.hpp"

/// Planning that pays for leaving a reference policy. Source: Demonstration-Regularized RL, arXiv 2310.17303.
namespace roars::critic {

/// max_p <p, q> - c KL(p || reference) over distributions p on the actions, c = kl_coefficient:
///     value = c ln sum_a reference_a e^{q_a / c},   policy_a proportional to reference_a e^{q_a / c}.
/// c = 0 is its limit: the largest q, and of equal ones each with its share of the reference. An action that the
/// reference never takes is never taken, whatever its q.
struct RegularisedMaximum {
    double kl_coefficient = 0.05;

    struct Value {
        double value = 0.0;
        double kl = 0.0;  ///< KL(policy || reference), nats
    };

    /// Shapes: q, reference, policy [actions]. Some reference_a > 0; without one the value is -inf and the policy 0.
    Value operator()(std::span<const double> q, std::span<const double> reference, std::span<double> policy) const {
        double best = -std::numeric_limits<double>::infinity(), mass = 0.0;
        for (std::size_t a = 0; a < q.size(); ++a)
            if (reference[a] > 0.0) best = std::max(best, q[a]), mass += reference[a];
        std::fill(policy.begin(), policy.end(), 0.0);
        if (best == -std::numeric_limits<double>::infinity()) return {best, 0.0};
        auto u = [&](std::size_t a) {
            return q[a] == best ? 0.0 : (q[a] - best) / kl_coefficient;  // -inf where c is 0
        };
        double normaliser = log_normaliser(reference, mass, u);
        double kl = 0.0;
        for (std::size_t a = 0; a < q.size(); ++a) {
            if (!(reference[a] > 0.0)) continue;
            policy[a] = std::exp(std::log(reference[a]) + u(a) - normaliser);
            if (policy[a] > 0.0) kl += policy[a] * (u(a) - normaliser);
        }
        return {best + kl_coefficient * normaliser, kl};
    }

private:
    /// ln sum_a reference_a e^{u_a}, u <= 0, one of them 0. Where the sum is near 1 a large c multiplies its logarithm,
    /// and asks for the digits behind the 1.
    template <class U>
    static double log_normaliser(std::span<const double> reference, double mass, const U& u) {
        double largest = -std::numeric_limits<double>::infinity(), sum = 0.0, beside = 0.0;
        auto each = [&](auto&& visit) {
            for (std::size_t a = 0; a < reference.size(); ++a)
                if (reference[a] > 0.0) visit(a);
        };
        each([&](std::size_t a) { largest = std::max(largest, std::log(reference[a]) + u(a)); });
        each([&](std::size_t a) { sum += std::exp(std::log(reference[a]) + u(a) - largest); });
        double plain = largest + std::log(sum);
        if (plain < -0.5) return plain;
        each([&](std::size_t a) { beside += reference[a] * std::expm1(u(a)); });
        return std::log1p((mass - 1.0) + beside);
    }
};
ROARS_FIELDS(RegularisedMaximum, kl_coefficient)

}  // namespace roars::critic

namespace roars::detail {

/// Errors: a coefficient below 0, a state without an action that the reference takes, a probability that is none.
inline void check_plan(const FiniteHorizon& shape, std::span<const double> reference, double kl_coefficient) {
    shape.check("reference policy", reference.size(), shape.step_actions());
    expect(kl_coefficient >= 0.0, [&] {
        return "soft planning: kl_coefficient is " + std::to_string(kl_coefficient) + ", expected 0 or more";
    });
    for (std::int64_t h = 0; h < shape.horizon; ++h)
        for (std::int64_t s = 0; s < shape.states; ++s) {
            bool any = shape.actions == 0;
            for (std::int64_t a = 0; a < shape.actions; ++a) {
                double p = reference[shape.at(h, s, a)];
                expect(p >= 0.0 && std::isfinite(p), [&] {
                    return "reference policy: step " + std::to_string(h) + ", state " + std::to_string(s) +
                           ", action " + std::to_string(a) + " has probability " + std::to_string(p) +
                           ", expected 0 or more";
                });
                any = any || p > 0.0;
            }
            expect(any, [&] {
                return "reference policy: step " + std::to_string(h) + ", state " + std::to_string(s) +
                       " has no action with a probability above 0";
            });
        }
}

/// value_h, policy_h of all states from q_h.
inline void maximise(backend::Host& backend, const FiniteHorizon& shape, const critic::RegularisedMaximum& maximum,
                     std::int64_t h, std::span<const double> reference, std::span<const double> q,
                     std::span<double> value, std::span<double> policy) {
    auto actions = static_cast<std::size_t>(shape.actions);
    parallel_for(backend, shape.states, [&](std::int64_t s) {
        std::size_t first = shape.at(h, s, 0);
        value[shape.at(h, s)] =
            maximum(q.subspan(first, actions), reference.subspan(first, actions), policy.subspan(first, actions)).value;
    });
}

}  // namespace roars::detail

namespace roars::critic {

/// What planning gives. Shapes: q, policy [horizon, states, actions], value [horizon, states].
struct SoftPlan {
    std::vector<double> q, value, policy;
};

/// Backward induction in a model: q_h(s, a) = r_h(s, a) + sum_s' p_h(s'|s, a) value_{h+1}(s'), value and policy the
/// RegularisedMaximum of q against the reference, value_H = 0. With kl_coefficient = 0 and a reference that takes every
/// action it is the optimal policy.
struct SoftPlanning {
    double kl_coefficient = 0.05;

    /// Shapes: transition [horizon, states, actions, states], reward, reference [horizon, states, actions].
    SoftPlan plan(backend::Host& backend, const FiniteHorizon& shape, std::span<const double> transition,
                  std::span<const double> reward, std::span<const double> reference) const {
        shape.check("transition", transition.size(), shape.transitions());
        shape.check("reward", reward.size(), shape.step_actions());
        roars::detail::check_plan(shape, reference, kl_coefficient);
        SoftPlan plan{std::vector<double>(shape.step_actions()), std::vector<double>(shape.step_states()),
                      std::vector<double>(shape.step_actions())};
        for (std::int64_t h = shape.horizon; h-- > 0;) {
            parallel_for(backend, shape.states * shape.actions, [&](std::int64_t pair) {
                std::int64_t s = pair / shape.actions, a = pair % shape.actions;
                double next = 0.0;
                for (std::int64_t to = 0; h + 1 < shape.horizon && to < shape.states; ++to)
                    next += transition[shape.at(h, s, a, to)] * plan.value[shape.at(h + 1, to)];
                plan.q[shape.at(h, s, a)] = reward[shape.at(h, s, a)] + next;
            });
            roars::detail::maximise(backend, shape, {kl_coefficient}, h, reference, plan.q, plan.value, plan.policy);
        }
        return plan;
    }
};
ROARS_FIELDS(SoftPlanning, kl_coefficient)

/// p_h(s'|s, a) = n(h, s, a, s') / n(h, s, a), uniform where nothing was seen. Shapes: counts -> [horizon, states,
/// actions, states].
inline std::vector<double> empirical_model(const FiniteHorizon& shape, std::span<const double> counts) {
    shape.check("transition counts", counts.size(), shape.transitions());
    std::vector<double> model(counts.begin(), counts.end());
    for (std::size_t pair = 0; pair < shape.step_actions(); ++pair) {
        auto row = std::span(model).subspan(pair * static_cast<std::size_t>(shape.states),
                                            static_cast<std::size_t>(shape.states));
        double visits = 0.0;
        for (double each : row) visits += each;
        for (double& each : row) each = visits > 0.0 ? each / visits : 1.0 / static_cast<double>(shape.states);
    }
    return model;
}

/// What optimistic planning gives: bounds, and the maximiser of the upper one. Shapes: q, policy [horizon, states,
/// actions], value [horizon, states].
struct OptimisticPlan {
    std::vector<double> q_upper, q_lower, value_upper, value_lower, policy;
};

/// Backward induction from counts n of transitions, p = n(h, s, a, s') / n(h, s, a), with U and L the upper and lower
/// values:
///     q_upper = clamp(r + p U_{h+1} + bonus, 0, H - h),   q_lower = clamp(r + p L_{h+1} - bonus, 0, H - h),
///     bonus = bonus_scale sqrt(Var_p(U_{h+1}) beta / n) + bonus_range H^2 beta / n + bonus_flat H sqrt(beta / n),
/// n at least 1 there. Where nothing was seen p is uniform and bonus = H. Rewards are known and in [0, 1]. What is put
/// out in the end is SoftPlanning in the empirical_model. The paper's bonus is of the first two kinds with constants
/// that hold with probability 1 - delta; these settings stand for them.
struct OptimisticPlanning {
    double kl_coefficient = 0.05;
    double bonus_scale = 1.0;
    double bonus_range = 0.0;
    double bonus_flat = 0.0;
    double beta = 1.0;

    /// Shapes: counts [horizon, states, actions, states], reward, reference [horizon, states, actions]. Errors: a table
    /// of another size, a count below 0, a reference that takes no action.
    OptimisticPlan plan(backend::Host& backend, const FiniteHorizon& shape, std::span<const double> counts,
                        std::span<const double> reward, std::span<const double> reference) const {
        shape.check("transition counts", counts.size(), shape.transitions());
        shape.check("reward", reward.size(), shape.step_actions());
        roars::detail::check_plan(shape, reference, kl_coefficient);
        for (std::size_t i = 0; i < counts.size(); ++i)
            expect(counts[i] >= 0.0, [&] {
                return "transition counts: value " + std::to_string(i) + " is " + std::to_string(counts[i]) +
                       ", expected 0 or more";
            });
        const RegularisedMaximum maximum{kl_coefficient};
        const std::vector<double> by_action(shape.step_actions()), by_state(shape.step_states());
        OptimisticPlan plan{by_action, by_action, by_state, by_state, by_action};
        std::vector<double> pessimist(shape.step_actions());
        for (std::int64_t h = shape.horizon; h-- > 0;) {
            parallel_for(backend, shape.states * shape.actions,
                         [&](std::int64_t pair) { bound(shape, h, pair, counts, reward, plan); });
            roars::detail::maximise(backend, shape, maximum, h, reference, plan.q_upper, plan.value_upper, plan.policy);
            roars::detail::maximise(backend, shape, maximum, h, reference, plan.q_lower, plan.value_lower, pessimist);
        }
        return plan;
    }

private:
    void bound(const FiniteHorizon& shape, std::int64_t h, std::int64_t pair, std::span<const double> counts,
               std::span<const double> reward, OptimisticPlan& plan) const {
        std::int64_t s = pair / shape.actions, a = pair % shape.actions;
        auto horizon = static_cast<double>(shape.horizon), left = static_cast<double>(shape.horizon - h);
        double visits = 0.0, upper = 0.0, lower = 0.0, variance = 0.0;
        for (std::int64_t to = 0; to < shape.states; ++to) visits += counts[shape.at(h, s, a, to)];
        auto probability = [&](std::int64_t to) {
            return visits > 0.0 ? counts[shape.at(h, s, a, to)] / visits : 1.0 / static_cast<double>(shape.states);
        };
        auto next = [&](const std::vector<double>& value, std::int64_t to) {
            return h + 1 < shape.horizon ? value[shape.at(h + 1, to)] : 0.0;
        };
        for (std::int64_t to = 0; to < shape.states; ++to) {
            upper += probability(to) * next(plan.value_upper, to);
            lower += probability(to) * next(plan.value_lower, to);
        }
        for (std::int64_t to = 0; to < shape.states; ++to) {
            double away = next(plan.value_upper, to) - upper;
            variance += probability(to) * away * away;
        }
        double seen = std::max(visits, 1.0);
        double bonus = visits > 0.0 ? bonus_scale * std::sqrt(variance * beta / seen) +
                                          bonus_range * horizon * horizon * beta / seen +
                                          bonus_flat * horizon * std::sqrt(beta / seen)
                                    : horizon;
        double own = reward[shape.at(h, s, a)];
        plan.q_upper[shape.at(h, s, a)] = std::clamp(own + upper + bonus, 0.0, left);
        plan.q_lower[shape.at(h, s, a)] = std::clamp(own + lower - bonus, 0.0, left);
    }
};
ROARS_FIELDS(OptimisticPlanning, kl_coefficient, bonus_scale, bonus_range, bonus_flat, beta)

}  // namespace roars::critic
