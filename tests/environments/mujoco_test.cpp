#include "roars/environments/mujoco.hpp"

#include <gtest/gtest.h>

#if defined(ROARS_MUJOCO)

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "roars/environments/vectorised.hpp"

namespace roars::mujoco_test {
namespace {

namespace fs = std::filesystem;

/// A walker of our own with the numbers of Hopper's: three sliding and turning joints of the trunk, three of the leg.
/// Gymnasium's models need not be there.
constexpr const char* hopper = R"(<mujoco>
  <option timestep="0.002" integrator="RK4"/>
  <default><joint armature="1" damping="1"/><geom type="capsule" condim="1" friction="0.9"/>
           <motor ctrllimited="true" ctrlrange="-1 1"/></default>
  <worldbody>
    <geom type="plane" size="20 20 .1" condim="3"/>
    <body name="torso" pos="0 0 1.25">
      <joint name="x" type="slide" axis="1 0 0" armature="0" damping="0" pos="0 0 -1.25"/>
      <joint name="z" type="slide" axis="0 0 1" armature="0" damping="0" pos="0 0 -1.25" ref="1.25"/>
      <joint name="y" type="hinge" axis="0 1 0" armature="0" damping="0"/>
      <geom size="0.05 0.2"/>
      <body pos="0 0 -0.2"><joint name="a" type="hinge" axis="0 -1 0"/><geom size="0.05 0.22" pos="0 0 -0.22"/>
        <body pos="0 0 -0.45"><joint name="b" type="hinge" axis="0 -1 0"/><geom size="0.04 0.25" pos="0 0 -0.25"/>
          <body pos="0 0 -0.5"><joint name="c" type="hinge" axis="0 -1 0"/>
            <geom size="0.06 0.19" pos="0.06 0 0" quat="0.7071 0 -0.7071 0"/></body></body></body>
    </body>
  </worldbody>
  <actuator><motor joint="a" gear="200"/><motor joint="b" gear="200"/><motor joint="c" gear="200"/></actuator>
</mujoco>)";

struct Mujoco : testing::Test {
    fs::path folder = fs::path(testing::TempDir()) /
                      ("roars_mujoco_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    Mujoco() {
        fs::remove_all(folder), fs::create_directories(folder);
        std::ofstream(folder / "hopper.xml") << hopper;
        unsetenv("ROARS_MUJOCO_MODELS");
    }
    ~Mujoco() override { fs::remove_all(folder); }

    env::Hopper<> world() const {
        env::Hopper<> world;
        world.model = folder.string();
        return world;
    }
    static std::string error_of(const env::Hopper<>& world) {
        env::Hopper<>::State state{};
        RandomStream random;
        try {
            world.reset(state, random);
        } catch (const Error& error) {
            return error.what();
        }
        return "no error";
    }
};

TEST_F(Mujoco, ACopyOfTheStateIsASaveOnAnyThread) {
    const auto environment = world();
    auto episode = env::Episode<env::Hopper<>>::of(3);
    episode.reset(environment);
    RandomStream chosen{Random(1)};
    auto live = [&](auto from) {
        RandomStream random = chosen;
        std::vector<double> seen;
        for (int i = 0; i < 40; ++i) {
            std::array<double, 3> action;
            for (double& each : action) each = 2 * random.uniform() - 1;
            auto result = from.step(environment, std::span<const double>(action));
            std::array<double, 11> observation;
            environment.observe(from.state, std::span<double>(observation));
            seen.insert(seen.end(), observation.begin(), observation.end());
            seen.push_back(result.reward);
        }
        return seen;
    };
    auto first = live(episode);
    auto other = env::Episode<env::Hopper<>>::of(4);  // another copy's life in between, in the same simulator
    other.reset(environment);
    live(other);
    EXPECT_EQ(live(episode), first);

    env::Vectorised<env::Hopper<>, double> many(environment, 40, 3);
    many.restore(0, episode);
    RandomStream random = chosen;
    for (std::size_t i = 0; i < 10; ++i) {
        std::vector<double> actions(120);
        for (std::size_t k = 0; k < 3; ++k) actions[k] = 2 * random.uniform() - 1;
        many.step(actions);
        EXPECT_EQ(many.rewards()[0], first[12 * i + 11]);
    }
}

TEST_F(Mujoco, RewardAndEndAreThoseOfTheDefinition) {
    auto environment = world();
    env::Hopper<>::State state{};
    state.position = {0, 1.25, 0, 0, 0, 0};
    environment.place(state);
    RandomStream random;
    const std::array<double, 3> action{0.5, -1.0, 2.0};  // the cost is that of the action as given
    auto before = state;
    auto result = environment.step(state, std::span<const double>(action), random);
    EXPECT_NEAR(result.reward, (state.position[0] - before.position[0]) / 0.008 + 1 - 1e-3 * 5.25, 1e-12);
    EXPECT_FALSE(result.terminated);
    state = before, state.position[2] = 0.5;  // fallen to the side
    environment.place(state);
    before = state;
    result = environment.step(state, std::span<const double>(action), random);
    EXPECT_TRUE(result.terminated);
    EXPECT_NEAR(result.reward, (state.position[0] - before.position[0]) / 0.008 - 1e-3 * 5.25, 1e-12);
    env::Hopper<4> old;
    old.model = environment.model;
    env::Hopper<4>::State same = before;
    EXPECT_NEAR(old.step(same, std::span<const double>(action), random).reward, result.reward + 1, 1e-12);
    state.velocity[1] = -30;
    std::array<double, 11> observation;
    environment.observe(state, std::span<double>(observation));
    EXPECT_EQ(observation[0], state.position[1]);
    EXPECT_EQ(observation[6], -10);  // velocities are held to +-10
}

TEST_F(Mujoco, TheModelIsLookedForWhereItIsSaid) {
    auto environment = world();
    EXPECT_EQ(error_of(environment), "no error");
    environment.model = (folder / "hopper.xml").string();
    EXPECT_EQ(error_of(environment), "no error");
    environment.model = "";
    EXPECT_NE(error_of(environment).find("set ROARS_MUJOCO_MODELS"), std::string::npos);
    setenv("ROARS_MUJOCO_MODELS", folder.c_str(), 1);
    EXPECT_EQ(error_of(environment), "no error");
    unsetenv("ROARS_MUJOCO_MODELS");
    environment.model = "/none";
    EXPECT_NE(error_of(environment).find("hopper.xml: is not in /none"), std::string::npos);
    std::ofstream(folder / "broken.xml") << "<mujoco><worldbody>";
    environment.model = (folder / "broken.xml").string();
    EXPECT_NE(error_of(environment).find("broken.xml: no model of MuJoCo's"), std::string::npos);
    std::ofstream(folder / "other.xml") << "<mujoco/>";
    environment.model = (folder / "other.xml").string();
    for (int again = 0; again < 2; ++again)
        EXPECT_NE(error_of(environment).find("0 positions, 0 velocities"), std::string::npos) << error_of(environment);
}

}  // namespace
}  // namespace roars::mujoco_test

#endif
