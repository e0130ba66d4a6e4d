#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "roars/data/transitions.hpp"
#include "roars/environments/environment.hpp"
#include "roars/error.hpp"
#include "roars/random.hpp"

namespace roars::data {

/// Chooses any action with the same probability (density).
struct UniformPolicy {
    template <env::Environment E, class Real>
    void operator()(const E& environment, std::span<const Real>, std::span<Real> action, RandomStream& random) const {
        if constexpr (env::DiscreteEnvironment<E>)
            action[0] = static_cast<Real>(random.below(E::action_count));
        else
            for (Real& each : action)
                each = static_cast<Real>(
                    env::detail::uniform(random, environment.action_low(), environment.action_high()));
    }
};

/// `rows` transitions of one copy of a world, episode after episode; the last one is cut where the rows end. The policy
/// is called as policy(environment, observation, action, random) and fills the action, whose one number is the
/// action's own where they are discrete. World and policy draw from streams of their own.
/// Errors: no rows asked for, an action that is none or not finite.
template <class Real = float, env::Environment E, class Policy>
Transitions<Real> collect(const E& environment, std::int64_t rows, std::uint64_t seed, Policy&& policy) {
    expect(rows > 0, [&] { return "collect: " + std::to_string(rows) + " rows, expected 1 or more"; });
    Transitions<Real> transitions;
    constexpr auto observed = static_cast<std::size_t>(E::observation_size);
    transitions.observation_size = E::observation_size;
    if constexpr (env::DiscreteEnvironment<E>)
        transitions.action_size = 1, transitions.action_count = E::action_count;
    else
        transitions.action_size = E::action_size;
    transitions.reserve(rows);

    auto episode = env::Episode<E>::of(seed);
    RandomStream random{Random(seed, Purpose::sample)};
    std::array<Real, observed> before{}, after{};
    std::vector<Real> action(static_cast<std::size_t>(transitions.action_size));
    auto begin = [&] {
        episode.reset(environment);
        environment.observe(episode.state, std::span<Real>(before));
    };
    begin();
    for (std::int64_t row = 0; row < rows; ++row) {
        policy(environment, std::span<const Real>(before), std::span<Real>(action), random);
        auto result = [&] {
            if constexpr (env::DiscreteEnvironment<E>) {
                expect(action[0] >= 0 && action[0] < Real(E::action_count), [&] {
                    return "collect: row " + std::to_string(row) + ": the policy chose action " +
                           std::to_string(action[0]) + ", expected 0 to " + std::to_string(E::action_count - 1);
                });
                return episode.step(environment, static_cast<std::int32_t>(action[0]));
            } else {
                return episode.step(environment, std::span<const Real>(action));
            }
        }();
        environment.observe(episode.state, std::span<Real>(after));
        transitions.add(before, action, static_cast<Real>(result.reward), after, result.terminated, result.truncated);
        if (result.ended())
            begin();
        else
            before = after;
    }
    transitions.cut_last();
    transitions.check("collect");
    return transitions;
}

}  // namespace roars::data
