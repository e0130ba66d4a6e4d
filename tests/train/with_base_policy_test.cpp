#include "roars/train/with_base_policy.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "roars/environments/pendulum.hpp"
#include "roars/environments/point_reach.hpp"
#include "roars/methods/residual_rl.hpp"

namespace roars::with_base_policy_test {
namespace {

/// Half the way to the goal, in chunks of two: every second action is the one before it.
struct Chunked {
    struct State {
        std::array<double, 2> action{};
        int asked = 0;
    };
    void act(State& state, std::span<const double> seen, std::span<double> action) const {
        if (state.asked++ % 2 == 0) state.action = {(seen[2] - seen[0]) / 0.3, (seen[3] - seen[1]) / 0.3};
        action[0] = state.action[0], action[1] = state.action[1];
    }
};
struct Push {
    struct State {};
    void act(State&, std::span<const double>, std::span<double> action) const { action[0] = 0.9; }
};
using World = train::WithBasePolicy<env::PointReach, Chunked>;
static_assert(env::ContinuousEnvironment<World> && World::observation_size == 6);

TEST(WithBasePolicy, ACorrectionOfZeroIsTheBaseAlone) {
    World world;
    auto corrected = env::Episode<World>::of(3);
    auto plain = env::Episode<env::PointReach>::of(3);
    corrected.reset(world), plain.reset(world.base_world);
    Chunked::State memory;
    const std::array<double, 2> nothing{};
    for (int t = 0; t < 25; ++t) {
        std::array<double, 6> seen{};
        std::array<double, 4> own{};
        std::array<double, 2> action{};
        world.observe(corrected.state, std::span<double>(seen));
        world.base_world.observe(plain.state, std::span<double>(own));
        world.base.act(memory, own, action);
        for (double& each : action) each = std::clamp(each, -1.0, 1.0);
        for (std::size_t j = 0; j < 4; ++j) ASSERT_EQ(seen[j], own[j]);
        for (std::size_t j = 0; j < 2; ++j) ASSERT_EQ(seen[4 + j], action[j]) << "asked once a step";
        auto result = corrected.step(world, std::span<const double>(nothing));
        auto expected = plain.step(world.base_world, std::span<const double>(action));
        ASSERT_EQ(result.reward, expected.reward);
        ASSERT_EQ(result.ended(), expected.ended());
        if (result.ended()) break;
    }
    corrected.reset(world);
    EXPECT_EQ(corrected.state.base.asked, 1) << "a new episode, a new chunk";
}

TEST(WithBasePolicy, WhatIsExecutedIsWhatACriticIsShown) {
    using Pendulum = train::WithBasePolicy<env::Pendulum, Push>;
    Pendulum world;
    world.correction.action_scale = 0.5;
    for (float a : {-1.0f, 0.2f, 1.0f}) {
        auto corrected = env::Episode<Pendulum>::of(1);
        auto plain = env::Episode<env::Pendulum>::of(1);
        corrected.reset(world), plain.reset(world.base_world);
        std::vector<double> state(4), action{a}, shown;
        world.observe(corrected.state, std::span<double>(state));
        world.correction.rows<double>(state, 4, action, 1, shown);
        std::array<double, 1> torque{2.0 * shown[3]};
        std::array<float, 1> given{a};
        EXPECT_EQ(corrected.step(world, std::span<const float>(given)).reward,
                  plain.step(world.base_world, std::span<const double>(torque)).reward);
    }
}

/// A sum over the bound is held there, and the policy's slope is 0.
TEST(WithBasePolicy, TheMethodIsOneOfTheParts) {
    using Method = methods::ResidualFineTuning;
    static_assert(contains_v<col::next_target_action, Method::Inputs>);
    static_assert(within_v<columns<col::grad<col::policy_action>>, Method::Gradients>);
    critic::EnsembleTarget target{.rule = {.gamma = 0.5, .sigma = 0.0}, .n = 2};
    Batch<double, unite_t<needs_of<critic::EnsembleTarget>, columns<col::token_reward, col::terminated>>> batch(
        std::vector<std::int64_t>{0, 2, 4});
    std::vector<double> reward{1, 1, 1, 1}, ends{0, 1, 0, 0}, least{8, 8, 8, 8}, y(4);
    std::copy(reward.begin(), reward.end(), batch[col::token_reward{}].begin());
    std::copy(ends.begin(), ends.end(), batch[col::terminated{}].begin());
    std::copy(ends.begin(), ends.end(), batch[col::done{}].begin());
    backend::Host host;
    target.target(host, batch, std::span<const double>(least), std::span<double>(y));
    EXPECT_EQ(y, (std::vector<double>{1.5, 1, 3.5, 5}));
    target.clip_high = 1.2;
    target.target(host, batch, std::span<const double>(least), std::span<double>(y));
    EXPECT_EQ(y, (std::vector<double>{1.2, 1, 1.2, 1.2}));
}

}  // namespace
}  // namespace roars::with_base_policy_test
