#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "roars/environments/environment.hpp"
#include "roars/fields.hpp"

namespace roars::env {

namespace detail {
template <class World>
struct ActionsOf {
    static constexpr int action_size = World::action_size;
};
template <DiscreteEnvironment World>
struct ActionsOf<World> {
    static constexpr int action_count = World::action_count;
};
}  // namespace detail

/// A world that is not always seen: with this probability, drawn in every step and reset, its observation is zeros.
/// Steps and rewards are the world's. Source: zero-shot RL under partial observability, arXiv 2506.15446.
template <Environment World>
struct Flickering : detail::ActionsOf<World> {
    World world{};
    double probability = 0.2;

    static constexpr int observation_size = World::observation_size, max_steps = World::max_steps;
    double action_low() const requires ContinuousEnvironment<World> { return world.action_low(); }
    double action_high() const requires ContinuousEnvironment<World> { return world.action_high(); }

    struct State {
        typename World::State world;
        std::int64_t dark;
    };
    void reset(State& state, RandomStream& random) const {
        world.reset(state.world, random);
        state.dark = random.uniform() < probability;
    }
    template <class Action>
    StepResult step(State& state, const Action& action, RandomStream& random) const {
        const StepResult result = world.step(state.world, action, random);
        state.dark = random.uniform() < probability;
        return result;
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        if (state.dark != 0)
            std::fill(to.begin(), to.end(), Real(0));
        else
            world.observe(state.world, to);
    }
};
template <class World>
ROARS_FIELDS_OF((Flickering<World>), world, probability)

}  // namespace roars::env
