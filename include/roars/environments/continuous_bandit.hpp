#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "roars/environments/environment.hpp"
#include "roars/fields.hpp"

namespace roars::env {

/// One step: a context s ~ U[-1, 1), an action a, and
///     r = slope a + wave sin(frequency s)   for a <= edge,   r = fall   beyond it.
/// The best action stands at the edge of a cliff: who believes a critic where it has no data falls. a is held to
/// [-1, 1]. Observation: s.
struct CliffBandit {
    double slope = 1.0;
    double wave = 0.2;
    double frequency = 3.0;
    double edge = 0.7;
    double fall = -1.0;

    static constexpr int observation_size = 1;
    static constexpr int action_size = 1;
    static constexpr int max_steps = 1;
    double action_low() const { return -1.0; }
    double action_high() const { return 1.0; }

    template <class V>
    struct StateOf {
        V context;
    };
    using State = StateOf<double>;

    void reset(State& state, RandomStream& random) const { state.context = detail::uniform(random, -1.0, 1.0); }
    template <class Real>
    StepResult step(State& state, std::span<const Real> action, RandomStream&) const {
        auto outcome = advance(state, std::array{double(action[0])});
        return {outcome.reward, outcome.terminated};
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        detail::put(observation(state), to);
    }
    template <class V>
    ROARS_INLINE std::array<V, 1> observation(const StateOf<V>& s) const {
        return {s.context};
    }
    /// The step for V, a number or lanes of copies.
    template <class V>
    ROARS_INLINE Outcome<V> advance(StateOf<V>& s, const std::array<V, 1>& action) const {
        V a = math::clamp(action[0], V(-1), V(1));
        V reward = math::select(a <= V(edge), V(slope) * a + V(wave) * math::sin(V(frequency) * s.context), V(fall));
        return {reward, a <= V(1)};
    }
};
ROARS_FIELDS(CliffBandit, slope, wave, frequency, edge, fall)
template <class V>
ROARS_FIELDS_OF((CliffBandit::StateOf<V>), context)
static_assert(ContinuousEnvironment<CliffBandit> && LaneEnvironment<CliffBandit>);

/// One step: a context s ~ U[-1, 1)^size, an action a of the same size held to [-1, 1], and
///     r = -mean_k (a_k - gain s_k)^2 + noise n,   n ~ N(0, 1).
/// Observation: s. The best policy is a = gain s.
template <int size = 1>
struct TargetBandit {
    double gain = 0.5;
    double noise = 0.0;

    static constexpr int observation_size = size;
    static constexpr int action_size = size;
    static constexpr int max_steps = 1;
    double action_low() const { return -1.0; }
    double action_high() const { return 1.0; }

    struct State {
        std::array<double, std::size_t(size)> context;
    };

    void reset(State& state, RandomStream& random) const {
        for (double& each : state.context) each = detail::uniform(random, -1.0, 1.0);
    }
    template <class Real>
    StepResult step(State& state, std::span<const Real> action, RandomStream& random) const {
        double sum = 0;
        for (std::size_t k = 0; k < state.context.size(); ++k)
            sum += math::square(math::clamp(double(action[k]), -1.0, 1.0) - gain * state.context[k]);
        return {-sum / size + (noise > 0 ? noise * random.normal() : 0.0), true};
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        detail::put(state.context, to);
    }
};
template <int size>
ROARS_FIELDS_OF((TargetBandit<size>), gain, noise)
static_assert(ContinuousEnvironment<TargetBandit<2>>);

}  // namespace roars::env
