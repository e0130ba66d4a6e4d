#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "roars/environments/environment.hpp"
#include "roars/fields.hpp"

namespace roars::env {

namespace detail {

/// What the two mountain cars share: position x and speed v in a valley of height 0.45 sin(3 x) + 0.55,
///     v += push - gravity cos(3 x), held to +-speed_limit;   x += v, held to [left, right]; at the left end v >= 0.
template <class V>
struct CarState {
    V position, velocity;
};
template <class V>
ROARS_FIELDS_OF((CarState<V>), position, velocity)

template <class V>
ROARS_INLINE void drive(CarState<V>& s, const V& push, double gravity, double speed_limit, double left, double right) {
    s.velocity =
        math::clamp(s.velocity + push - V(gravity) * math::cos(V(3) * s.position), V(-speed_limit), V(speed_limit));
    s.position = math::clamp(s.position + s.velocity, V(left), V(right));
    s.velocity = math::select(s.position == V(left) && s.velocity < V(0), V(0), s.velocity);
}

}  // namespace detail

/// MountainCar-v0 (Moore 1990; Gymnasium's definition): a car too weak for the hill must first drive away from the
/// goal. Reward -1 a step; the world ends at the goal. Observation: x, v. Actions: 0 push left, 1 none, 2 push right.
struct MountainCar {
    double force = 0.001;
    double gravity = 0.0025;
    double speed_limit = 0.07;
    double left = -1.2, right = 0.6;
    double goal_position = 0.5;
    double goal_velocity = 0.0;                  ///< at least this fast at the goal
    double start_low = -0.6, start_high = -0.4;  ///< x begins uniformly in [start_low, start_high), v at 0

    static constexpr int observation_size = 2;
    static constexpr int action_count = 3;
    static constexpr int max_steps = 200;

    template <class V>
    using StateOf = detail::CarState<V>;
    using State = StateOf<double>;

    void reset(State& state, RandomStream& random) const {
        state = {detail::uniform(random, start_low, start_high), 0.0};
    }
    StepResult step(State& state, std::int32_t action, RandomStream&) const {
        auto outcome = advance(state, double(action));
        return {outcome.reward, outcome.terminated};
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        detail::put(observation(state), to);
    }
    template <class V>
    ROARS_INLINE std::array<V, 2> observation(const StateOf<V>& s) const {
        return {s.position, s.velocity};
    }
    /// The step for V, a number or lanes of copies.
    template <class V>
    ROARS_INLINE Outcome<V> advance(StateOf<V>& s, const V& action) const {
        detail::drive(s, (action - V(1)) * V(force), gravity, speed_limit, left, right);
        return {V(-1), s.position >= V(goal_position) && s.velocity >= V(goal_velocity)};
    }
};
ROARS_FIELDS(MountainCar, force, gravity, speed_limit, left, right, goal_position, goal_velocity, start_low, start_high)
static_assert(DiscreteEnvironment<MountainCar> && LaneEnvironment<MountainCar>);

/// MountainCarContinuous-v0 (Gymnasium's definition): the push is power * a with a held to [-1, 1]; reward -0.1 a^2 of
/// the action as it was given, and +100 at the goal, where the world ends.
struct MountainCarContinuous {
    double power = 0.0015;
    double gravity = 0.0025;
    double speed_limit = 0.07;
    double left = -1.2, right = 0.6;
    double goal_position = 0.45;
    double goal_velocity = 0.0;
    double goal_reward = 100.0;
    double action_cost = 0.1;
    double start_low = -0.6, start_high = -0.4;

    static constexpr int observation_size = 2;
    static constexpr int action_size = 1;
    static constexpr int max_steps = 999;
    double action_low() const { return -1.0; }
    double action_high() const { return 1.0; }

    template <class V>
    using StateOf = detail::CarState<V>;
    using State = StateOf<double>;

    void reset(State& state, RandomStream& random) const {
        state = {detail::uniform(random, start_low, start_high), 0.0};
    }
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
    ROARS_INLINE std::array<V, 2> observation(const StateOf<V>& s) const {
        return {s.position, s.velocity};
    }
    /// The step for V, a number or lanes of copies.
    template <class V>
    ROARS_INLINE Outcome<V> advance(StateOf<V>& s, const std::array<V, 1>& action) const {
        V push = V(power) * math::clamp(action[0], V(-1), V(1));
        detail::drive(s, push, gravity, speed_limit, left, right);
        auto there = s.position >= V(goal_position) && s.velocity >= V(goal_velocity);
        return {math::select(there, V(goal_reward), V(0)) - V(action_cost) * math::square(action[0]), there};
    }
};
ROARS_FIELDS(MountainCarContinuous, power, gravity, speed_limit, left, right, goal_position, goal_velocity, goal_reward,
             action_cost, start_low, start_high)
static_assert(ContinuousEnvironment<MountainCarContinuous> && LaneEnvironment<MountainCarContinuous>);

}  // namespace roars::env
