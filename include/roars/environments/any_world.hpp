#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>
#include <variant>

#include "roars/environments/environment.hpp"
#include "roars/random.hpp"

namespace roars::env {

namespace detail {
template <class World>
inline constexpr int action_size_of = 1;
template <ContinuousEnvironment World>
inline constexpr int action_size_of<World> = World::action_size;
}  // namespace detail

/// Any of several environments behind one type, so that a method is compiled once for all of them. Its sizes and its
/// time limit are those of the one that it holds.
template <class... World>
class AnyWorld {
public:
    static constexpr int observation_size = std::max({World::observation_size...});
    static constexpr int max_steps = 0;  // the caller's, by sizes()
    /// The most numbers that an action of one of them has.
    static constexpr int most_actions = std::max({detail::action_size_of<World>...});
    /// The bytes of the world's own state, zeros behind them: equal states are equal bytes.
    struct State {
        alignas(8) std::array<std::byte, std::max({sizeof(typename World::State)...})> bytes{};
    };

    template <class Any>
    explicit AnyWorld(const Any& world) : world_(world) {}

    WorldSizes sizes() const {
        return std::visit([](const auto& world) { return world_sizes(world); }, world_);
    }
    void reset(State& state, RandomStream& random) const {
        state = {};
        change(state, [&](const auto& world, auto& own) { world.reset(own, random); });
    }
    template <class Action>
    StepResult step(State& state, const Action& action, RandomStream& random) const {
        StepResult result{};
        change(state, [&](const auto& world, auto& own) { result = world.step(own, action, random); });
        return result;
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        State copy = state;
        change(copy, [&](const auto& world, auto& own) { world.observe(own, to); });
    }

private:
    template <class Use>
    void change(State& state, Use&& use) const {
        std::visit(
            [&]<class Held>(const Held& world) {
                typename Held::State own{};
                std::memcpy(static_cast<void*>(&own), state.bytes.data(), sizeof own);
                use(world, own);
                std::memcpy(state.bytes.data(), &own, sizeof own);
            },
            world_);
    }

    std::variant<World...> world_;
};

}  // namespace roars::env
