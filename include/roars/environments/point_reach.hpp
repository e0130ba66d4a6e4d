#pragma once

#include <array>
#include <span>

#include "roars/environments/environment.hpp"
#include "roars/fields.hpp"

namespace roars::env {

/// A point p in the plane is to be moved to a goal g, both drawn uniformly from [-1, 1)^2:
///     p <- clip(p + reach a, -bound, bound),   a held to [-1, 1]^2.
/// The world ends, with success_reward, when both distances |p - g| are below `tolerance`; before that a step costs
/// distance_cost times the larger of them (0: a sparse reward). Observation: p, g. Action: a.
struct PointReach {
    double reach = 0.15;
    double bound = 1.2;
    double tolerance = 0.06;
    double success_reward = 1.0;
    double distance_cost = 0.0;

    static constexpr int observation_size = 4;
    static constexpr int action_size = 2;
    static constexpr int max_steps = 25;
    double action_low() const { return -1.0; }
    double action_high() const { return 1.0; }

    template <class V>
    struct StateOf {
        V x, y, goal_x, goal_y;
    };
    using State = StateOf<double>;

    void reset(State& state, RandomStream& random) const {
        for (double* each : {&state.x, &state.y, &state.goal_x, &state.goal_y})
            *each = detail::uniform(random, -1.0, 1.0);
    }
    template <class Real>
    StepResult step(State& state, std::span<const Real> action, RandomStream&) const {
        auto outcome = advance(state, std::array{double(action[0]), double(action[1])});
        return {outcome.reward, outcome.terminated};
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        detail::put(observation(state), to);
    }
    template <class V>
    ROARS_INLINE std::array<V, 4> observation(const StateOf<V>& s) const {
        return {s.x, s.y, s.goal_x, s.goal_y};
    }
    /// The step for V, a number or lanes of copies.
    template <class V>
    ROARS_INLINE Outcome<V> advance(StateOf<V>& s, const std::array<V, 2>& action) const {
        auto moved = [&](const V& from, const V& by) {
            return math::clamp(from + V(reach) * math::clamp(by, V(-1), V(1)), V(-bound), V(bound));
        };
        s.x = moved(s.x, action[0]);
        s.y = moved(s.y, action[1]);
        V distance = math::max(math::abs(s.x - s.goal_x), math::abs(s.y - s.goal_y));
        auto there = distance < V(tolerance);
        return {math::select(there, V(success_reward), V(0) - V(distance_cost) * distance), there};
    }
};
ROARS_FIELDS(PointReach, reach, bound, tolerance, success_reward, distance_cost)
template <class V>
ROARS_FIELDS_OF((PointReach::StateOf<V>), x, y, goal_x, goal_y)
static_assert(ContinuousEnvironment<PointReach> && LaneEnvironment<PointReach>);

}  // namespace roars::env
