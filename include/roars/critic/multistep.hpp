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

/// G_t = r_t + gamma (1 - terminated_t) (v_t + c_{t+1} (G_{t+1} - q_{t+1})), c = lambda min(1, exp(logp - logp_old)),
/// v_t = next_value_t, the policy's expected action value in the next state. Shapes: q, logp, logp_old, target [steps].
/// Source: Retrace, arXiv 1606.02647, eq. 3.
struct Retrace {
    double gamma = 0.99;
    double lambda = 0.95;

    template <class Real, class Out>
    void target(backend::Host& backend, const Steps<Real>& steps, std::span<const Real> q, std::span<const Real> logp,
                std::span<const Real> logp_old, std::span<Out> target) const {
        std::vector<char> cut = cuts_of(backend, steps);
        segmented_affine_backward(
            backend, steps.offsets,
            [&](std::int64_t t) {
                auto i = static_cast<std::size_t>(t);
                if (steps.ends(t) || cut[i]) return Affine<double>{0.0, steps.bootstrapped(t, gamma)};
                double trace = lambda * std::min(1.0, std::exp(double(logp[i + 1]) - double(logp_old[i + 1])));
                double next = double(steps.next_value[i]) - trace * double(q[i + 1]);
                return Affine<double>{gamma * trace, steps.target(t, gamma, next)};
            },
            [&](std::int64_t t, double value) { target[static_cast<std::size_t>(t)] = static_cast<Out>(value); });
    }
};
ROARS_FIELDS(Retrace, gamma, lambda)

/// G_t = sum_{k < m} gamma^k r_{t+k} + gamma^m (1 - terminated) next_value of step t + m - 1, m <= n steps: fewer where
/// a step is done or the stream ends. Shapes: steps -> target [steps]. Source: Sutton and Barto, eq. 7.1.
struct NStep {
    double gamma = 0.99;
    std::int64_t n = 3;

    template <class Real, class Out>
    void target(backend::Host& backend, const Steps<Real>& steps, std::span<Out> target) const {
        expect(n >= 1, [&] { return "n-step target: n is " + std::to_string(n) + ", expected 1 or more"; });
        std::vector<char> cut = cuts_of(backend, steps);
        segmented_for_each(backend, steps.offsets, [&](std::int64_t, std::int64_t t) {
            std::int64_t last = t;
            while (last - t + 1 < n && !cut[static_cast<std::size_t>(last)]) ++last;
            double value = steps.bootstrapped(last, gamma);
            while (last-- > t) value = double(steps.reward[static_cast<std::size_t>(last)]) + gamma * value;
            target[static_cast<std::size_t>(t)] = static_cast<Out>(value);
        });
    }
};
ROARS_FIELDS(NStep, gamma, n)

}  // namespace roars::critic
