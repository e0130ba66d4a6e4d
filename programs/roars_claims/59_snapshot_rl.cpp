#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "claim.hpp"
#include "roars/environments/grid_world.hpp"
#include "roars/metrics/sample_efficiency.hpp"
#include "roars/train/snapshot_starts.hpp"

namespace roars::claims::of_snapshot_rl {
namespace {

/// Two walls over the full width but for one gap each, at opposite ends: 28 steps from S to G.
using Maze = env::GridWorld<8, 8, 60>;
const Maze& maze() {
    static const Maze world{.map =
                                "SFFFFFFF"
                                "FFFFFFFF"
                                "#######F"
                                "FFFFFFFF"
                                "FFFFFFFF"
                                "F#######"
                                "FFFFFFFF"
                                "FFFFFFFG"};
    return world;
}
constexpr double discount = 0.99;

/// The shortest way, one step of ten at random; a state is worth discount^steps.
struct Teacher {
    std::vector<double> distance = std::vector<double>(64, 1e9);

    Teacher() {
        distance[63] = 0;
        RandomStream none;
        for (int sweep = 0; sweep < 64; ++sweep)
            for (std::int32_t cell = 0; cell < 63; ++cell)
                if (maze().map[std::size_t(cell)] != '#')
                    for (std::int32_t action = 0; action < 4; ++action) shorten(cell, after(cell, action, none));
    }
    void shorten(std::int32_t cell, std::int32_t next) {
        double& own = distance[std::size_t(cell)];
        own = std::min(own, 1 + distance[std::size_t(next)]);
    }
    static std::int32_t after(std::int32_t cell, std::int32_t action, RandomStream& random) {
        Maze::State state{cell};
        maze().step(state, action, random);
        return state.number;
    }
    static std::int32_t cell_of(std::span<const double> seen) {
        return std::int32_t(std::max_element(seen.begin(), seen.end()) - seen.begin());
    }
    double operator()(const Maze&, std::span<const double> seen) const {
        return std::pow(discount, distance[std::size_t(cell_of(seen))]);
    }
    void operator()(const Maze&, std::span<const double> seen, std::span<double> action, RandomStream& random) const {
        std::int32_t best = std::int32_t(random.below(4)), cell = cell_of(seen);
        if (random.uniform() >= 0.1)
            for (std::int32_t a = 0; a < 4; ++a)
                if (distance[std::size_t(after(cell, a, random))] < distance[std::size_t(after(cell, best, random))])
                    best = a;
        action[0] = double(best);
    }
};

/// Tabular Q-learning: rate 0.3, 10 % random actions, all of them where nothing is known. The greedy return every 1,000
/// steps.
template <class World>
Numbers q_learning(const World& world, const Trial& trial) {
    std::vector<double> q(64 * 4), evaluation;
    std::vector<std::int64_t> steps;
    RandomStream random{Random(trial.seed, Purpose::user)};
    auto greedy = [&](std::int32_t cell) {
        auto first = q.begin() + cell * 4;
        return std::int32_t(std::max_element(first, first + 4) - first);
    };
    auto evaluate = [&] {
        auto episode = env::Episode<Maze>::of(trial.seed);
        episode.reset(maze());
        for (int t = 0;; ++t) {
            auto result = episode.step(maze(), greedy(episode.state.number));
            if (result.ended()) return episode.episode_return * std::pow(discount, t);
        }
    };
    auto episode = env::Episode<World>::of(trial.seed, 1);
    episode.reset(world);
    for (std::int64_t t = 0; t < trial.updates; ++t) {
        std::int32_t cell = world.index(episode.state), action = greedy(cell);
        if (q[std::size_t(cell * 4 + action)] < 1e-5 || random.uniform() < 0.1) action = std::int32_t(random.below(4));
        auto result = episode.step(world, action);
        std::int32_t next = world.index(episode.state);
        double after = result.terminated ? 0.0 : discount * q[std::size_t(next * 4 + greedy(next))];
        double& value = q[std::size_t(cell * 4 + action)];
        value += 0.3 * (result.reward + after - value);
        if (result.ended()) episode.reset(world);
        if ((t + 1) % 1000 == 0) evaluation.push_back(evaluate()), steps.push_back(t + 1);
    }
    if (evaluation.empty()) return {{"area", 0.0}, {"final", 0.0}, {"steps", 1e9}};
    return {{"area", metrics::curve_area(evaluation)},
            {"final", evaluation.back()},
            {"steps", std::min(1e9, metrics::steps_to_threshold(steps, evaluation, 0.5))}};
}

/// `lingering` further snapshots of the start: a teacher that waits before it goes.
template <class Classes>
Arm arm(const std::string& name, const Classes& classes, std::int64_t truncate, std::size_t lingering) {
    return {name, [=](const Trial& trial) {
                Teacher teacher;
                auto store = train::collect_snapshots(maze(), 10, trial.seed, teacher, teacher,
                                                      sampler::SnapshotRows{5, 10}, classes);
                store.states.insert(store.states.end(), lingering, Maze::State{0});
                store.value.insert(store.value.end(), lingering, std::pow(discount, teacher.distance[0]));
                store.sorted = classes.sorted(store.value);
                return q_learning(train::SnapshotStarts<Maze>(maze(), {5000, truncate, 60}, store), trial);
            }};
}

}  // namespace

/// Starts along a teacher's way, spread over how far one has come, and cut early.
void add(std::vector<Experiment>& all) {
    sampler::AllAlike alike;
    sampler::ByValue by_value{6, 100};
    auto claim = [](const char* says, const char* method, const char* baseline, Expected expected, double least) {
        return Claim{.says = says,
                     .method = method,
                     .baseline = baseline,
                     .number = "area",
                     .expected = expected,
                     .least = least};
    };
    all.push_back(
        {.name = "snapshot-rl",
         .paper = "2403.00673, SnapshotRL",
         .page = "snapshot-rl",
         .setup = "A maze of 8 x 8, 28 steps to the only reward, limit 60. Tabular Q-learning for 30,000 steps, the "
                  "first 5,000 from snapshots of 10 episodes of a teacher. Measured: area under the greedy return.",
         .updates = 30000,
         .arms = {{"plain", [](const Trial& trial) { return q_learning(maze(), trial); }},
                  arm("snapshots", alike, 60, 0),
                  arm("+ clusters", by_value, 60, 0),
                  arm("+ truncation", alike, 20, 0),
                  arm("S3RL", by_value, 20, 0),
                  arm("lingering teacher, + truncation", alike, 20, 200),
                  arm("lingering teacher, S3RL", by_value, 20, 200)},
         .claims = {claim("S3RL learns what plain Q-learning does not", "S3RL", "plain", Expected::higher, 0.45),
                    claim("clusters help", "+ clusters", "snapshots", Expected::higher, 0),
                    claim("truncation helps", "+ truncation", "snapshots", Expected::higher, 0),
                    claim("both are better than clusters alone", "S3RL", "+ clusters", Expected::higher, 0),
                    claim("both are better than truncation alone", "S3RL", "+ truncation", Expected::higher, 0),
                    claim("where the teacher lingers only clusters find the way", "lingering teacher, S3RL",
                          "lingering teacher, + truncation", Expected::higher, 0.3)},
         .seeds = 32});
}

}  // namespace roars::claims::of_snapshot_rl
