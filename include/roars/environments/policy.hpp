#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "roars/environments/environment.hpp"
#include "roars/error.hpp"
#include "roars/random.hpp"

namespace roars::env {

/// A policy at work in a world is called as policy(environment, observation, action, random) and fills the action, a
/// span of numbers; of a discrete world it is one number, the action's own. Whether it acts by chance or by its best
/// guess is the policy's choice. This one chooses any action with the same probability (density).
struct UniformPolicy {
    template <Environment E, class Real>
    void operator()(const E& environment, std::span<const Real>, std::span<Real> action, RandomStream& random) const {
        if constexpr (DiscreteEnvironment<E>)
            action[0] = static_cast<Real>(random.below(E::action_count));
        else
            for (Real& each : action)
                each = static_cast<Real>(detail::uniform(random, environment.action_low(), environment.action_high()));
    }
};

/// How many numbers an action is, for a policy; the most that it may be, of environments chosen at run time.
template <Environment E>
constexpr std::size_t action_numbers() {
    if constexpr (DiscreteEnvironment<E>)
        return 1;
    else if constexpr (requires { E::most_actions; })
        return static_cast<std::size_t>(E::most_actions);
    else
        return static_cast<std::size_t>(E::action_size);
}

/// Takes the step of an action as a policy fills it. Errors: a number that is not finite, a discrete action that is
/// none.
template <class Real, Environment E>
typename Episode<E>::Result take(const E& environment, Episode<E>& episode, std::span<const Real> action) {
    for (Real each : action)
        expect(std::isfinite(each), [&] {
            return "step " + std::to_string(episode.steps) + ": the policy's action is " + std::to_string(each) +
                   ", expected a finite number";
        });
    if constexpr (DiscreteEnvironment<E>) {
        expect(action[0] >= 0 && action[0] < Real(E::action_count), [&] {
            return "step " + std::to_string(episode.steps) + ": the policy's action is " + std::to_string(action[0]) +
                   ", expected 0 to " + std::to_string(E::action_count - 1);
        });
        return episode.step(environment, static_cast<std::int32_t>(action[0]));
    } else {
        return episode.step(environment, action);
    }
}

}  // namespace roars::env
