// Transitions NAME: reads lines "state... action..." and writes "state... reward terminated observation..." of one step
// of the environment NAME; for a grid world, with no input, its table. scripts/check-gymnasium compares them.
#include <array>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <span>
#include <string>

#include "roars/environments/acrobot.hpp"
#include "roars/environments/cart_pole.hpp"
#include "roars/environments/grid_world.hpp"
#include "roars/environments/mountain_car.hpp"
#include "roars/environments/mujoco.hpp"
#include "roars/environments/pendulum.hpp"

namespace {

using namespace roars;

template <class E>
int transitions(const E& environment) {
    for (typename E::State state{};;) {
        for_each_field(state, [](auto, double& value) { std::cin >> value; });
        RandomStream random;
        env::StepResult result;
        if constexpr (env::DiscreteEnvironment<E>) {
            std::int32_t action = 0;
            if (!(std::cin >> action)) return 0;
            result = environment.step(state, action, random);
        } else {
            std::array<double, std::size_t(E::action_size)> action{};
            for (double& each : action) std::cin >> each;
            if (!std::cin) return 0;
            result = environment.step(state, std::span<const double>(action), random);
        }
        for_each_field(state, [](auto, double value) { std::printf("%.17g ", value); });
        std::printf("%.17g %d", result.reward, int(result.terminated));
        std::array<double, std::size_t(E::observation_size)> observation{};
        environment.observe(state, std::span<double>(observation));
        for (double each : observation) std::printf(" %.17g", each);
        std::printf("\n");
    }
}

/// Lines "state action probability next reward terminated".
template <class Grid>
int table(const Grid& grid) {
    auto mdp = grid.table();
    mdp.check();
    for (std::int32_t s = 0; s < mdp.state_count; ++s)
        for (std::int32_t a = 0; a < mdp.action_count; ++a)
            for (auto [i, end] = mdp.outcomes(s, a); i < end; ++i)
                std::printf("%d %d %.17g %d %.17g %d\n", s, a, mdp.probability[i], mdp.next[i], mdp.reward[i],
                            int(mdp.terminated[i]));
    return 0;
}

#if defined(ROARS_MUJOCO)
template <class E>
int walks(const E& environment) {
    for (typename E::State state{};;) {
        for (double& each : state.position) std::cin >> each;
        for (double& each : state.velocity) std::cin >> each;
        int count = 0;
        if (!(std::cin >> count)) return 0;
        environment.place(state);
        RandomStream random;
        for (int i = 0; i < count; ++i) {
            std::array<double, std::size_t(E::action_size)> action{};
            for (double& each : action) std::cin >> each;
            auto result = environment.step(state, std::span<const double>(action), random);
            std::printf("%.17g %d", result.reward, int(result.terminated));
            std::array<double, std::size_t(E::observation_size)> observation{};
            environment.observe(state, std::span<double>(observation));
            for (double each : observation) std::printf(" %.17g", each);
            std::printf("\n");
        }
    }
}
#endif

}  // namespace

int main(int argc, char** argv) {
    const std::string name = argc == 2 ? argv[1] : "";
    if (name == "CartPole-v1") return transitions(env::CartPole{});
    if (name == "Pendulum-v1") return transitions(env::Pendulum{});
    if (name == "MountainCar-v0") return transitions(env::MountainCar{});
    if (name == "MountainCarContinuous-v0") return transitions(env::MountainCarContinuous{});
    if (name == "Acrobot-v1") return transitions(env::Acrobot{});
    if (name == "FrozenLake-v1") return table(env::frozen_lake());
    if (name == "FrozenLake8x8-v1") return table(env::frozen_lake_8x8());
    if (name == "CliffWalking-v1") return table(env::cliff_walking());
#if defined(ROARS_MUJOCO)
    if (name == "Hopper-v5") return walks(env::Hopper<>{});
    if (name == "Hopper-v4") return walks(env::Hopper<4>{});
    if (name == "Walker2d-v5") return walks(env::Walker2d<>{});
    if (name == "Walker2d-v4") return walks(env::Walker2d<4>{});
    if (name == "HalfCheetah-v5" || name == "HalfCheetah-v4") return walks(env::HalfCheetah{});
    if (name == "Ant-v5") return walks(env::Ant<>{});
    if (name == "Ant-v4") return walks(env::Ant<4>{});
#endif
    std::fprintf(stderr, "transitions: no environment '%s'\n", name.c_str());
    return 2;
}
