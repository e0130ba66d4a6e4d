#pragma once

#include <string>
#include <utility>

#include "roars/environments/acrobot.hpp"
#include "roars/environments/cart_pole.hpp"
#include "roars/environments/continuous_bandit.hpp"
#include "roars/environments/flickering.hpp"
#include "roars/environments/grid_world.hpp"
#include "roars/environments/mountain_car.hpp"
#include "roars/environments/mujoco.hpp"
#include "roars/environments/pendulum.hpp"
#include "roars/environments/point_reach.hpp"
#include "roars/error.hpp"

namespace roars::env {

/// Calls visit(name, environment) for each world that has a name on the command line. Gymnasium's are under Gymnasium's
/// names.
template <class Visit>
void for_each_environment(Visit&& visit) {
    visit("CartPole-v1", CartPole{});
    visit("Acrobot-v1", Acrobot{});
    visit("MountainCar-v0", MountainCar{});
    visit("MountainCarContinuous-v0", MountainCarContinuous{});
    visit("Pendulum-v1", Pendulum{});
    visit("FrozenLake-v1", frozen_lake());
    visit("FrozenLake8x8-v1", frozen_lake_8x8());
    visit("CliffWalking-v1", cliff_walking());
#if defined(ROARS_MUJOCO)
    visit("Hopper-v5", Hopper<>{});
    visit("Hopper-v4", Hopper<4>{});
    visit("Walker2d-v5", Walker2d<>{});
    visit("Walker2d-v4", Walker2d<4>{});
    visit("HalfCheetah-v5", HalfCheetah{});
    visit("Ant-v5", Ant<>{});
    visit("Ant-v4", Ant<4>{});
#endif
    visit("point-reach", PointReach{});
    visit("cliff-bandit", CliffBandit{});
    visit("target-bandit", TargetBandit<1>{});
    visit("pendulum-flickering", Flickering<Pendulum>{});
    visit("cartpole-flickering", Flickering<CartPole>{});
}

/// Calls use(environment) for the world of this name. Errors: none has it; the message lists those that there are.
template <class Use>
void with_environment(const std::string& name, Use&& use) {
    bool found = false;
    std::string known;
    for_each_environment([&](const char* each, const auto& environment) {
        known += std::string(" ") + each;
        if (name != each) return;
        found = true;
        use(environment);
    });
    expect(found, [&] { return "no environment is named '" + name + "', expected one of:" + known; });
}

}  // namespace roars::env
