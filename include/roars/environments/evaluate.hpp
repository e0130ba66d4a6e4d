#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/environments/environment.hpp"
#include "roars/environments/policy.hpp"
#include "roars/error.hpp"

namespace roars::env {

/// Return (without discount), length and end of each episode.
struct Evaluation {
    std::vector<double> returns, lengths;
    std::vector<std::uint8_t> terminated;  ///< 0: the time limit cut it

    double mean_return() const {
        double sum = 0;
        for (double each : returns) sum += each;
        return sum / static_cast<double>(returns.size());
    }
};

/// Lets a policy (roars/environments/policy.hpp) live through whole episodes; episode i is that of (seed, i), whatever
/// the policy draws and whatever came before. Errors: less than one episode, a world without a time limit whose episode
/// lasts a million steps, no valid action.
template <class Real = float, Environment E, class Policy>
Evaluation evaluate(const E& environment, std::int64_t episodes, std::uint64_t seed, Policy&& policy) {
    expect(episodes > 0, [&] { return "evaluate: " + std::to_string(episodes) + " episodes, expected 1 or more"; });
    Evaluation evaluation;
    std::array<Real, std::size_t(E::observation_size)> observation{};
    std::array<Real, action_numbers<E>()> action{};
    for (std::int64_t i = 0; i < episodes; ++i) {
        auto episode = Episode<E>::of(seed, static_cast<std::uint32_t>(i));
        RandomStream random{Random(seed, Purpose::evaluate, static_cast<std::uint32_t>(i))};
        episode.reset(environment);
        for (bool ended = false; !ended;) {
            environment.observe(episode.state, std::span<Real>(observation));
            policy(environment, std::span<const Real>(observation), std::span<Real>(action), random);
            auto result = take(environment, episode, std::span<const Real>(action));
            ended = result.ended();
            expect(ended || E::max_steps > 0 || episode.steps < 1000000,
                   "evaluate: the episode has lasted a million steps and the world has no time limit");
            if (ended) evaluation.terminated.push_back(result.terminated);
        }
        evaluation.returns.push_back(episode.episode_return);
        evaluation.lengths.push_back(static_cast<double>(episode.steps));
    }
    return evaluation;
}

}  // namespace roars::env
