#include <gtest/gtest.h>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "roars/environments/acrobot.hpp"
#include "roars/environments/cart_pole.hpp"
#include "roars/environments/continuous_bandit.hpp"
#include "roars/environments/grid_world.hpp"
#include "roars/environments/mountain_car.hpp"
#include "roars/environments/pendulum.hpp"
#include "roars/environments/point_reach.hpp"
#include "roars/environments/vectorised.hpp"

namespace roars::environments_test {
namespace {

using namespace roars::env;

/// An action from a number: the nearest of those of a discrete world, spread over the range and a little beyond of a
/// continuous one.
template <class E, class Use>
StepResult act(const E& environment, double uniform, Use&& use) {
    if constexpr (DiscreteEnvironment<E>) {
        return use(static_cast<std::int32_t>(uniform * E::action_count));
    } else {
        std::array<double, std::size_t(E::action_size)> action;
        for (double& each : action)
            each = 1.2 * (environment.action_low() + uniform * (environment.action_high() - environment.action_low()));
        return use(std::span<const double>(action));
    }
}

template <class E>
E make() {
    return {};
}
template <>
FrozenLake make<FrozenLake>() {
    return frozen_lake();
}
template <>
TabularMdp<5, 3> make<TabularMdp<5, 3>>() {
    return random_mdp<5, 3>(1, 2, 0.1);
}

template <class E>
struct EveryEnvironment : testing::Test {};
using Environments = testing::Types<CartPole, Pendulum, MountainCar, MountainCarContinuous, Acrobot, PointReach,
                                    CliffBandit, TargetBandit<2>, FrozenLake, TabularMdp<5, 3>>;
TYPED_TEST_SUITE(EveryEnvironment, Environments);

TYPED_TEST(EveryEnvironment, ACopyOfTheEpisodeIsASave) {
    using E = TypeParam;
    const E environment = make<E>();
    static_assert(std::is_trivially_copyable_v<Episode<E>>);
    auto episode = Episode<E>::of(7, 2);
    episode.reset(environment);
    RandomStream chosen{Random(3)};
    std::vector<unsigned char> saved(sizeof(episode));
    std::vector<double> first, second, uniforms(60);
    for (double& u : uniforms) u = chosen.uniform();
    auto live = [&](std::vector<double>& seen) {
        for (double u : uniforms) {
            StepResult result = act(environment, u, [&](const auto& action) {
                auto r = episode.step(environment, action);
                seen.push_back(r.truncated);
                if (r.ended()) episode.reset(environment);
                return StepResult{r.reward, r.terminated};
            });
            std::array<double, std::size_t(E::observation_size)> observation{};
            environment.observe(episode.state, std::span<double>(observation));
            seen.insert(seen.end(), observation.begin(), observation.end());
            seen.push_back(result.reward);
            seen.push_back(result.terminated);
        }
    };
    std::memcpy(saved.data(), &episode, sizeof(episode));
    live(first);
    std::memcpy(&episode, saved.data(), sizeof(episode));
    live(second);
    EXPECT_EQ(first, second);
}

TYPED_TEST(EveryEnvironment, VectorisedCopiesLiveAsTheyWouldAlone) {
    using E = TypeParam;
    const E environment = make<E>();
    constexpr std::int64_t copies = 37;  // no whole lanes
    Vectorised<E, double> together(environment, copies, 11);
    std::vector<Episode<E>> alone;
    for (std::uint32_t i = 0; i < copies; ++i) alone.push_back(Episode<E>::of(11, i)), alone.back().reset(environment);
    constexpr auto size = std::size_t(E::observation_size);
    std::vector<double> rows(copies * size), next(copies * size);
    RandomStream chosen{Random(5)};
    int ends = 0;
    for (int t = 0; t < 300; ++t) {
        std::array<double, copies> uniforms;
        for (double& u : uniforms) u = chosen.uniform();
        if constexpr (DiscreteEnvironment<E>) {
            std::vector<std::int32_t> actions;
            for (double u : uniforms)
                act(environment, u, [&](std::int32_t a) { return actions.push_back(a), StepResult{}; });
            together.step(actions);
        } else {
            std::vector<double> actions;
            for (double u : uniforms)
                act(environment, u,
                    [&](auto a) { return actions.insert(actions.end(), a.begin(), a.end()), StepResult{}; });
            together.step(actions);
        }
        together.observe(rows);
        together.next_observations(next);
        for (std::size_t i = 0; i < copies; ++i) {
            auto& episode = alone[i];
            std::array<double, size> observation{};
            act(environment, uniforms[i], [&](const auto& action) {
                auto r = episode.step(environment, action);
                EXPECT_NEAR(together.rewards()[i], r.reward, 1e-9);
                EXPECT_EQ(together.terminated()[i], r.terminated);
                EXPECT_EQ(together.truncated()[i], r.truncated);
                environment.observe(episode.state, std::span<double>(observation));
                for (std::size_t k = 0; k < size; ++k) EXPECT_NEAR(next[i * size + k], observation[k], 1e-9);
                if (r.ended()) {
                    ++ends;
                    EXPECT_NEAR(together.returns()[i], episode.episode_return, 1e-9);
                    EXPECT_EQ(together.lengths()[i], double(episode.steps));
                    episode.reset(environment);
                    environment.observe(episode.state, std::span<double>(observation));
                }
                return StepResult{};
            });
            for (std::size_t k = 0; k < size; ++k) {
                EXPECT_NEAR(rows[i * size + k], observation[k], 1e-9);
                EXPECT_EQ(together.observations(int(k))[i], rows[i * size + k]);
            }
            // The rounding of lanes must not grow from step to step: the copy goes on from where the other stands.
            together.restore(std::int64_t(i), episode);
            EXPECT_EQ(together.episode(std::int64_t(i)).steps, episode.steps);
            EXPECT_EQ(together.episode(std::int64_t(i)).random.position, episode.random.position);
        }
        ASSERT_FALSE(testing::Test::HasFailure()) << "step " << t;
    }
    if (E::max_steps > 0 && E::max_steps < 300) EXPECT_GT(ends, 0);
}

TEST(Vectorised, OneThreadOrMoreOneCopyOrMoreAreTheSameRun) {
    constexpr std::int64_t copies = 5000;  // three pieces of work
    Vectorised<CartPole> many(CartPole{}, copies, 4), few(CartPole{}, 20, 4);
    RandomStream chosen{Random(6)};
    std::vector<std::int32_t> actions(copies);
    for (int t = 0; t < 120; ++t) {
        for (auto& a : actions) a = static_cast<std::int32_t>(chosen.below(2));
        many.step(actions);
        few.step(std::span<const std::int32_t>(actions).first(20));
        for (int k = 0; k < 4; ++k)
            for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(many.observations(k)[i], few.observations(k)[i]);
    }
    auto again = [&]([[maybe_unused]] int threads) {
#if defined(_OPENMP)
        omp_set_num_threads(threads);
#endif
        Vectorised<CartPole> run(CartPole{}, copies, 9);
        for (int t = 0; t < 60; ++t) run.step(actions);
        std::vector<float> rows(copies * 4);
        run.observe(rows);
        return rows;
    };
    auto single = again(1);
    EXPECT_EQ(single, again(2));
    EXPECT_EQ(single, again(3));
}

TEST(Vectorised, LanesOfFloatAreNearTheFormulaInDouble) {
    auto compare = []<class E>(const E& environment, double tolerance) {
        Vectorised<E> lanes(environment, 64, 2);
        std::vector<float> actions(64 * 2);
        RandomStream chosen{Random(8)};
        for (int t = 0; t < 50; ++t) {
            std::vector<Episode<E>> before;
            for (int i = 0; i < 64; ++i) before.push_back(lanes.episode(i));
            std::vector<StepResult> expected;
            if constexpr (DiscreteEnvironment<E>) {
                std::vector<std::int32_t> a(64);
                for (auto& each : a) each = static_cast<std::int32_t>(chosen.below(E::action_count));
                lanes.step(a);
                for (std::size_t i = 0; i < 64; ++i)
                    expected.push_back(environment.step(before[i].state, a[i], before[i].random));
            } else {
                std::vector<float> a(64 * std::size_t(E::action_size));
                for (auto& each : a) each = float(3 * chosen.uniform() - 1.5);
                lanes.step(a);
                for (std::size_t i = 0; i < 64; ++i)
                    expected.push_back(environment.step(
                        before[i].state, std::span<const float>(a).subspan(i * E::action_size, E::action_size),
                        before[i].random));
            }
            std::vector<float> next(64 * std::size_t(E::observation_size));
            std::vector<float> own(next.size() / 64);
            lanes.next_observations(next);
            for (std::size_t i = 0; i < 64; ++i) {
                EXPECT_NEAR(lanes.rewards()[i], expected[i].reward, tolerance);
                environment.observe(before[i].state, std::span<float>(own));
                for (std::size_t k = 0; k < own.size(); ++k) EXPECT_NEAR(next[i * own.size() + k], own[k], tolerance);
            }
        }
    };
    compare(CartPole{}, 1e-5);
    compare(Pendulum{}, 1e-5);
    compare(MountainCar{}, 1e-6);
    compare(Acrobot{}, 1e-4);
    compare(CliffBandit{}, 1e-6);
}

TEST(Vectorised, WrongSizesAreErrors) {
    EXPECT_THROW(Vectorised<CartPole>(CartPole{}, 0), Error);
    Vectorised<PointReach> reach(PointReach{}, 3);
    EXPECT_THROW(reach.step(std::vector<float>(5)), Error);
    std::vector<float> rows(11);
    EXPECT_THROW(reach.observe(rows), Error);
}

/// One step of Gymnasium 1.4.
template <class E, class Action, std::size_t n>
void expect_step(const E& environment, typename E::State state, const Action& action, const std::array<double, n>& next,
                 double reward, bool terminated, double tolerance = 1e-14) {
    RandomStream random;
    auto result = environment.step(state, action, random);
    std::size_t i = 0;
    for_each_field(state, [&](auto name, double value) { EXPECT_NEAR(value, next[i++], tolerance) << name; });
    EXPECT_NEAR(result.reward, reward, tolerance);
    EXPECT_EQ(result.terminated, terminated);
}
std::span<const double> one(const double& action) { return {&action, 1}; }

TEST(Definitions, CartPole) {
    CartPole world;
    expect_step(world, {0.1, -0.2, 0.05, 0.3}, 1, std::array{0.096, -0.005625065781779709, 0.056, 0.02349585151852651},
                1.0, false);
    expect_step(world, {0.1, -0.2, 0.05, 0.3}, 0, std::array{0.096, -0.3957976546439626, 0.056, 0.6080233136061515},
                1.0, false);
    RandomStream random;
    CartPole::State edge{2.39, 1.0, 0.0, 0.0};  // x = 2.41 after the step
    EXPECT_TRUE(world.step(edge, 0, random).terminated);
    CartPole::State falling{0.0, 0.0, -0.2, -0.5};  // phi = -0.21, 12 degrees = 0.2094
    EXPECT_TRUE(world.step(falling, 0, random).terminated);
}

TEST(Definitions, Pendulum) {
    Pendulum world;
    expect_step(world, {2.5, -1.5}, one(1.25), std::array{2.4568177054038984, -0.8636458919220326}, -6.4765625, false);
    expect_step(world, {2.5, -1.5}, one(-3.0), std::array{2.4324427054038984, -1.3511458919220325}, -6.479, false);
    RandomStream random;
    Pendulum::State over{2 * env::detail::pi + 0.5, 0.0};  // the reward knows the angle wrapped alone
    EXPECT_NEAR(world.step(over, one(0.0), random).reward, -0.25, 1e-12);
}

TEST(Definitions, MountainCar) {
    MountainCar world;
    expect_step(world, {-0.5, 0.01}, 2, std::array{-0.48917684300416925, 0.010823156995830743}, -1.0, false);
    expect_step(world, {-0.5, 0.01}, 0, std::array{-0.49117684300416925, 0.008823156995830743}, -1.0, false);
    expect_step(world, {-1.19, -0.07}, 0, std::array{-1.2, 0.0}, -1.0, false);  // the wall stops it
    RandomStream random;
    MountainCar::State near{0.49, 0.02};
    EXPECT_TRUE(world.step(near, 2, random).terminated);
    MountainCarContinuous easy;  // in float32 there
    expect_step(easy, {-0.5, 0.01}, one(0.5), std::array{-0.489426851272583, 0.010573157109320164}, -0.025, false,
                5e-8);
    expect_step(easy, {-0.5, 0.01}, one(-2.0), std::array{-0.49167683720588684, 0.008323157206177711}, -0.4, false,
                5e-8);
    MountainCarContinuous::State close{0.449, 0.02};
    EXPECT_NEAR(easy.step(close, one(1.0), random).reward, 99.9, 1e-12);
}

TEST(Definitions, Acrobot) {
    Acrobot world;
    expect_step(world, {0.1, -0.2, 0.3, -0.4}, 2,
                std::array{0.1282116312891261, -0.211840321026976, -0.023484731535001357, 0.28679521459777013}, -1.0,
                false);
    expect_step(world, {0.1, -0.2, 0.3, -0.4}, 0,
                std::array{0.1544280535176176, -0.2796784625217692, 0.23102745634235644, -0.37533176739803126}, -1.0,
                false);
    RandomStream random;
    Acrobot::State up{3.1, 0.0, 0.0, 0.0};  // nearly upright: the tip is two links up
    auto result = world.step(up, 1, random);
    EXPECT_TRUE(result.terminated);
    EXPECT_EQ(result.reward, 0.0);
}

TEST(Definitions, PointReachAndBandits) {
    RandomStream random;
    PointReach reach;
    PointReach::State state{0.0, 1.15, 0.12, 1.2};
    std::array<double, 2> action{5.0, 1.0};  // held to 1; y held to the bound
    auto result = reach.step(state, std::span<const double>(action), random);
    EXPECT_NEAR(state.x, 0.15, 1e-15);
    EXPECT_NEAR(state.y, 1.2, 1e-15);
    EXPECT_TRUE(result.terminated);
    EXPECT_EQ(result.reward, 1.0);
    CliffBandit cliff;
    CliffBandit::State context{0.5};
    EXPECT_NEAR(cliff.step(context, one(0.7), random).reward, 0.7 + 0.2 * std::sin(1.5), 1e-12);
    EXPECT_EQ(cliff.step(context, one(0.71), random).reward, -1.0);
    TargetBandit<2> target{.gain = 0.5};
    TargetBandit<2>::State two{{1.0, -1.0}};
    EXPECT_NEAR(target.step(two, std::span<const double>(action), random).reward, -(0.25 + 2.25) / 2, 1e-12);
}

TEST(GridWorld, StepsAreDrawnFromItsTable) {
    GridWorld<2, 3> world{.map = "SS#CFG", .step_reward = -0.5, .success_rate = 0.6};
    auto table = world.table();
    table.check();
    RandomStream random;
    for (std::int32_t s = 0; s < 6; ++s)
        for (std::int32_t a = 0; a < 4; ++a) {
            std::array<double, 6> drawn{}, expected{};
            double worth = 0, mean = 0;
            constexpr int draws = 4000;
            for (int i = 0; i < draws; ++i) {
                env::detail::NumberedState state{s};
                worth += world.step(state, a, random).reward / draws;
                drawn[std::size_t(state.number)] += 1.0 / draws;
            }
            for (auto [i, end] = table.outcomes(s, a); i < end; ++i) {
                expected[std::size_t(table.next[i])] += table.probability[i];
                mean += table.probability[i] * table.reward[i];
            }
            for (std::size_t to = 0; to < 6; ++to) EXPECT_NEAR(drawn[to], expected[to], 0.04);
            EXPECT_NEAR(worth, mean, 4.0);  // a cliff of -100
        }
}

TEST(GridWorld, TheBestWalkAlongTheCliffTakes13Steps) {
    auto values = optimal_values(cliff_walking().table(), 0.99);
    double best = -1e9;
    for (std::size_t a = 0; a < 4; ++a) best = std::max(best, values[36 * 4 + a]);
    EXPECT_NEAR(best, -(1 - std::pow(0.99, 13)) / 0.01, 1e-9);
}

TEST(GridWorld, AWrongMapIsAnError) {
    RandomStream random;
    env::detail::NumberedState state{};
    EXPECT_THROW((GridWorld<2, 2>{.map = "SFG"}.reset(state, random)), Error);
    EXPECT_THROW((GridWorld<2, 2>{.map = "FFFG"}.reset(state, random)), Error);
    EXPECT_THROW((GridWorld<2, 2>{.map = "SFFG", .moves = "UURL"}.reset(state, random)), Error);
    EXPECT_THROW((GridWorld<2, 2>{.map = "SFFG", .success_rate = 1.5}.reset(state, random)), Error);
}

TEST(TabularMdp, RandomWorldsAreWorlds) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        auto mdp = random_mdp<7, 3>(seed, 1 + int(seed % 7), seed % 2 ? 0.2 : 0.0);
        EXPECT_NO_THROW(mdp.check());
        EXPECT_EQ(mdp.probability.size(), std::size_t(7 * 3) * (1 + seed % 7) * (seed % 2 ? 2 : 1));
    }
    EXPECT_THROW((random_mdp<7, 3>(0, 8)), Error);
    EXPECT_THROW((random_mdp<7, 3>(0, 0)), Error);
}

TEST(TabularMdp, BrokenTablesAreErrors) {
    using Mdp = TabularMdp<3, 2>;
    auto broken = [](auto breakage) {
        Mdp mdp = random_mdp<3, 2>(1, 2);
        breakage(mdp);
        EXPECT_THROW(mdp.check(), Error);
    };
    broken([](Mdp& m) { m.start[0] = 0.9; });
    broken([](Mdp& m) { m.start.pop_back(); });
    broken([](Mdp& m) { m.next[3] = 3; });
    broken([](Mdp& m) { m.next[3] = -1; });
    broken([](Mdp& m) { m.reward[2] = std::nan(""); });
    broken([](Mdp& m) { m.probability[0] = std::nan(""); });
    broken([](Mdp& m) { m.probability[0] += 0.1; });
    broken([](Mdp& m) { m.probability[0] -= 2, m.probability[1] += 2; });
    broken([](Mdp& m) { m.offsets[1] = 5; });
    broken([](Mdp& m) { m.terminated.pop_back(); });
}

TEST(TabularMdp, BestValuesSatisfyBellmansEquation) {
    auto mdp = random_mdp<6, 3>(4, 3, 0.1);
    auto q = optimal_values(mdp, 0.9);
    for (std::int32_t s = 0; s < 6; ++s)
        for (std::int32_t a = 0; a < 3; ++a) {
            double value = 0;
            for (auto [i, end] = mdp.outcomes(s, a); i < end; ++i) {
                const double* row = q.data() + 3 * mdp.next[i];
                double best = std::max(row[0], std::max(row[1], row[2]));
                value += mdp.probability[i] * (mdp.reward[i] + (mdp.terminated[i] ? 0 : 0.9 * best));
            }
            EXPECT_NEAR(value, q[std::size_t(3 * s + a)], 1e-10);
        }
    EXPECT_THROW(optimal_values(mdp, 1.0), Error);
}

}  // namespace
}  // namespace roars::environments_test
