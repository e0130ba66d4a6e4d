#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "roars/environments/environment.hpp"
#include "roars/fields.hpp"

namespace roars::env {

/// Acrobot-v1 (Sutton 1996, in the book's equations; Gymnasium's definition): two links, a torque on the joint between
/// them, to be swung until the tip is one link above the fixed joint: -cos p - cos(p + q) > 1, where the world ends.
/// With p the first angle from hanging down, q the second from the first, c the centres of mass,
///     d1 = m1 c1^2 + m2 (l1^2 + c2^2 + 2 l1 c2 cos q) + 2 I,   d2 = m2 (c2^2 + l1 c2 cos q) + I
///     h2 = m2 c2 g sin(p + q)
///     h1 = -m2 l1 c2 q' (q' + 2 p') sin q + (m1 c1 + m2 l1) g sin p + h2
///     q'' = (torque + d2 h1 / d1 - m2 l1 c2 p'^2 sin q - h2) / (m2 c2^2 + I - d2^2 / d1),   p'' = -(d2 q'' + h1) / d1,
/// one Runge-Kutta step of fourth order, then angles wrapped to [-pi, pi) and speeds held to their limits.
/// Reward -1 a step, 0 on the last. Observation: cos p, sin p, cos q, sin q, p', q'. Actions: torque -1, 0, 1.
struct Acrobot {
    double gravity = 9.8;                                                            ///< m/s^2
    double first_length = 1.0;                                                       ///< m
    double first_mass = 1.0, second_mass = 1.0;                                      ///< kg
    double first_center = 0.5, second_center = 0.5;                                  ///< m from the link's upper end
    double moment_of_inertia = 1.0;                                                  ///< of each link, kg m^2
    double torque = 1.0;                                                             ///< Nm
    double time_step = 0.2;                                                          ///< s
    double first_speed_limit = 4 * detail::pi, second_speed_limit = 9 * detail::pi;  ///< rad/s
    double start = 0.1;  ///< each of the four begins uniformly in [-start, start)

    static constexpr int observation_size = 6;
    static constexpr int action_count = 3;
    static constexpr int max_steps = 500;

    template <class V>
    struct StateOf {
        V first_angle, second_angle, first_speed, second_speed;
    };
    using State = StateOf<double>;

    void reset(State& state, RandomStream& random) const {
        for (double* each : {&state.first_angle, &state.second_angle, &state.first_speed, &state.second_speed})
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
    ROARS_INLINE std::array<V, 6> observation(const StateOf<V>& s) const {
        return {math::cos(s.first_angle),
                math::sin(s.first_angle),
                math::cos(s.second_angle),
                math::sin(s.second_angle),
                s.first_speed,
                s.second_speed};
    }
    /// The step for V, a number or lanes of copies.
    template <class V>
    ROARS_INLINE Outcome<V> advance(StateOf<V>& s, const V& action) const {
        V applied = (action - V(1)) * V(torque);
        auto k1 = slope(s, applied);
        auto k2 = slope(moved(s, k1, time_step / 2), applied);
        auto k3 = slope(moved(s, k2, time_step / 2), applied);
        auto k4 = slope(moved(s, k3, time_step), applied);
        auto along = [&](auto member) {
            return s.*member + V(time_step / 6) * (k1.*member + V(2) * k2.*member + V(2) * k3.*member + k4.*member);
        };
        using S = StateOf<V>;
        s = {detail::wrap(along(&S::first_angle)), detail::wrap(along(&S::second_angle)),
             math::clamp(along(&S::first_speed), V(-first_speed_limit), V(first_speed_limit)),
             math::clamp(along(&S::second_speed), V(-second_speed_limit), V(second_speed_limit))};
        auto up = -math::cos(s.first_angle) - math::cos(s.second_angle + s.first_angle) > V(1);
        return {math::select(up, V(0), V(-1)), up};
    }

private:
    template <class V>
    ROARS_INLINE static StateOf<V> moved(const StateOf<V>& s, const StateOf<V>& slope, double time) {
        return {s.first_angle + V(time) * slope.first_angle, s.second_angle + V(time) * slope.second_angle,
                s.first_speed + V(time) * slope.first_speed, s.second_speed + V(time) * slope.second_speed};
    }
    template <class V>
    ROARS_INLINE StateOf<V> slope(const StateOf<V>& s, const V& applied) const {
        const double m1 = first_mass, m2 = second_mass, l1 = first_length, c1 = first_center, c2 = second_center;
        const double inertia = moment_of_inertia;
        V sine = math::sin(s.second_angle), cosine = math::cos(s.second_angle);
        V d1 = V(m1 * c1 * c1 + m2 * (l1 * l1 + c2 * c2) + 2 * inertia) + V(2 * m2 * l1 * c2) * cosine;
        V d2 = V(m2 * c2 * c2 + inertia) + V(m2 * l1 * c2) * cosine;
        V h2 = V(m2 * c2 * gravity) * math::sin(s.first_angle + s.second_angle);
        V h1 = V(-m2 * l1 * c2) * s.second_speed * (s.second_speed + V(2) * s.first_speed) * sine +
               V((m1 * c1 + m2 * l1) * gravity) * math::sin(s.first_angle) + h2;
        V share = d2 / d1;
        V second = (applied + share * h1 - V(m2 * l1 * c2) * math::square(s.first_speed) * sine - h2) /
                   (V(m2 * c2 * c2 + inertia) - d2 * share);
        return {s.first_speed, s.second_speed, -(d2 * second + h1) / d1, second};
    }
};
ROARS_FIELDS(Acrobot, gravity, first_length, first_mass, second_mass, first_center, second_center, moment_of_inertia,
             torque, time_step, first_speed_limit, second_speed_limit, start)
template <class V>
ROARS_FIELDS_OF((Acrobot::StateOf<V>), first_angle, second_angle, first_speed, second_speed)
static_assert(DiscreteEnvironment<Acrobot> && LaneEnvironment<Acrobot>);

}  // namespace roars::env
