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
#include "roars/environments/policy.hpp"
#include "roars/stages.hpp"
#include "roars/train/returns.hpp"

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
    static constexpr int observation_size = E::observation_size + int(env::action_numbers<E>());
    static constexpr int max_steps = E::max_steps;
    env::WorldSizes sizes() const {
        const auto own = env::world_sizes(base_world);
        return {own.observation + own.action, own.action, own.limit};
    }
    double action_low() const { return -1.0; }
    double action_high() const { return 1.0; }

    struct State {
        typename E::State world{};
        typename Base::State base{};
        std::array<double, env::action_numbers<E>()> proposed{};
    };

    void reset(State& state, RandomStream& random) const {
        base_world.reset(state.world, random);
        state.base = {};
        propose(state);
    }
    template <class Real>
    env::StepResult step(State& state, std::span<const Real> action, RandomStream& random) const {
        std::array<double, env::action_numbers<E>()> executed{};
        const double low = base_world.action_low(), high = base_world.action_high();
        for (std::size_t j = 0; j < action.size(); ++j) {
            double held = std::clamp(double(action[j]), -1.0, 1.0);
            executed[j] = low + 0.5 * (high - low) * (correction.executed(state.proposed[j], held) + 1.0);
        }
        auto result = base_world.step(state.world, std::span<const double>(executed).first(action.size()), random);
        propose(state);
        return result;
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        const auto actions = static_cast<std::size_t>(env::world_sizes(base_world).action);
        base_world.observe(state.world, to.first(to.size() - actions));
        for (std::size_t j = 0; j < actions; ++j) to[to.size() - actions + j] = static_cast<Real>(state.proposed[j]);
    }

    /// Rows of the world, episode after episode, as rows of this one: states with the base's action there, actions as
    /// corrections of it, (a - b) / action_scale, which may be beyond [-1, 1] and execute what was executed. Errors:
    /// rows of other sizes than the world's.
    template <class Transitions>
    Transitions corrections_of(const Transitions& rows) const {
        const auto own = env::world_sizes(base_world);
        expect_rows_of(rows, own.observation, own.action);
        const auto observed = static_cast<std::size_t>(own.observation), acted = static_cast<std::size_t>(own.action);
        Transitions corrected = rows;
        corrected.observation_size = own.observation + own.action;
        corrected.state.clear(), corrected.next_state.clear();
        typename Base::State memory{};
        std::array<double, env::action_numbers<E>()> proposed{};
        auto look = [&](auto& to, const auto& from, std::size_t row, typename Base::State& own_memory) {
            std::array<double, std::size_t(E::observation_size)> seen{};
            std::copy_n(from.begin() + std::ptrdiff_t(row * observed), observed, seen.begin());
            ask(own_memory, std::span<const double>(seen).first(observed), std::span(proposed).first(acted));
            to.insert(to.end(), seen.begin(), seen.begin() + std::ptrdiff_t(observed));
            to.insert(to.end(), proposed.begin(), proposed.begin() + std::ptrdiff_t(acted));
        };
        for (std::size_t row = 0; row < rows.reward.size(); ++row) {
            look(corrected.state, rows.state, row, memory);
            for (std::size_t j = 0; j < acted; ++j) {
                auto& action = corrected.action[row * acted + j];
                action = static_cast<std::remove_reference_t<decltype(action)>>(
                    (from_environment(base_world, double(action)) - proposed[j]) / correction.action_scale);
            }
            typename Base::State next = memory;
            look(corrected.next_state, rows.next_state, row, next);
            if (rows.terminated[row] || rows.truncated[row]) memory = {};
        }
        return corrected;
    }

private:
    void propose(State& state) const {
        const auto own = env::world_sizes(base_world);
        std::array<double, std::size_t(E::observation_size)> memory{};
        auto seen = std::span<double>(memory).first(static_cast<std::size_t>(own.observation));
        base_world.observe(state.world, seen);
        ask(state.base, seen, std::span<double>(state.proposed).first(static_cast<std::size_t>(own.action)));
    }
    void ask(typename Base::State& memory, std::span<const double> seen, std::span<double> action) const {
        base.act(memory, seen, action);
        for (double& each : action) each = std::clamp(each, -1.0, 1.0);
    }
};

/// A method whose critics are shown corrected actions needs a base policy, and learns in a WithBasePolicy.
template <class A>
inline constexpr bool needs_base_policy = requires(const A& algorithm) {
    typename std::remove_cvref_t<decltype(algorithm.advantage.shown)>::needs_base_policy;
};
template <class... S>
inline constexpr bool needs_base_policy<Stages<S...>> = (needs_base_policy<typename S::Algorithm> || ...);

}  // namespace roars::train
