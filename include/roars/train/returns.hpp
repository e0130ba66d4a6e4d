#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/environments/environment.hpp"
#include "roars/error.hpp"

/// What learners of environments share: how they are measured, how actions and data are scaled.
namespace roars::train {

/// The returns of whole episodes.
struct Returns {
    double mean = 0, deviation = 0, length = 0;
    std::int64_t episodes = 0;
};

/// Worlds to be measured in: the same ones whenever they are asked for.
template <env::Environment World>
std::vector<env::Episode<World>> evaluation_worlds(const World& world, std::uint64_t seed, std::int64_t count) {
    std::vector<env::Episode<World>> worlds(static_cast<std::size_t>(count));
    for (std::size_t e = 0; e < worlds.size(); ++e) {
        worlds[e].random = RandomStream(Random(seed, Purpose::evaluate, static_cast<std::uint32_t>(e)));
        worlds[e].reset(world);
    }
    return worlds;
}
template <env::Environment World>
std::int64_t longest_episode(const World& world) {
    return env::world_sizes(world).limit > 0 ? env::world_sizes(world).limit : 100000;
}
template <class World>
Returns returns_of(const std::vector<env::Episode<World>>& worlds) {
    Returns returns;
    returns.episodes = std::ssize(worlds);
    double n = double(std::max<std::size_t>(1, worlds.size())), squares = 0;
    for (const auto& world : worlds) {
        returns.mean += world.episode_return / n;
        returns.length += double(world.steps) / n;
    }
    for (const auto& world : worlds) squares += std::pow(world.episode_return - returns.mean, 2);
    returns.deviation = n > 1 ? std::sqrt(squares / (n - 1)) : 0.0;
    return returns;
}

/// An action of [-1, 1], held there, as the environment takes it; and back.
template <class Environment, class Real>
void to_environment(const Environment& environment, std::span<const Real> action, std::span<Real> to) {
    const Real low = Real(environment.action_low()), high = Real(environment.action_high());
    for (std::size_t j = 0; j < to.size(); ++j)
        to[j] = low + (high - low) * Real(0.5) * (std::clamp(action[j], Real(-1), Real(1)) + Real(1));
}
template <class Environment, class Real>
Real from_environment(const Environment& environment, Real action) {
    const Real low = Real(environment.action_low()), high = Real(environment.action_high());
    return Real(2) * (action - low) / (high - low) - Real(1);
}

/// Errors: a data set without rows, or of other sizes than the environment's.
template <class Transitions>
void expect_rows_of(const Transitions& data, std::int64_t observation_size, std::int64_t action_size) {
    expect(data.rows() > 0 && data.observation_size == observation_size && data.action_size == action_size, [&] {
        return "data set: " + std::to_string(data.rows()) + " rows of states of " +
               std::to_string(data.observation_size) + " numbers and actions of " + std::to_string(data.action_size) +
               ", expected states of " + std::to_string(observation_size) + " and actions of " +
               std::to_string(action_size);
    });
}

}  // namespace roars::train
