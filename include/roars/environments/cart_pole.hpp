#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "roars/environments/environment.hpp"
#include "roars/fields.hpp"

namespace roars::env {

/// CartPole-v1 (Barto, Sutton and Anderson 1983; Gymnasium's definition): a cart of mass M, pushed by +-F, balances a
/// pole of mass m and half length l on a joint without friction. With phi from the upright,
///     t = (F + m l phi'^2 sin phi) / (M + m)
///     phi'' = (g sin phi - t cos phi) / (l (4/3 - m cos^2 phi / (M + m))),   x'' = t - m l phi'' cos phi / (M + m),
/// Euler's step of `time_step` seconds. Reward 1 a step, the last one included; the world ends where |x| or |phi| is
/// beyond its limit. Observation: x (m), x' (m/s), phi (rad), phi' (rad/s). Actions: 0 left, 1 right.
struct CartPole {
    double gravity = 9.8;                            ///< m/s^2
    double cart_mass = 1.0;                          ///< kg
    double pole_mass = 0.1;                          ///< kg
    double half_length = 0.5;                        ///< m
    double force = 10.0;                             ///< N
    double time_step = 0.02;                         ///< s
    double position_limit = 2.4;                     ///< m
    double angle_limit = 12 * 2 * detail::pi / 360;  ///< rad
    double start = 0.05;                             ///< each of the four begins uniformly in [-start, start)

    static constexpr int observation_size = 4;
    static constexpr int action_count = 2;
    static constexpr int max_steps = 500;

    template <class V>
    struct StateOf {
        V position, velocity, angle, angular_velocity;
    };
    using State = StateOf<double>;

    void reset(State& state, RandomStream& random) const {
        for (double* each : {&state.position, &state.velocity, &state.angle, &state.angular_velocity})
            *each = detail::uniform(random, -start, start);
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
    ROARS_INLINE std::array<V, 4> observation(const StateOf<V>& s) const {
        return {s.position, s.velocity, s.angle, s.angular_velocity};
    }

    /// The step for V, a number or lanes of copies.
    template <class V>
    ROARS_INLINE Outcome<V> advance(StateOf<V>& s, const V& action) const {
        const double mass = cart_mass + pole_mass, moment = pole_mass * half_length;
        V push = math::select(action == V(1), V(force), V(-force));
        V sine = math::sin(s.angle), cosine = math::cos(s.angle);
        V thrust = (push + V(moment) * math::square(s.angular_velocity) * sine) / V(mass);
        V turn = (V(gravity) * sine - cosine * thrust) /
                 (V(half_length) * (V(4.0 / 3.0) - V(pole_mass) * math::square(cosine) / V(mass)));
        V acceleration = thrust - V(moment) * turn * cosine / V(mass);
        s.position = s.position + V(time_step) * s.velocity;
        s.velocity = s.velocity + V(time_step) * acceleration;
        s.angle = s.angle + V(time_step) * s.angular_velocity;
        s.angular_velocity = s.angular_velocity + V(time_step) * turn;
        return {V(1), math::abs(s.position) > V(position_limit) || math::abs(s.angle) > V(angle_limit)};
    }
};
ROARS_FIELDS(CartPole, gravity, cart_mass, pole_mass, half_length, force, time_step, position_limit, angle_limit, start)
template <class V>
ROARS_FIELDS_OF((CartPole::StateOf<V>), position, velocity, angle, angular_velocity)
static_assert(DiscreteEnvironment<CartPole>);

}  // namespace roars::env
