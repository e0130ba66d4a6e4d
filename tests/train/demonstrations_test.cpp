#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "roars/data/transitions.hpp"
#include "roars/environments/continuous_bandit.hpp"
#include "roars/environments/point_reach.hpp"
#include "roars/methods/dual_rl.hpp"
#include "roars/methods/famo2o.hpp"
#include "roars/methods/residual_rl.hpp"
#include "roars/train/control_learner.hpp"
#include "roars/train/staged_trainer.hpp"
#include "roars/train/with_base_policy.hpp"

namespace roars::demonstrations_test {
namespace {

using Rows = data::Transitions<float>;
/// One-step rows of a cliff; choose(random) is the action.
template <class Choose>
Rows cliff_rows(int count, std::uint64_t seed, Choose&& choose) {
    Rows rows;
    rows.observation_size = rows.action_size = 1;
    env::CliffBandit world;
    auto episode = env::Episode<env::CliffBandit>::of(seed);
    RandomStream random{Random(seed)};
    for (int i = 0; i < count; ++i) {
        episode.reset(world);
        rows.state.push_back(float(episode.state.context));
        rows.action.push_back(float(choose(random)));
        rows.reward.push_back(float(episode.step(world, std::span<const float>(&rows.action.back(), 1)).reward));
        rows.next_state.push_back(0);
        rows.terminated.push_back(1);
        rows.truncated.push_back(0);
    }
    return rows;
}
double any_action(RandomStream& random) { return 2 * random.uniform() - 1; }
double expert_action(RandomStream& random) { return 0.6 + 0.02 * random.normal(); }

template <class Head, class Method>
double return_after(Method method, int iterations) {
    train::ControlLearner<env::CliffBandit, Head> learner(env::CliffBandit{},
                                                          {.width = 16, .layers = 1, .evaluation_episodes = 50}, 1);
    learner.learn_from(cliff_rows(2000, 9, any_action));
    learner.learn_from_demonstrations(cliff_rows(30, 10, expert_action));
    method.advantage.network = {.width = 16, .layers = 1};
    method.advantage.step.learning_rate = method.optimizer.step.learning_rate = 5e-3;
    method.advantage.polyak.tau = 0.02;
    train::Trainer<Method, decltype(learner)> trainer(method, learner);
    backend::Host host;
    for (int i = 0; i < iterations; ++i) {
        roars::Run run{host, Random(1).at(std::uint32_t(i)), Progress{i, iterations}};
        trainer.advance(run);
    }
    roars::Run run{host, Random(1)};
    return learner.evaluate(run).mean;
}
TEST(Demonstrations, FDvlFindsTheBetterActionsOfTheData) {
    auto method = methods::f_dvl;
    method.sampler.batch_size = 64;
    method.advantage.weight.temperature = 10;
    double learnt = return_after<actor::DiagonalGaussian<true>>(method, 400);
    EXPECT_GT(learnt, 0.2) << "the mean action of the data earns 0";
}
TEST(Demonstrations, RecoilFollowsTheExpertAmongOtherRows) {
    auto method = methods::recoil;
    method.sampler.first.batch_size = method.sampler.second.batch_size = 32;
    double learnt = return_after<actor::SquashedGaussian>(method, 300);
    EXPECT_GT(learnt, 0.4) << "the mixture's mean action earns 0.3, the expert 0.6";
}

using Family = train::ControlLearner<env::CliffBandit, actor::Balanced<actor::DiagonalGaussian<true>>>;
TEST(Demonstrations, OnePolicyOfAllBalancesClonesAtZeroAndImprovesAtALargeOne) {
    Family learner(env::CliffBandit{}, {.width = 32, .layers = 1, .evaluation_episodes = 50}, 1);
    learner.learn_from(cliff_rows(2000, 9, any_action));
    auto method = methods::famo2o_offline;
    method.sampler.first.batch_size = 64;
    method.sampler.second.range = {.low = 0, .high = 20};
    method.advantage.base.network = method.advantage.network = {.width = 32, .layers = 1};
    method.advantage.base.step.learning_rate = method.advantage.step.learning_rate = 5e-3;
    method.optimizer.step.learning_rate = 5e-3;
    train::Trainer<methods::Famo2oOffline, Family> trainer(method, learner);
    backend::Host host;
    for (int i = 0; i < 3000; ++i) {
        roars::Run run{host, Random(1).at(std::uint32_t(i)), Progress{i, 3000}};
        trainer.advance(run);
    }
    roars::Run run{host, Random(1)};
    auto worth = [&](double balance) {
        learner.act_by(balance);
        return learner.evaluate(run).mean;
    };
    const double cloned = worth(0), between = worth(3), improved = worth(20);
    EXPECT_NEAR(cloned, 0.0, 0.15) << "the mean action of the data earns 0";
    EXPECT_GT(between, cloned + 0.1);
    EXPECT_GT(improved, between + 0.1);
    EXPECT_THROW(learner.act_by(std::nan("")), Error);
}
TEST(Demonstrations, AnEncodingOfABalanceHasAnEvenSize) {
    EXPECT_THROW(Family(env::CliffBandit{}, {.balance_dimensions = 5}, 1), Error);
    EXPECT_THROW(Family(env::CliffBandit{}, {.balance_dimensions = 0}, 1), Error);
}

/// Half the way to the goal.
struct HalfWay {
    struct State {};
    void act(State&, std::span<const double> seen, std::span<double> action) const {
        for (std::size_t j = 0; j < 2; ++j) action[j] = (seen[2 + j] - seen[j]) / 0.3;
    }
};
using World = train::WithBasePolicy<env::PointReach, HalfWay>;
using Learner = train::ControlLearner<World, actor::DeterministicAction>;

/// Episodes of lengths 3, 1, 4; a state's first number is its row.
Rows numbered_rows() {
    Rows rows;
    rows.observation_size = 6, rows.action_size = 2;
    for (int i = 0; i < 8; ++i) {
        for (int j = 0; j < 6; ++j) rows.state.push_back(float(j == 0 ? i : 0)), rows.next_state.push_back(0);
        rows.action.insert(rows.action.end(), {0.1f, -0.1f});
        rows.reward.push_back(float(i));
        bool ends = i == 2 || i == 3 || i == 7;
        rows.terminated.push_back(ends && i != 3), rows.truncated.push_back(i == 3);
    }
    return rows;
}
TEST(Demonstrations, ComeAsStepsThatFollowedEachOther) {
    Learner learner(World{}, {}, 1);
    learner.learn_from_demonstrations(numbered_rows());
    using BatchType = Batch<float, unite_t<Learner::keeps, columns<col::external, col::step_reward, col::done>>>;
    BatchType batch;
    backend::Host host;
    roars::Run run{host, Random(4)};
    learner.demonstrate(run, batch, 200, 3);
    ASSERT_EQ(batch.sequences(), 200);
    auto offsets = batch.token_offsets();
    std::array<int, 8> begun{};
    for (std::size_t k = 0; k < 200; ++k) {
        auto first = std::size_t(offsets[k]), last = std::size_t(offsets[k + 1]);
        int row = int(batch.row(col::state{}, std::int64_t(first))[0]);
        ++begun[std::size_t(row)];
        const std::array<std::size_t, 8> follow{3, 2, 1, 1, 3, 3, 2, 1};
        ASSERT_EQ(last - first, follow[std::size_t(row)]) << "from row " << row;
        for (std::size_t t = first; t < last; ++t) {
            EXPECT_EQ(batch[col::step_reward{}][t], float(row + int(t - first)));
            EXPECT_EQ(batch[col::mask{}][t], t == first ? 1.0f : 0.0f);
            EXPECT_EQ(batch[col::external{}][t], 1.0f);
        }
    }
    EXPECT_GT(*std::min_element(begun.begin(), begun.end()), 8);
    EXPECT_THROW(learner.draw_rows(run, batch, 4), Error) << "there are demonstrations, and no other rows";
}

methods::ResidualFineTuning small_residual() {
    auto method = methods::residual_fine_tuning;
    method.sampler.base = {
        .capacity = 500, .batch_size = 6, .random_steps = 20, .warm_up = 40, .every = 2, .horizon = 3};
    method.sampler.demonstrations = 5;
    method.advantage.network = {.width = 16, .layers = 1, .layer_norm = true};
    method.advantage.critics = 3;
    method.optimizer.every = 2;
    method.optimizer.step.base.learning_rate = 1e-3;
    return method;
}
TEST(Demonstrations, AResidualBeginsAsTheBaseAndEveryBatchIsMixed) {
    World world;
    Learner learner(world, {.width = 16, .output_gain = 0.0, .evaluation_episodes = 20}, 1);
    learner.learn_from_demonstrations(numbered_rows());
    const auto method = small_residual();
    train::Trainer<methods::ResidualFineTuning, Learner> trainer(method, learner);
    backend::Host host;
    auto run = [&](int i) { return roars::Run{host, Random(1).at(std::uint32_t(i)), Progress{i, 100}}; };
    auto first = run(0);
    auto base = learner.evaluate(first);
    auto start = std::vector<float>(learner.parameters().values().begin(), learner.parameters().values().end());
    for (int i = 0; i < 90; ++i) {
        auto now = run(i);
        trainer.advance(now);
        std::int64_t sequences = trainer.batch().sequences();
        ASSERT_EQ(sequences, learner.position.steps < 40 ? 0 : 11) << i;
        ASSERT_TRUE(std::isfinite(trainer.state.advantage.loss));
    }
    auto end = std::vector<float>(learner.parameters().values().begin(), learner.parameters().values().end());
    EXPECT_NE(start, end);
    // Beside it, the base alone.
    double alone = 0;
    for (std::uint32_t e = 0; e < 20; ++e) {
        auto episode = env::Episode<World>{};
        episode.random = RandomStream(Random(first.random.seed(), Purpose::evaluate, e));
        episode.reset(world);
        const std::array<float, 2> nothing{};
        while (!episode.step(world, std::span<const float>(nothing)).ended()) {
        }
        alone += episode.episode_return / 20;
    }
    EXPECT_DOUBLE_EQ(base.mean, alone);
}

TEST(Demonstrations, CriticsLearnAloneBeforeTheirPolicy) {
    Learner learner(World{}, {.width = 16, .output_gain = 0.0}, 1);
    learner.learn_from_demonstrations(numbered_rows());
    const auto method = small_residual();
    train::StagedTrainer<methods::Resfit, Learner> trainer({methods::critics_alone(method, 30), {method, 20}}, learner);
    backend::Host host;
    auto values = [&] {
        return std::vector<float>(learner.parameters().values().begin(), learner.parameters().values().end());
    };
    const auto start = values();
    std::vector<float> critics;
    auto advance = [&](int from, int to) {
        for (int i = from; i < to; ++i) {
            auto now = roars::Run{host, Random(1).at(std::uint32_t(i)), Progress{i, 90}};
            trainer.advance(now);
        }
    };
    advance(0, 41);
    critics = trainer.state_of<0>().advantage.networks.online;
    ASSERT_FALSE(critics.empty()) << "learning begins with the first update behind the warm-up";
    advance(41, 70);
    EXPECT_EQ(learner.position.steps, 40) << "updates alone";
    EXPECT_EQ(values(), start) << "the policy waits";
    EXPECT_NE(trainer.state_of<0>().advantage.networks.online, critics);
    advance(70, 72);
    EXPECT_EQ(trainer.position.stage, 1);
    EXPECT_EQ(learner.position.steps, 41);
    EXPECT_EQ(trainer.state_of<1>().sampler.steps, 41) << "the memory goes on";
    EXPECT_NE(values(), start);
}

}  // namespace
}  // namespace roars::demonstrations_test
