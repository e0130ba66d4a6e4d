#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/critic/steps.hpp"
#include "roars/fields.hpp"
#include "roars/primitives/segmented_scan.hpp"

/// Targets of a critic over several steps. c = 1 where a step is done or the last of its stream; there every target is
/// r_t + gamma (1 - terminated_t) next_value_t.
namespace roars::critic {

/// G_t = r_t + gamma (1 - terminated_t) ((1 - lambda) next_value_t + lambda G_{t+1}). Shapes: steps -> target [steps].
/// Source: Sutton and Barto, eq. 12.18.
struct LambdaReturn {
    double gamma = 0.99;
    double lambda = 0.95;

    template <class Real, class Out>
    void target(backend::Host& backend, const Steps<Real>& steps, std::span<Out> target) const {
        std::vector<char> cut = cuts_of(backend, steps);
        segmented_affine_backward(
            backend, steps.offsets,
            [&](std::int64_t t) {
                bool ends = steps.ends(t), stops = ends || cut[static_cast<std::size_t>(t)];
                double own = ends ? 0.0 : double(steps.next_value[static_cast<std::size_t>(t)]);
                double next = stops ? own : (1.0 - lambda) * own;
                return Affine<double>{stops ? 0.0 : gamma * lambda, steps.target(t, gamma, next)};
            },
            [&](std::int64_t t, double value) { target[static_cast<std::size_t>(t)] = static_cast<Out>(value); });
    }
};
ROARS_FIELDS(LambdaReturn, gamma, lambda)

}  // namespace roars::critic

namespace roars::detail {

/// G_t = r_t + gamma (1 - terminated_t) (v_t + c_{t+1} (G_{t+1} - q_{t+1})), v_t = next_value_t, the policy's expected
/// action value in the next state; trace(t) = c_t says how far the action taken in step t is followed. Shapes: q,
/// target [steps].
template <class Real, class Out, class Trace>
void off_policy_target(backend::Host& backend, const critic::Steps<Real>& steps, double gamma, std::span<const Real> q,
                       std::span<Out> target, Trace&& trace) {
    std::vector<char> cut = critic::cuts_of(backend, steps);
    segmented_affine_backward(
        backend, steps.offsets,
        [&](std::int64_t t) {
            auto i = static_cast<std::size_t>(t);
            if (steps.ends(t) || cut[i]) return Affine<double>{0.0, steps.bootstrapped(t, gamma)};
            double follow = trace(i + 1), next = double(steps.next_value[i]) - follow * double(q[i + 1]);
            return Affine<double>{gamma * follow, steps.target(t, gamma, next)};
        },
        [&](std::int64_t t, double value) { target[static_cast<std::size_t>(t)] = static_cast<Out>(value); });
}

}  // namespace roars::detail

/// Targets of action values that follow the actions taken: G_t = r_t + gamma (1 - terminated_t) (v_t + c_{t+1} (G_{t+1}
/// - q_{t+1})), v_t = next_value_t, the policy's expected action value in the next state, q the value of the action
/// taken. They differ in the trace c.
namespace roars::critic {

/// c = lambda min(1, exp(logp - logp_old)): safe however far the data's policy is away. Shapes: q, logp, logp_old,
/// target [steps]. Source: Retrace, arXiv 1606.02647, eq. 3.
struct Retrace {
    double gamma = 0.99;
    double lambda = 0.95;

    template <class Real, class Out>
    void target(backend::Host& backend, const Steps<Real>& steps, std::span<const Real> q, std::span<const Real> logp,
                std::span<const Real> logp_old, std::span<Out> target) const {
        roars::detail::off_policy_target(backend, steps, gamma, q, target, [&](std::size_t t) {
            return lambda * std::min(1.0, std::exp(double(logp[t]) - double(logp_old[t])));
        });
    }
};
ROARS_FIELDS(Retrace, gamma, lambda)

/// c = lambda exp(logp), the policy's probability of the action: needs no density of the data's policy, and follows
/// little where the policy is spread out. Actions are discrete. Shapes: q, logp, target [steps]. Sources: tree backup,
/// Precup, Sutton and Singh 2000; arXiv 1606.02647, table 1.
struct TreeBackup {
    double gamma = 0.99;
    double lambda = 0.95;

    template <class Real, class Out>
    void target(backend::Host& backend, const Steps<Real>& steps, std::span<const Real> q, std::span<const Real> logp,
                std::span<Out> target) const {
        roars::detail::off_policy_target(backend, steps, gamma, q, target,
                                         [&](std::size_t t) { return lambda * std::exp(double(logp[t])); });
    }
};
ROARS_FIELDS(TreeBackup, gamma, lambda)

/// c = lambda, whoever acted: Q(lambda) with off-policy corrections, which converges where the policies are near enough
/// for lambda. Shapes: q, target [steps]. Source: arXiv 1602.04951, eq. 4. (Peng's Q(lambda) is LambdaReturn with the
/// largest action value as next_value.)
struct CorrectedQLambda {
    double gamma = 0.99;
    double lambda = 0.5;

    template <class Real, class Out>
    void target(backend::Host& backend, const Steps<Real>& steps, std::span<const Real> q,
                std::span<Out> target) const {
        roars::detail::off_policy_target(backend, steps, gamma, q, target, [&](std::size_t) { return lambda; });
    }
};
ROARS_FIELDS(CorrectedQLambda, gamma, lambda)

/// NStep's G_t of step t, by functions of a step: reward(t); stops(t), whether the steps are cut behind it; and
/// last(t), r_t + gamma (1 - terminated_t) next_value_t.
template <class Reward, class Stops, class Last>
ROARS_FN double n_step_return(std::int64_t t, double gamma, std::int64_t n, const Reward& reward, const Stops& stops,
                              const Last& last) {
    std::int64_t end = t;
    while (end - t + 1 < n && !stops(end)) ++end;
    double value = last(end);
    while (end-- > t) value = reward(end) + gamma * value;
    return value;
}

/// G_t = sum_{k < m} gamma^k r_{t+k} + gamma^m (1 - terminated) next_value of step t + m - 1, m <= n steps: fewer where
/// a step is done or the stream ends. Shapes: steps -> target [steps]. Source: Sutton and Barto, eq. 7.1.
struct NStep {
    double gamma = 0.99;
    std::int64_t n = 3;

    void check() const {
        expect(n >= 1, [&] { return "n-step target: n is " + std::to_string(n) + ", expected 1 or more"; });
    }
    template <class Real, class Out>
    void target(backend::Host& backend, const Steps<Real>& steps, std::span<Out> target) const {
        check();
        std::vector<char> cut = cuts_of(backend, steps);
        segmented_for_each(backend, steps.offsets, [&](std::int64_t, std::int64_t t) {
            target[static_cast<std::size_t>(t)] = static_cast<Out>(n_step_return(
                t, gamma, n, [&](std::int64_t s) { return double(steps.reward[static_cast<std::size_t>(s)]); },
                [&](std::int64_t s) { return cut[static_cast<std::size_t>(s)] != 0; },
                [&](std::int64_t s) { return steps.bootstrapped(s, gamma); }));
        });
    }
};
ROARS_FIELDS(NStep, gamma, n)

}  // namespace roars::critic
