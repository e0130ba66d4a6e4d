#include "roars/train/saved_policy.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "roars/actors/heads.hpp"
#include "roars/actors/safetensors.hpp"
#include "roars/data/transitions.hpp"
#include "roars/environments/any_world.hpp"
#include "roars/environments/continuous_bandit.hpp"
#include "roars/environments/pendulum.hpp"
#include "roars/environments/point_reach.hpp"
#include "roars/methods/snapshot_rl.hpp"
#include "roars/train/checkpoint.hpp"
#include "roars/train/control_learner.hpp"
#include "roars/train/snapshot_starts.hpp"
#include "roars/train/with_base_policy.hpp"

namespace roars::saved_policy_test {
namespace {

/// A folder that is gone behind the test.
struct Folder {
    std::filesystem::path path =
        std::filesystem::path(testing::TempDir()) /
        ("roars_saved_policy_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    Folder() { std::filesystem::create_directories(path); }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string checkpoint() const { return (path / "checkpoint.safetensors").string(); }
};
template <class Learner>
SafeTensors written(const Learner& learner) {
    SafeTensors file;
    learner.write(file);
    return file;
}

struct AnyOf : env::AnyWorld<env::Pendulum, env::PointReach> {
    using AnyWorld::AnyWorld;
    static constexpr int action_size = 1;
    double action_low() const { return -1.0; }
    double action_high() const { return 1.0; }
};
static_assert(AnyOf::most_actions == 2 && AnyOf::observation_size == 4);

TEST(SavedPolicy, ActsAsTheLearnerThatWroteItAndItsCriticSaysWhatItIsWorth) {
    using Learner = train::ControlLearner<env::PointReach, actor::DeterministicAction>;
    Learner learner(env::PointReach{}, {.width = 8, .layer_norm = true, .output_gain = 1.0, .noise = 0.0}, 3);
    auto method = methods::td3;
    method.sampler.warm_up = method.sampler.random_steps = 10;
    method.sampler.batch_size = 8;
    method.advantage.network = {.width = 8, .layers = 1, .layer_norm = true};
    train::Trainer<methods::TwinDelayed, Learner> trainer(method, learner);
    backend::Host host;
    for (int i = 0; i < 15; ++i) {
        roars::Run run{host, Random(3).at(std::uint32_t(i)), Progress{i, 15}};
        trainer.advance(run);
    }
    Folder folder;
    auto file = written(learner);
    train::write_state(file, trainer.state, "method");
    file.save(folder.checkpoint());
    train::SavedPolicy saved(folder.path.string());
    ASSERT_TRUE(saved.has_critic());
    EXPECT_EQ(saved.observation_size(), 4);
    EXPECT_EQ(saved.action_size(), 2);

    Batch<float, Learner::keeps> batch;
    roars::Run run{host, Random(9)};
    learner.roll_steps(run, batch, 20, false);
    for (std::int64_t t = 0; t < 20; ++t) {
        auto state = batch.row(col::state{}, t), taken = batch.row(col::action{}, t);
        std::vector<double> seen(state.begin(), state.end());
        std::array<double, 2> action{};
        saved.act(seen, action);
        std::vector<float> shown(state.begin(), state.end());
        for (std::size_t j = 0; j < 2; ++j) {
            EXPECT_EQ(float(action[j]), taken[j]);
            shown.push_back(taken[j]);
        }
        EXPECT_EQ(float(saved.value(seen)), trainer.state.advantage.networks.forward(0, shown)[0]);
    }
}

TEST(SavedPolicy, AGaussianActsByItsMean) {
    using Learner = train::ControlLearner<env::CliffBandit, actor::SquashedGaussian>;
    Learner learner(env::CliffBandit{}, {.width = 8, .output_gain = 1.0, .evaluation_episodes = 30}, 5);
    Folder folder;
    written(learner).save(folder.checkpoint());
    train::SavedPolicy saved(folder.checkpoint());
    EXPECT_FALSE(saved.has_critic());
    backend::Host host;
    roars::Run run{host, Random(2)};
    const env::CliffBandit world;
    auto worlds = train::evaluation_worlds(world, 2, 30);
    for (auto& episode : worlds) {
        std::array<double, 1> seen{}, action{};
        world.observe(episode.state, std::span<double>(seen));
        saved.act(seen, action);
        episode.step(world, std::span<const double>(action));
    }
    EXPECT_NEAR(train::returns_of(worlds).mean, learner.evaluate(run).mean, 1e-6);
}

TEST(SavedPolicy, SaysWhatIsWrong) {
    auto refused = [](const std::string& path, const std::string& words) {
        try {
            train::SavedPolicy saved(path);
            saved.check_fits(3, 1);
            ADD_FAILURE() << "expected: " << words;
        } catch (const Error& error) {
            EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
        }
    };
    Folder folder;
    refused(folder.path.string(), "cannot be read");
    SafeTensors().save(folder.checkpoint());
    refused(folder.path.string(), "holds no policy that acts by itself");
    using Learner = train::ControlLearner<env::CliffBandit, actor::DeterministicAction>;
    written(Learner(env::CliffBandit{}, {.width = 8}, 5)).save(folder.checkpoint());
    refused(folder.path.string(), "observations of 1 and actions of 1 numbers, expected 3 and 1");
}

TEST(SavedPolicy, IsABaseInAnyWorld) {
    using Learner = train::ControlLearner<AnyOf, actor::DeterministicAction>;
    AnyOf reach{env::PointReach{}};
    Learner learner(reach, {.width = 8, .output_gain = 1.0, .evaluation_episodes = 20}, 4);
    Folder folder;
    written(learner).save(folder.checkpoint());
    using World = train::WithBasePolicy<AnyOf, train::SavedBase>;
    World world{reach, {std::make_shared<train::SavedPolicy>(folder.checkpoint())}, {.action_scale = 0.5}};
    EXPECT_EQ(world.sizes().observation, 6);
    EXPECT_EQ(world.sizes().action, 2);
    EXPECT_EQ(world.sizes().limit, 25);
    train::ControlLearner<World, actor::DeterministicAction> corrected(
        world, {.width = 8, .output_gain = 0.0, .evaluation_episodes = 20}, 1);
    backend::Host host;
    roars::Run run{host, Random(6)};
    auto base = learner.evaluate(run), begun = corrected.evaluate(run);
    EXPECT_EQ(begun.mean, base.mean);
    EXPECT_EQ(begun.length, base.length) << "a correction of 0 is the base";

    // What was shown is executed again by its correction.
    data::Transitions<float> shown;
    shown.observation_size = 4, shown.action_size = 2;
    shown.add(std::array{0.1f, 0.2f, -0.3f, 0.9f}, std::array{0.75f, -1.0f}, 0, std::array{0.2f, 0.05f, -0.3f, 0.9f},
              false, true);
    auto rows = world.corrections_of(shown);
    ASSERT_EQ(rows.state.size(), 6u);
    EXPECT_EQ(std::vector<float>(rows.state.begin(), rows.state.begin() + 4), shown.state);
    for (std::size_t j = 0; j < 2; ++j)
        EXPECT_NEAR(world.correction.executed(double(rows.state[4 + j]), double(rows.action[j])), shown.action[j],
                    1e-6);
    std::array<double, 2> proposed{};
    world.base.policy->act(std::array<double, 4>{0.2f, 0.05f, -0.3f, 0.9f}, proposed);
    EXPECT_EQ(rows.next_state[4], float(proposed[0]));
    shown.observation_size = 3;
    EXPECT_THROW(world.corrections_of(shown), Error);
}

TEST(SavedPolicy, ItsStatesAreWhereAStudentBegins) {
    AnyOf pendulum{env::Pendulum{}};
    auto idle = [](const auto&, std::span<const double> seen, std::span<double> action, RandomStream&) {
        ASSERT_EQ(seen.size(), 3u) << "of the world that it is";
        ASSERT_EQ(action.size(), 1u);
        action[0] = 0;
    };
    auto height = [](const auto&, std::span<const double> seen) { return seen[0]; };
    auto store = train::collect_snapshots(pendulum, 2, 1, idle, height, {50, 1}, sampler::ByValue{});
    EXPECT_EQ(store.states.size(), 4u) << "steps 0, 50, 100, 150: the time limit is the world's";

    using World = train::SnapshotStarts<AnyOf>;
    using Learner = train::ControlLearner<World, actor::DeterministicAction>;
    Learner learner(World(pendulum, {60, 10, 200}, store), {.width = 8}, 2);
    static_assert(train::needs_teacher<methods::SnapshotTwinDelayed> && !train::needs_teacher<methods::TwinDelayed>);
    static_assert(train::draws_from<methods::SnapshotTwinDelayed, Learner>);
    static_assert(
        !train::draws_from<methods::SnapshotTwinDelayed, train::ControlLearner<AnyOf, actor::DeterministicAction>>);
    Batch<float, unite_t<Learner::keeps, columns<col::done, col::terminated>>> batch;
    backend::Host host;
    roars::Run run{host, Random(9)};
    learner.roll_steps(run, batch, 100, true);
    for (std::size_t t = 0; t < 100; ++t) {
        EXPECT_EQ(batch[col::done{}][t], t < 60 && t % 10 == 9 ? 1.0f : 0.0f) << t;
        EXPECT_EQ(batch[col::terminated{}][t], 0.0f) << "a cut is no end";
    }
    EXPECT_EQ(learner.position.episodes, 6);
    EXPECT_EQ(learner.evaluate(run).length, 200) << "judged in the original world";
}

}  // namespace
}  // namespace roars::saved_policy_test
