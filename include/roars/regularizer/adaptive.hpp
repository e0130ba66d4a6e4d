#pragma once

#include <algorithm>
#include <cstdint>
#include <tuple>

#include "roars/regularizer/kl.hpp"

/// Coefficients that follow what they regulate. observe(run, state, result) is called with the result of every update.
namespace roars::regularizer {

/// Kl whose coefficient holds the divergence near a target: after each update
///     coefficient *= 1 + clamp(kl / target - 1, -0.2, 0.2) samples / horizon.
/// Source: Ziegler et al., arXiv 1909.08593, sec. 2.2. An update without a trainable token changes nothing.
template <class Estimator = kl::K3>
struct AdaptiveKl {
    double coefficient = 0.2;  ///< the first one
    double target = 6.0;
    double samples = 64;  ///< sequences an update
    double horizon = 10000;

    /// What the coefficient has been multiplied with so far.
    struct State {
        double factor = 1.0;
        ROARS_MEMBERS(State, factor)
    };

    double in_force(const State& state) const { return coefficient * state.factor; }
    std::tuple<Kl<Estimator>> terms(const State& state) const { return {Kl<Estimator>{in_force(state)}}; }

    void observe(State& state, double kl) const {
        state.factor *= 1.0 + std::clamp(kl / target - 1.0, -0.2, 0.2) * samples / horizon;
    }
    template <class RunType, class ResultType>
    void observe(RunType&, State& state, const ResultType& result) const {
        if (result.count("kl") > 0) observe(state, result.metric("kl"));
    }
};
template <class Estimator>
ROARS_FIELDS_OF((AdaptiveKl<Estimator>), coefficient, target, samples, horizon)

/// EntropyBonus that is in force while the last update's entropy was at or below a target (before the first it counts
/// as 0), with a coefficient that grows by `step` where the entropy H is at or below it and shrinks by `step` above:
///     c = min(max, c + step) if H <= target, else max(min, c - step).
/// Skywork Open Reasoner, arXiv 2505.22312. An update without a trainable token changes nothing.
struct AdaptiveEntropy {
    double coefficient = 0.0;  ///< the first one
    double target = 0.2;
    double step = 0.005;
    double min = 0.0;
    double max = 1.0;

    struct State {
        double shift = 0.0;    ///< how far the coefficient has come from the first one
        double entropy = 0.0;  ///< of the last update
        ROARS_MEMBERS(State, shift, entropy)
    };

    double current(const State& state) const { return coefficient + state.shift; }
    double in_force(const State& state) const { return state.entropy <= target ? current(state) : 0.0; }
    std::tuple<EntropyBonus> terms(const State& state) const { return {EntropyBonus{in_force(state)}}; }

    void observe(State& state, double entropy) const {
        double next = entropy <= target ? std::min(max, current(state) + step) : std::max(min, current(state) - step);
        state = {next - coefficient, entropy};
    }
    template <class RunType, class ResultType>
    void observe(RunType&, State& state, const ResultType& result) const {
        if (result.count("entropy") > 0) observe(state, result.metric("entropy"));
    }
};
ROARS_FIELDS(AdaptiveEntropy, coefficient, target, step, min, max)

}  // namespace roars::regularizer
