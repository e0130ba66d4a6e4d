#include "roars/train/snapshot_starts.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "roars/environments/grid_world.hpp"
#include "roars/environments/pendulum.hpp"
#include "roars/metrics/sample_efficiency.hpp"

namespace roars::snapshot_starts_test {
namespace {

/// Walls over the full width but for one gap each, at the far side of the other's: 28 steps from S to G.
using Maze = env::GridWorld<8, 8, 60>;
Maze maze() {
    return {.map =
                "SFFFFFFF"
                "FFFFFFFF"
                "#######F"
                "FFFFFFFF"
                "FFFFFFFF"
                "F#######"
                "FFFFFFFF"
                "FFFFFFFG"};
}
/// Steps to the goal, by relaxation.
std::vector<double> distances(const Maze& world) {
    std::vector<double> distance(64, 1e9);
    distance[63] = 0;
    for (int sweep = 0; sweep < 64; ++sweep)
        for (std::int32_t cell = 0; cell < 63; ++cell)
            for (std::int32_t action = 0; action < 4; ++action) {
                if (world.map[std::size_t(cell)] == '#') continue;
                Maze::State state{cell};
                RandomStream none;
                world.step(state, action, none);
                distance[std::size_t(cell)] =
                    std::min(distance[std::size_t(cell)], 1 + distance[std::size_t(state.number)]);
            }
    return distance;
}
std::int32_t cell_of(std::span<const double> seen) {
    return std::int32_t(std::max_element(seen.begin(), seen.end()) - seen.begin());
}
/// The shortest way, one step of ten at random.
struct Teacher {
    std::vector<double> distance;
    double operator()(const Maze&, std::span<const double> seen) const {
        return std::pow(0.99, distance[std::size_t(cell_of(seen))]);
    }
    void operator()(const Maze& world, std::span<const double> seen, std::span<double> action,
                    RandomStream& random) const {
        if (random.uniform() < 0.1) return void(action[0] = double(random.below(4)));
        double best = 1e9;
        for (std::int32_t a = 0; a < 4; ++a) {
            Maze::State state{cell_of(seen)};
            world.step(state, a, random);
            if (distance[std::size_t(state.number)] < best)
                best = distance[std::size_t(state.number)], action[0] = double(a);
        }
    }
};
template <class Classes>
train::SnapshotStore<Maze> snapshots(const Classes& classes, std::uint64_t seed) {
    Teacher teacher{distances(maze())};
    return train::collect_snapshots(maze(), 10, seed, teacher, teacher, sampler::SnapshotRows{5, 10}, classes);
}

/// Tabular Q-learning, rate 0.3, 10 % random actions, all of them where nothing is known yet; the greedy return every
/// 1,000 steps.
template <class World>
std::vector<double> q_learning(const World& world, std::int64_t steps, std::uint64_t seed) {
    std::vector<double> q(64 * 4), evaluation;
    RandomStream random{Random(seed, Purpose::user)};
    auto greedy = [&](std::int32_t cell) {
        auto first = q.begin() + cell * 4;
        return std::int32_t(std::max_element(first, first + 4) - first);
    };
    auto evaluate = [&] {
        auto episode = env::Episode<Maze>::of(seed);
        const Maze& original = env::original(world);
        episode.reset(original);
        for (int t = 0;; ++t) {
            auto result = episode.step(original, greedy(episode.state.number));
            if (result.ended()) return episode.episode_return * std::pow(0.99, t);
        }
    };
    auto episode = env::Episode<World>::of(seed, 1);
    episode.reset(world);
    for (std::int64_t t = 0; t < steps; ++t) {
        std::int32_t cell = world.index(episode.state), action = greedy(cell);
        bool known = q[std::size_t(cell * 4 + action)] >= 1e-5;
        if (!known || random.uniform() < 0.1) action = std::int32_t(random.below(4));
        auto result = episode.step(world, action);
        std::int32_t next = world.index(episode.state);
        double target = result.reward + (result.terminated ? 0 : 0.99 * q[std::size_t(next * 4 + greedy(next))]);
        double& value = q[std::size_t(cell * 4 + action)];
        value += 0.3 * (target - value);
        if (result.ended()) episode.reset(world);
        if ((t + 1) % 1000 == 0) evaluation.push_back(evaluate());
    }
    return evaluation;
}

TEST(SnapshotStarts, TheMazeIsSolvedFromSnapshotsAndNotWithout) {
    EXPECT_EQ(distances(maze())[0], 28.0);
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
        auto store = snapshots(sampler::ByValue{6, 100}, seed);
        train::SnapshotStarts<Maze> world(maze(), {5000, 20, 60}, store);
        EXPECT_GT(metrics::curve_area(q_learning(world, 15000, seed)), 0.2) << seed;
        EXPECT_EQ(metrics::curve_area(q_learning(maze(), 15000, seed)), 0.0) << seed;
    }
}

TEST(SnapshotStarts, KeepsStatesOfTheTeacherThatHaveNotEnded) {
    auto store = snapshots(sampler::ByValue{6, 100}, 3);
    EXPECT_GT(store.states.size(), 30u);
    EXPECT_EQ(store.states[0].number, 0) << "the first of the best episode is its start";
    for (std::size_t i = 0; i < store.states.size(); ++i) {
        EXPECT_NE(store.states[i].number, 63);
        EXPECT_NEAR(store.value[i], std::pow(0.99, distances(maze())[std::size_t(store.states[i].number)]), 1e-12);
    }
    EXPECT_EQ(store.sorted.members().size(), 6u);
}

TEST(SnapshotStarts, EpisodesAreCutAsThePlanSays) {
    auto store = snapshots(sampler::AllAlike{}, 1);
    sampler::SnapshotPhases phases{25, 4, 7};
    train::SnapshotStarts<Maze> world(maze(), phases, store);
    auto episode = env::Episode<train::SnapshotStarts<Maze>>::of(1);
    episode.reset(world);
    std::vector<double> terminated;
    std::vector<char> truncated, snapshot;
    for (int t = 0; t < 60; ++t) {
        snapshot.push_back(episode.state.snapshot);
        auto result = episode.step(world, std::int32_t(t % 4));
        terminated.push_back(result.terminated);
        truncated.push_back(result.truncated);
        if (result.ended()) episode.reset(world);
    }
    auto plan = phases.plan(std::span<const double>(terminated));
    EXPECT_EQ(truncated, plan.truncated);
    EXPECT_EQ(snapshot, plan.snapshot);
}

TEST(SnapshotStarts, TwoEpisodesFromOneSnapshotShareNothing) {
    train::SnapshotStore<Maze> store{{Maze::State{5}}, {1.0}, sampler::AllAlike{}.sorted(std::vector<double>{1.0})};
    train::SnapshotStarts<Maze> world(maze(), {100, 20, 60}, store);
    using Episode = env::Episode<train::SnapshotStarts<Maze>>;
    auto first = Episode::of(1, 0), second = Episode::of(1, 1);
    first.reset(world), second.reset(world);
    EXPECT_EQ(first.state.world.number, 5);
    first.step(world, std::int32_t(1));
    EXPECT_EQ(second.state.world.number, 5);
    EXPECT_EQ(store.states[0].number, 5);
    EXPECT_EQ(&env::original(world), &world.base);
}

TEST(SnapshotStarts, OfContinuousActionsAndOfAnEmptyStore) {
    using World = train::SnapshotStarts<env::Pendulum>;
    static_assert(env::ContinuousEnvironment<World> && !env::DiscreteEnvironment<World>);
    static_assert(env::DiscreteEnvironment<train::SnapshotStarts<Maze>>);
    env::Pendulum pendulum;
    auto idle = [](const auto&, std::span<const double>, std::span<double> action, RandomStream&) { action[0] = 0; };
    auto height = [](const auto&, std::span<const double> seen) { return seen[0]; };
    auto store = train::collect_snapshots(pendulum, 2, 1, idle, height, {50, 1}, sampler::ByValue{});
    EXPECT_EQ(store.states.size(), 4u) << "steps 0, 50, 100, 150 of the better one";
    World world(pendulum, {100, 10, 200}, store);
    EXPECT_EQ(world.action_high(), 2.0);
    auto none = train::collect_snapshots(pendulum, 0, 1, idle, height, {50, 1}, sampler::ByValue{});
    World empty(pendulum, {100, 10, 200}, none);
    auto episode = env::Episode<World>::of(1);
    EXPECT_THROW(episode.reset(empty), Error);
    World plain(pendulum, {0, 10, 200}, none);
    EXPECT_NO_THROW(episode.reset(plain));
    EXPECT_THROW(World(pendulum, {100, 0, 200}, store), Error);
    auto bad = [](const auto&, std::span<const double>) { return std::numeric_limits<double>::quiet_NaN(); };
    EXPECT_THROW(train::collect_snapshots(pendulum, 1, 1, idle, bad, {50, 1}, sampler::ByValue{}), Error);
}

}  // namespace
}  // namespace roars::snapshot_starts_test
