#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "roars/data/transitions.hpp"
#include "roars/environments/continuous_bandit.hpp"
#include "roars/methods/famo2o.hpp"
#include "roars/methods/zero_shot.hpp"
#include "roars/train/control_learner.hpp"
#include "roars/train/staged_trainer.hpp"

/// Learners that act by what the advantage has learnt.
namespace {

using namespace roars;

using Rows = data::Transitions<float>;
/// None yet, of so many numbers a state and one an action.
Rows rows_of(std::int64_t observation_size) {
    Rows rows;
    rows.observation_size = observation_size, rows.action_size = 1;
    return rows;
}
roars::Run<backend::Host> iteration(backend::Host& host, int i, int total) {
    return {host, Random(1).at(std::uint32_t(i)), Progress{i, total}};
}

/// Five cells in a row; left, stay, right. It begins at the left end and pays 1 for every step that ends at the right.
struct Corridor {
    static constexpr int observation_size = 5, action_count = 3, max_steps = 10;
    struct State {
        int cell;
    };
    void reset(State& state, RandomStream&) const { state.cell = 0; }
    env::StepResult step(State& state, std::int32_t action, RandomStream&) const {
        state.cell = std::clamp(state.cell + action - 1, 0, 4);
        return {state.cell == 4 ? 1.0 : 0.0, false};
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        std::fill(to.begin(), to.end(), Real(0));
        to[std::size_t(state.cell)] = Real(1);
    }
};
std::vector<float> seen_at(int cell) {
    std::vector<float> seen(5);
    Corridor().observe(Corridor::State{cell}, std::span(seen));
    return seen;
}
Rows any_steps(int count) {
    Rows rows = rows_of(5);
    RandomStream random{Random(7)};
    for (int i = 0; i < count; ++i) {
        Corridor::State at{int(random.below(5))};
        auto seen = seen_at(at.cell);
        rows.state.insert(rows.state.end(), seen.begin(), seen.end());
        rows.action.push_back(float(random.below(3)));
        rows.reward.push_back(float(Corridor().step(at, std::int32_t(rows.action.back()), random).reward));
        seen = seen_at(at.cell);
        rows.next_state.insert(rows.next_state.end(), seen.begin(), seen.end());
        rows.terminated.push_back(0), rows.truncated.push_back(0);
    }
    return rows;
}
using TaskLearner = train::ControlLearner<Corridor, actor::TaskValues>;

template <class Method>
void reaches_every_goal(Method method) {
    TaskLearner learner(Corridor{}, {.evaluation_episodes = 2}, 1);
    learner.learn_from(any_steps(600));
    method.sampler.batch_size = 64;
    auto& model = method.advantage;
    model.actions = 3, model.dimensions = 5, model.members = 1;
    model.forward = {.width = 32, .layers = 1}, model.backward = {.layers = 0};
    model.loss.gamma = 0.8, model.step.learning_rate = 3e-3;
    train::Trainer<Method, TaskLearner> trainer(method, learner);
    backend::Host host;
    auto before = iteration(host, 0, 600);
    EXPECT_EQ(learner.evaluate(before).mean, 0.0) << "without values the first action, which is left";
    EXPECT_THROW(learner.pursue_goal(seen_at(2)), Error);
    for (int i = 0; i < 600; ++i) {
        auto run = iteration(host, i, 600);
        trainer.advance(run);
    }
    EXPECT_EQ(learner.evaluate(before).mean, 7.0) << "four steps there, then it stays: a task of the data's rewards";
    RandomStream random{Random(1)};
    for (int goal = 0; goal < 5; ++goal)
        for (int from = 0; from < 5; ++from) {
            learner.pursue_goal(seen_at(goal));
            Corridor::State at{from};
            for (int step = 0; step < 4; ++step) {
                auto q = learner.task_values(seen_at(at.cell));
                Corridor().step(at, std::int32_t(std::max_element(q.begin(), q.end()) - q.begin()), random);
            }
            EXPECT_EQ(at.cell, goal) << "from " << from;
        }
}
TEST(Guided, OneModelWithoutARewardReachesEveryGoalAndCollectsARewardGivenLater) {
    reaches_every_goal(methods::forward_backward);
    reaches_every_goal(methods::measure_conservative);
}
TEST(Guided, TheModelHasTheWorldsActions) {
    TaskLearner learner(Corridor{}, {}, 1);
    learner.learn_from(any_steps(10));
    train::Trainer<methods::ForwardBackward, TaskLearner> trainer(methods::forward_backward, learner);
    backend::Host host;
    auto run = iteration(host, 0, 1);
    EXPECT_THROW(trainer.advance(run), Error) << "two actions are the default";
}

/// One-step rows of a cliff.
Rows cliff_rows(int count) {
    Rows rows = rows_of(1);
    env::CliffBandit world;
    auto episode = env::Episode<env::CliffBandit>::of(9);
    RandomStream random{Random(9)};
    for (int i = 0; i < count; ++i) {
        episode.reset(world);
        rows.state.push_back(float(episode.state.context));
        rows.action.push_back(float(2 * random.uniform() - 1));
        rows.reward.push_back(float(episode.step(world, std::span<const float>(&rows.action.back(), 1)).reward));
        rows.next_state.push_back(float(2 * random.uniform() - 1));
        rows.terminated.push_back(1), rows.truncated.push_back(0);
    }
    return rows;
}
/// An advantage that says one balance, whatever the state.
struct OneBalance {
    double to_act = 9, to_learn = 9;
    void guide(int&, std::uint64_t, std::span<const float>, std::int64_t, std::span<float> to) const {
        std::fill(to.begin(), to.end(), float(to_act));
    }
    template <class RunType>
    void draw(RunType&, int&, std::span<const float>, std::int64_t, std::span<float> to) const {
        std::fill(to.begin(), to.end(), float(to_learn));
    }
};

template <class Head>
class BalancedRows {
public:
    using Learner = train::ControlLearner<env::CliffBandit, actor::Balanced<Head>>;
    using BatchType =
        Batch<float,
              unite_t<typename Learner::keeps, columns<col::balance, col::balanced_action, col::action_by_balance,
                                                       col::policy_action, col::next_policy_action>>>;

    BalancedRows() : learner(env::CliffBandit{}, {.width = 8, .layers = 1, .output_gain = 0.5}, 3) {
        learner.learn_from(cliff_rows(50));
    }
    BatchType of(const OneBalance& advantage, float balance) {
        int state = 0;
        auto run = iteration(host, 4, 10);
        learner.guided_by(run, advantage, state);
        BatchType batch;
        learner.draw_rows(run, batch, 20);
        std::fill(batch[col::balance{}].begin(), batch[col::balance{}].end(), balance);
        learner.refresh(run, batch, true);
        return batch;
    }

    backend::Host host;
    Learner learner;
};
template <class Column, class BatchType>
std::vector<float> values(const BatchType& batch) {
    return {batch[Column{}].begin(), batch[Column{}].end()};
}
template <class Head>
void moves_as_it_says() {
    BalancedRows<Head> rows;
    auto batch = rows.of({9, 9}, 10), above = rows.of({9, 9.01}, 10), below = rows.of({9, 8.99}, 10);
    double largest = 0;
    for (std::size_t i = 0; i < 20; ++i) {
        double by = (double(above[col::balanced_action{}][i]) - double(below[col::balanced_action{}][i])) / 0.02;
        EXPECT_NEAR(batch[col::action_by_balance{}][i], by, 1e-3) << i;
        largest = std::max(largest, std::abs(by));
    }
    EXPECT_GT(largest, 0.02);
    // What is drawn to learn the balance by is not what the row's own loss or the next state's action is by.
    EXPECT_EQ(values<col::policy_action>(batch), values<col::policy_action>(above));
    EXPECT_EQ(values<col::next_policy_action>(batch), values<col::next_policy_action>(above));
    auto next = rows.of({13, 9}, 10), own = rows.of({9, 9}, 13);
    EXPECT_NE(values<col::next_policy_action>(batch), values<col::next_policy_action>(next));
    EXPECT_EQ(values<col::policy_action>(batch), values<col::policy_action>(next));
    EXPECT_NE(values<col::policy_action>(batch), values<col::policy_action>(own));
}
TEST(Guided, AnActionMovesWithItsBalanceAsItIsSaid) {
    moves_as_it_says<actor::SquashedGaussian>();
    moves_as_it_says<actor::DiagonalGaussian<true>>();
}

template <class Method>
void make_small(Method& method) {
    method.advantage.base.network = method.advantage.network = {.width = 32, .layers = 1};
    method.advantage.base.step.learning_rate = method.optimizer.step.learning_rate = 5e-3;
    method.advantage.step.learning_rate = 3e-3;
    method.advantage.balance.range = {.low = 0, .high = 20};
    method.advantage.initial_temperature = 0;
}
using Family = train::ControlLearner<env::CliffBandit, actor::Balanced<actor::DiagonalGaussian<true>>>;

TEST(Guided, ABalancePolicyFindsTheBetterBalancesOfflineAndGoesOnOnline) {
    Family learner(env::CliffBandit{}, {.width = 32, .layers = 1, .evaluation_episodes = 50}, 1);
    learner.learn_from(cliff_rows(2000));
    auto stages = methods::famo2o;
    get<0>(stages).iterations = 1200, get<1>(stages).iterations = 200;
    auto& offline = get<0>(stages).algorithm;
    auto& online = get<1>(stages).algorithm;
    make_small(offline), make_small(online);
    offline.sampler.first.batch_size = 64;
    offline.sampler.second.range = {.low = 0, .high = 20};
    online.sampler.base.first.batch_size = online.sampler.base.second.batch_size = 32;
    train::StagedTrainer<methods::Famo2o, Family> trainer(stages, learner);
    backend::Host host;
    double after_offline = 0, chosen = 0;
    auto measure = iteration(host, 0, 1);
    for (int i = 0; i < 1400; ++i) {
        auto run = iteration(host, i, 1400);
        trainer.iterate(run);
        if (i != 1199) continue;
        after_offline = learner.evaluate(measure).mean;
        learner.act_by(0);
        EXPECT_LT(learner.evaluate(measure).mean, after_offline - 0.15) << "the member of balance 0 clones";
        learner.act_by_state();
        std::vector<float> states{-0.9f, -0.3f, 0.3f, 0.9f}, balance(4);
        offline.advantage.guide(trainer.state_of<0>().advantage, 1, std::span<const float>(states), 1,
                                std::span<float>(balance));
        for (float b : balance) {
            EXPECT_GE(b, 0);
            EXPECT_LE(b, 20);
            chosen += b / 4;
        }
    }
    EXPECT_GT(chosen, 12) << "more improvement is better here: 0 earns 0, 20 earns 0.5; an untrained one chooses 10";
    EXPECT_EQ(learner.position.steps, 200) << "own steps begin with the second stage";
    const double online_return = learner.evaluate(measure).mean;
    EXPECT_GT(after_offline, 0.3);
    EXPECT_GT(online_return, 0.3);
}

}  // namespace
