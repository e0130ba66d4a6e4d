#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "roars/environments/acrobot.hpp"
#include "roars/environments/cart_pole.hpp"
#include "roars/environments/continuous_bandit.hpp"
#include "roars/environments/grid_world.hpp"
#include "roars/environments/mountain_car.hpp"
#include "roars/environments/pendulum.hpp"
#include "roars/environments/point_reach.hpp"
#include "roars/train/control_learner.hpp"

namespace roars::program {

/// Any of several environments behind one type, so that a method is compiled once for all of them. Its sizes and its
/// time limit are those of the one that it holds.
template <class... World>
class AnyWorld {
public:
    static constexpr int observation_size = std::max({World::observation_size...});
    static constexpr int max_steps = 0;  // the caller's, by sizes()
    /// The bytes of the world's own state, zeros behind them: equal states are equal bytes.
    struct State {
        alignas(8) std::array<std::byte, std::max({sizeof(typename World::State)...})> bytes{};
    };

    template <class Any>
    explicit AnyWorld(const Any& world) : world_(world) {}

    train::WorldSizes sizes() const {
        return std::visit([](const auto& world) { return train::world_sizes(world); }, world_);
    }
    void reset(State& state, RandomStream& random) const {
        state = {};
        change(state, [&](const auto& world, auto& own) { world.reset(own, random); });
    }
    template <class Action>
    env::StepResult step(State& state, const Action& action, RandomStream& random) const {
        env::StepResult result{};
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

using SmallLake = std::remove_cvref_t<decltype(env::frozen_lake())>;
using LargeLake = std::remove_cvref_t<decltype(env::frozen_lake_8x8())>;
using Cliff = std::remove_cvref_t<decltype(env::cliff_walking())>;

struct ContinuousWorld
    : AnyWorld<env::Pendulum, env::MountainCarContinuous, env::PointReach, env::CliffBandit, env::TargetBandit<1>> {
    using AnyWorld::AnyWorld;
    static constexpr int action_size = 2;
    /// The learner's actions are in [-1, 1]; what the environment's are is known when it is chosen.
    double action_low() const { return low; }
    double action_high() const { return high; }
    double low = -1, high = 1;
};
struct DiscreteWorld : AnyWorld<env::CartPole, env::Acrobot, env::MountainCar, SmallLake, LargeLake, Cliff> {
    using AnyWorld::AnyWorld;
    static constexpr int action_count = 4;
};

/// Calls visit(name, world) for each environment by its name on the command line.
template <class Visit>
void for_each_continuous(Visit&& visit) {
    visit("pendulum", env::Pendulum{});
    visit("mountain-car-continuous", env::MountainCarContinuous{});
    visit("point-reach", env::PointReach{});
    visit("cliff-bandit", env::CliffBandit{});
    visit("target-bandit", env::TargetBandit<1>{});
}
template <class Visit>
void for_each_discrete(Visit&& visit) {
    visit("cartpole", env::CartPole{});
    visit("acrobot", env::Acrobot{});
    visit("mountain-car", env::MountainCar{});
    visit("frozen-lake", env::frozen_lake());
    visit("frozen-lake-8x8", env::frozen_lake_8x8());
    visit("cliff-walking", env::cliff_walking());
}

template <bool continuous>
auto world_of(std::string_view name) {
    using World = std::conditional_t<continuous, ContinuousWorld, DiscreteWorld>;
    World world = [] {
        if constexpr (continuous)
            return World(env::Pendulum{});
        else
            return World(env::CartPole{});
    }();
    auto take = [&](const char* each, const auto& chosen) {
        if (name != each) return;
        world = World(chosen);
        if constexpr (continuous) {
            world.low = chosen.action_low();
            world.high = chosen.action_high();
        }
    };
    if constexpr (continuous)
        for_each_continuous(take);
    else
        for_each_discrete(take);
    return world;
}

}  // namespace roars::program
