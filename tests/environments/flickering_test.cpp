#include "roars/environments/flickering.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "roars/environments/cart_pole.hpp"
#include "roars/environments/pendulum.hpp"

namespace roars::flickering_test {
namespace {

static_assert(env::ContinuousEnvironment<env::Flickering<env::Pendulum>>);
static_assert(!env::DiscreteEnvironment<env::Flickering<env::Pendulum>>);
static_assert(env::DiscreteEnvironment<env::Flickering<env::CartPole>>);

TEST(Flickering, IsDarkAsOftenAsItSaysAndChangesNothingElse) {
    env::Flickering<env::Pendulum> world;
    env::Flickering<env::Pendulum>::State state;
    env::Pendulum::State alone;
    RandomStream random{Random(1)};
    world.reset(state, random);
    alone = state.world;
    int dark = 0;
    for (int i = 0; i < 4000; ++i) {
        std::array<double, 3> seen, plain;
        const std::array<double, 1> action{i % 3 - 1.0};
        auto result = world.step(state, std::span<const double>(action), random);
        auto same = env::Pendulum().step(alone, std::span<const double>(action), random);
        EXPECT_EQ(result.reward, same.reward);
        world.observe(state, std::span<double>(seen));
        env::Pendulum().observe(alone, std::span<double>(plain));
        if (std::ranges::count(seen, 0.0) == 3)
            ++dark;
        else
            EXPECT_EQ(seen, plain);
    }
    EXPECT_NEAR(dark / 4000.0, 0.2, 0.03);
    EXPECT_EQ(world.action_high(), 2.0);
}

TEST(Flickering, NeverAndAlways) {
    for (double probability : {0.0, 1.0}) {
        env::Flickering<env::CartPole> world;
        world.probability = probability;
        env::Flickering<env::CartPole>::State state;
        RandomStream random{Random(2)};
        world.reset(state, random);
        for (int i = 0; i < 5; ++i) {
            std::array<float, 4> seen;
            world.observe(state, std::span<float>(seen));
            EXPECT_EQ(std::ranges::count(seen, 0.0f) == 4, probability == 1.0);
            world.step(state, std::int32_t(i % 2), random);
        }
    }
}

}  // namespace
}  // namespace roars::flickering_test
