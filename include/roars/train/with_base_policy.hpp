#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "roars/critic/shown.hpp"
#include "roars/environments/environment.hpp"

/// Residual reinforcement learning: a policy that nobody looks into proposes an action, and what is learnt corrects it.
namespace roars::train {

/// A base policy: anything that gives an action in [-1, 1] for an observation. What it must remember within an episode
/// (a chunk of actions that it goes through) is its State, which begins anew with every episode.
template <class B>
concept BasePolicy = std::is_trivially_copyable_v<typename B::State> &&
    requires(const B& base, typename B::State& state, std::span<const double> seen, std::span<double> action) {
    base.act(state, seen, action);
};

/// The world with a base policy in it. Observation: the world's, and behind it the base's action b. An action a in
/// [-1, 1] executes clip(b + action_scale a, -1, 1), scaled to the world's range: what shown::CorrectedAction shows a
/// critic. a = 0 is the base alone. The base is asked once a step. Source: ResFiT, arXiv 2509.19301.
template <env::ContinuousEnvironment E, BasePolicy Base>
struct WithBasePolicy {
    E base_world{};
    Base base{};
    critic::shown::CorrectedAction correction{};

    static constexpr int action_size = E::action_size;
    static constexpr int observation_size = E::observation_size + E::action_size;
    static constexpr int max_steps = E::max_steps;
    double action_low() const { return -1.0; }
    double action_high() const { return 1.0; }

    struct State {
        typename E::State world{};
        typename Base::State base{};
        std::array<double, std::size_t(E::action_size)> proposed{};
    };

    void reset(State& state, RandomStream& random) const {
        base_world.reset(state.world, random);
        state.base = {};
        propose(state);
    }
    template <class Real>
    env::StepResult step(State& state, std::span<const Real> action, RandomStream& random) const {
        std::array<double, std::size_t(E::action_size)> executed{};
        const double low = base_world.action_low(), high = base_world.action_high();
        for (std::size_t j = 0; j < executed.size(); ++j) {
            double held = std::clamp(double(action[j]), -1.0, 1.0);
            executed[j] = low + 0.5 * (high - low) * (correction.executed(state.proposed[j], held) + 1.0);
        }
        auto result = base_world.step(state.world, std::span<const double>(executed), random);
        propose(state);
        return result;
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        base_world.observe(state.world, to.first(std::size_t(E::observation_size)));
        for (std::size_t j = 0; j < state.proposed.size(); ++j)
            to[std::size_t(E::observation_size) + j] = static_cast<Real>(state.proposed[j]);
    }

private:
    void propose(State& state) const {
        std::array<double, std::size_t(E::observation_size)> seen{};
        base_world.observe(state.world, std::span<double>(seen));
        base.act(state.base, std::span<const double>(seen), std::span<double>(state.proposed));
        for (double& each : state.proposed) each = std::clamp(each, -1.0, 1.0);
    }
};

}  // namespace roars::train
