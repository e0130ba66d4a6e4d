#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "roars/data/transitions.hpp"
#include "roars/environments/environment.hpp"
#include "roars/environments/policy.hpp"
#include "roars/error.hpp"
#include "roars/random.hpp"

namespace roars::data {

/// `rows` transitions of one copy of a world, episode after episode, by a policy as roars/environments/policy.hpp says;
/// the last one is cut where the rows end. World and policy draw from streams of their own.
/// Errors: no rows asked for, an action that is none or not finite.
template <class Real = float, env::Environment E, class Policy>
Transitions<Real> collect(const E& environment, std::int64_t rows, std::uint64_t seed, Policy&& policy) {
    expect(rows > 0, [&] { return "collect: " + std::to_string(rows) + " rows, expected 1 or more"; });
    Transitions<Real> transitions;
    constexpr auto observed = static_cast<std::size_t>(E::observation_size);
    transitions.observation_size = E::observation_size;
    transitions.action_size = static_cast<std::int64_t>(env::action_numbers<E>());
    if constexpr (env::DiscreteEnvironment<E>) transitions.action_count = E::action_count;
    transitions.reserve(rows);

    auto episode = env::Episode<E>::of(seed);
    RandomStream random{Random(seed, Purpose::sample)};
    std::array<Real, observed> before{}, after{};
    std::array<Real, env::action_numbers<E>()> action{};
    auto begin = [&] {
        episode.reset(environment);
        environment.observe(episode.state, std::span<Real>(before));
    };
    begin();
    for (std::int64_t row = 0; row < rows; ++row) {
        policy(environment, std::span<const Real>(before), std::span<Real>(action), random);
        auto result = env::take(environment, episode, std::span<const Real>(action));
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
