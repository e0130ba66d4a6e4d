#pragma once

#include <array>
#include <span>

#include "roars/environments/environment.hpp"
#include "roars/fields.hpp"

namespace roars::env {

/// Pendulum-v1 (Gymnasium's definition): a rod of mass m and length l, to be swung up and held by a torque u that is
/// too weak to lift it. With phi from the upright, wrapped to [-pi, pi) in the reward,
///     reward = -(phi^2 + 0.1 phi'^2 + 0.001 u^2),   of the state before the step
///     phi' += (3 g sin phi / (2 l) + 3 u / (m l^2)) time_step, held to +-speed_limit;   phi += phi' time_step.
/// It never ends by itself. Observation: cos phi, sin phi, phi' (rad/s). Action: u (Nm), held to +-torque_limit.
struct Pendulum {
    double gravity = 10.0;            ///< m/s^2
    double mass = 1.0;                ///< kg
    double length = 1.0;              ///< m
    double time_step = 0.05;          ///< s
    double speed_limit = 8.0;         ///< rad/s
    double torque_limit = 2.0;        ///< Nm
    double start_angle = detail::pi;  ///< phi begins uniformly in [-start_angle, start_angle)
    double start_speed = 1.0;         ///< and phi' in [-start_speed, start_speed)

    static constexpr int observation_size = 3;
    static constexpr int action_size = 1;
    static constexpr int max_steps = 200;
    double action_low() const { return -torque_limit; }
    double action_high() const { return torque_limit; }

    template <class V>
    struct StateOf {
        V angle, angular_velocity;
    };
    using State = StateOf<double>;

    void reset(State& state, RandomStream& random) const {
        state.angle = detail::uniform(random, -start_angle, start_angle);
        state.angular_velocity = detail::uniform(random, -start_speed, start_speed);
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
    ROARS_INLINE std::array<V, 3> observation(const StateOf<V>& s) const {
        return {math::cos(s.angle), math::sin(s.angle), s.angular_velocity};
    }

    /// The step for V, a number or lanes of copies.
    template <class V>
    ROARS_INLINE Outcome<V> advance(StateOf<V>& s, const std::array<V, 1>& action) const {
        V torque = math::clamp(action[0], V(-torque_limit), V(torque_limit));
        V wrapped = detail::wrap(s.angle);
        V cost = math::square(wrapped) + V(0.1) * math::square(s.angular_velocity) + V(0.001) * math::square(torque);
        V turn = V(3 * gravity / (2 * length)) * math::sin(s.angle) + V(3 / (mass * length * length)) * torque;
        s.angular_velocity = math::clamp(s.angular_velocity + turn * V(time_step), V(-speed_limit), V(speed_limit));
        s.angle = s.angle + s.angular_velocity * V(time_step);
        return {-cost, cost < V(0)};  // a cost is never below 0
    }
};
ROARS_FIELDS(Pendulum, gravity, mass, length, time_step, speed_limit, torque_limit, start_angle, start_speed)
template <class V>
ROARS_FIELDS_OF((Pendulum::StateOf<V>), angle, angular_velocity)
static_assert(ContinuousEnvironment<Pendulum>);

}  // namespace roars::env
