#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "roars/environments/acrobot.hpp"
#include "roars/environments/any_world.hpp"
#include "roars/environments/cart_pole.hpp"
#include "roars/environments/continuous_bandit.hpp"
#include "roars/environments/flickering.hpp"
#include "roars/environments/grid_world.hpp"
#include "roars/environments/mountain_car.hpp"
#include "roars/environments/mujoco.hpp"
#include "roars/environments/pendulum.hpp"
#include "roars/environments/point_reach.hpp"

namespace roars::program {

using SmallLake = std::remove_cvref_t<decltype(env::frozen_lake())>;
using LargeLake = std::remove_cvref_t<decltype(env::frozen_lake_8x8())>;
using Cliff = std::remove_cvref_t<decltype(env::cliff_walking())>;

struct ContinuousWorld : env::AnyWorld<env::Pendulum, env::MountainCarContinuous, env::PointReach, env::CliffBandit,
                                       env::Flickering<env::Pendulum>,
#if defined(ROARS_MUJOCO)
                                       env::Hopper<>, env::Walker2d<>, env::HalfCheetah, env::Ant<>,
#endif
                                       env::TargetBandit<1>> {
    using AnyWorld::AnyWorld;
    [[maybe_unused]] static constexpr int action_size = 1;  // the caller's, by sizes()
    /// The learner's actions are in [-1, 1]; what the environment's are is known when it is chosen.
    double action_low() const { return low; }
    double action_high() const { return high; }
    double low = -1, high = 1;
};
struct DiscreteWorld : env::AnyWorld<env::CartPole, env::Acrobot, env::MountainCar, SmallLake, LargeLake, Cliff,
                                     env::Flickering<env::CartPole>> {
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
    visit("pendulum-flickering", env::Flickering<env::Pendulum>{});
#if defined(ROARS_MUJOCO)
    visit("hopper", env::Hopper<>{});
    visit("walker2d", env::Walker2d<>{});
    visit("half-cheetah", env::HalfCheetah{});
    visit("ant", env::Ant<>{});
#endif
}
template <class Visit>
void for_each_discrete(Visit&& visit) {
    visit("cartpole", env::CartPole{});
    visit("acrobot", env::Acrobot{});
    visit("mountain-car", env::MountainCar{});
    visit("frozen-lake", env::frozen_lake());
    visit("frozen-lake-8x8", env::frozen_lake_8x8());
    visit("cliff-walking", env::cliff_walking());
    visit("cartpole-flickering", env::Flickering<env::CartPole>{});
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
