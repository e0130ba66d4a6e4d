#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "roars/actors/safetensors.hpp"
#include "roars/data/transitions.hpp"
#include "roars/environments/continuous_bandit.hpp"
#include "roars/methods/famo2o.hpp"
#include "roars/methods/zero_shot.hpp"
#include "roars/train/control_learner.hpp"
#include "roars/train/staged_trainer.hpp"

/// Learners that act by what the advantage has learnt.
namespace roars::guided_test {
namespace {

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

template <class Column, class BatchType>
std::vector<float> values(const BatchType& batch) {
    return {batch[Column{}].begin(), batch[Column{}].end()};
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
    method.sampler.base.batch_size = 64;
    auto& model = method.advantage;
    model.acts.count = 3, model.dimensions = 5, model.members = 1;
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

/// A place in [-1, 1] that an action of [-1, 1] moves by a quarter of it; 1 is paid near 0.5.
struct Line {
    static constexpr int observation_size = 1, action_size = 1, max_steps = 16;
    struct State {
        double x;
    };
    double action_low() const { return -1; }
    double action_high() const { return 1; }
    void reset(State& state, RandomStream& random) const { state.x = 2 * random.uniform() - 1; }
    template <class Real>
    env::StepResult step(State& state, std::span<const Real> action, RandomStream&) const {
        state.x = std::clamp(state.x + 0.25 * std::clamp(double(action[0]), -1.0, 1.0), -1.0, 1.0);
        return {std::abs(state.x - 0.5) < 0.2 ? 1.0 : 0.0, false};
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        to[0] = Real(state.x);
    }
};
Rows any_moves(int count) {
    Rows rows = rows_of(1);
    RandomStream random{Random(7)};
    for (int i = 0; i < count; ++i) {
        Line::State at{2 * random.uniform() - 1};
        rows.state.push_back(float(at.x));
        rows.action.push_back(float(2 * random.uniform() - 1));
        rows.reward.push_back(float(Line().step(at, std::span<const float>(&rows.action.back(), 1), random).reward));
        rows.next_state.push_back(float(at.x));
        rows.terminated.push_back(0), rows.truncated.push_back(1);
    }
    return rows;
}
using LineLearner = train::ControlLearner<Line, actor::ForTask<actor::DeterministicAction>>;
template <class Model>
void make_small_model(Model& model) {
    model.dimensions = 16, model.members = 1;
    model.forward = {.width = 64, .layers = 2}, model.backward = {.width = 64, .layers = 2};
    model.loss.gamma = 0.8, model.step.learning_rate = 2e-3;
}

template <class Method>
void goes_anywhere(Method method) {
    LineLearner learner(Line{}, {.task_dimensions = 16, .evaluation_episodes = 10}, 1);
    learner.learn_from(any_moves(2000));
    method.sampler.base.batch_size = 64;
    make_small_model(method.advantage);
    method.advantage.acts.uniform = 3, method.advantage.acts.policy = method.advantage.acts.next_policy = 1;
    method.optimizer.step.learning_rate = 1e-3;
    train::Trainer<Method, LineLearner> trainer(method, learner);
    backend::Host host;
    auto measure = iteration(host, 0, 1);
    EXPECT_THROW(learner.pursue_rewards(), Error) << "there is no model to ask yet";
    for (int i = 0; i < 1500; ++i) {
        auto run = iteration(host, i, 1500);
        trainer.advance(run);
    }
    auto paid_on_the_way_to = [&](std::vector<float> goals) {
        double mean = 0;
        for (float goal : goals) {
            learner.pursue_goal(std::span(&goal, 1));
            mean += learner.evaluate(measure).mean / double(goals.size());
        }
        return mean;
    };
    const double there = paid_on_the_way_to({0.3f, 0.5f, 0.6f}), elsewhere = paid_on_the_way_to({-0.75f, -0.5f, 0.0f});
    EXPECT_GT(there, elsewhere + 4.0) << "a policy that does not read the task earns the same; 13 is all there is";
    EXPECT_LT(elsewhere, 1.5) << "what is paid is passed at most";
}
TEST(Guided, APolicyThatReadsTheTaskGoesAnywhere) {
    goes_anywhere(methods::forward_backward_continuous);
    goes_anywhere(methods::measure_conservative_continuous);
}
TEST(Guided, APolicyReadsTheTaskOfItsRow) {
    using BatchType =
        Batch<float, unite_t<LineLearner::keeps, columns<col::task, col::policy_action, col::next_policy_action>>>;
    LineLearner learner(Line{}, {.output_gain = 1, .task_dimensions = 16}, 3);
    learner.learn_from(any_moves(50));
    auto method = methods::forward_backward_continuous;
    make_small_model(method.advantage);
    decltype(method)::Advantage::State state;
    backend::Host host;
    auto run = iteration(host, 4, 10);
    BatchType batch;
    EXPECT_THROW(learner.choose(batch, col::task{}), Error) << "nobody draws tasks yet";
    learner.guided_by(run, method.advantage, state);
    auto said = [&](float first) {
        learner.draw_rows(run, batch, 6);
        std::fill(batch[col::task{}].begin(), batch[col::task{}].end(), 0.5f);
        batch[col::task{}][16] = first;  // of the second row
        learner.refresh(run, batch, true);
        return std::pair{
            std::vector<float>(batch[col::policy_action{}].begin(), batch[col::policy_action{}].end()),
            std::vector<float>(batch[col::next_policy_action{}].begin(), batch[col::next_policy_action{}].end())};
    };
    auto one = said(0.5f), other = said(-2.0f);
    for (std::size_t i = 0; i < 6; ++i) {
        EXPECT_EQ(one.first[i] == other.first[i], i != 1) << i;
        EXPECT_EQ(one.second[i] == other.second[i], i != 1) << i;
    }
    method.advantage.dimensions = 15;
    EXPECT_THROW(learner.guided_by(run, method.advantage, state), Error);
}

/// The corridor in the dark: its cell is seen every other step alone.
struct DarkCorridor : Corridor {
    struct State {
        int cell, steps;
    };
    void reset(State& state, RandomStream& random) const { state = {int(random.below(5)), 0}; }
    env::StepResult step(State& state, std::int32_t action, RandomStream&) const {
        state.cell = std::clamp(state.cell + action - 1, 0, 4);
        ++state.steps;
        return {state.cell == 4 ? 1.0 : 0.0, false};
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        std::fill(to.begin(), to.end(), Real(0));
        if (state.steps % 2 == 0) to[std::size_t(state.cell)] = Real(1);
    }
};
Rows walks_in_the_dark(int count) {
    Rows rows = rows_of(5);
    RandomStream random{Random(7)};
    DarkCorridor world;
    DarkCorridor::State at{};
    for (int i = 0; i < count; ++i) {
        if (i % 10 == 0) world.reset(at, random);
        std::vector<float> seen(5);
        world.observe(at, std::span(seen));
        rows.state.insert(rows.state.end(), seen.begin(), seen.end());
        rows.action.push_back(float(random.below(3)));
        rows.reward.push_back(float(world.step(at, std::int32_t(rows.action.back()), random).reward));
        world.observe(at, std::span(seen));
        rows.next_state.insert(rows.next_state.end(), seen.begin(), seen.end());
        rows.terminated.push_back(0), rows.truncated.push_back(i % 10 == 9);
    }
    return rows;
}
using DarkLearner = train::ControlLearner<DarkCorridor, actor::Remembering<actor::TaskValues>>;
/// The return of the task of the data's rewards, by contexts of so many steps.
double return_in_the_dark(std::int64_t length) {
    DarkLearner learner(DarkCorridor{}, {.context = length, .evaluation_episodes = 20}, 1);
    learner.learn_from(walks_in_the_dark(2000));
    auto method = methods::forward_backward_memory;
    method.sampler.base.batch_size = 64;
    auto& model = method.advantage;
    make_small_model(model);
    model.acts.count = 3;
    model.memory = {.length = length, .backward_length = 3, .units = 16};
    train::Trainer<methods::ForwardBackwardMemory, DarkLearner> trainer(method, learner);
    backend::Host host;
    for (int i = 0; i < 800; ++i) {
        auto run = iteration(host, i, 800);
        trainer.advance(run);
    }
    auto measure = iteration(host, 0, 1);
    return learner.evaluate(measure).mean;
}
TEST(Guided, AMemoryActsOnWhatItSawBefore) {
    EXPECT_GT(return_in_the_dark(4), 7.5) << "10 steps, 2 of them on the way in the mean";
}

/// Steps of its own: what is shown of them is what is shown of the same steps as a data set, and goes on from a
/// checkpoint.
template <class World, class Head>
void shows_contexts(const World& world) {
    using Learner = train::ControlLearner<World, Head>;
    using BatchType = Batch<float, typename Learner::keeps>;
    const train::ControlSettings settings{.environments = 2, .task_dimensions = 16, .context = 3};
    Learner learner(world, settings, 5);
    backend::Host host;
    auto run = iteration(host, 1, 10);
    BatchType batch;
    learner.roll_steps(run, batch, 25, true);
    Rows data = rows_of(World::observation_size);
    const std::int64_t width = World::observation_size, all = batch.width(col::state{}), step = all / 3;
    for (std::int64_t t = 0; t < batch.tokens(); ++t) {
        auto newest = [&](auto column) {
            return batch.row(column, t).subspan(std::size_t(2 * step), std::size_t(width));
        };
        auto state = newest(col::state{}), next = newest(col::next_state{});
        data.state.insert(data.state.end(), state.begin(), state.end());
        data.next_state.insert(data.next_state.end(), next.begin(), next.end());
        if constexpr (Head::continuous)
            data.action.push_back(batch[col::action{}][std::size_t(t)]);
        else
            data.action.push_back(float(batch[col::token{}][std::size_t(t)]));
        data.reward.push_back(0), data.terminated.push_back(0);
        data.truncated.push_back((t % 25 + 1) % World::max_steps == 0 || t % 25 == 24);
    }
    learner.learn_from(data);
    BatchType again;
    learner.all_rows(again);
    EXPECT_EQ(values<col::state>(batch), values<col::state>(again));
    EXPECT_EQ(values<col::next_state>(batch), values<col::next_state>(again));

    SafeTensors file;
    learner.write(file);
    Learner other(world, settings, 5);
    other.read(file);
    auto next = iteration(host, 2, 10);
    BatchType one, two;
    learner.roll_steps(next, one, 5, true), other.roll_steps(next, two, 5, true);
    EXPECT_EQ(values<col::state>(one), values<col::state>(two));
}
TEST(Guided, OwnStepsAndThoseOfADataSetHaveTheSameContexts) {
    shows_contexts<DarkCorridor, actor::Remembering<actor::TaskValues>>({});
    shows_contexts<Line, actor::Remembering<actor::ForTask<actor::DeterministicAction>>>({});
}

TEST(Guided, APolicyWithAMemoryIsTrainedThroughIt) {
    using Learner = train::ControlLearner<Line, actor::Remembering<actor::ForTask<actor::DeterministicAction>>>;
    Learner learner(Line{}, {.task_dimensions = 16, .context = 2, .memory_units = 16}, 1);
    learner.learn_from(any_moves(2000));
    auto method = methods::forward_backward_memory_continuous;
    method.sampler.base.batch_size = 64;
    make_small_model(method.advantage);
    method.advantage.memory = {.length = 2, .backward_length = 1, .units = 16};
    method.optimizer.step.learning_rate = 1e-3;
    train::Trainer<methods::ForwardBackwardMemoryContinuous, Learner> trainer(method, learner);
    backend::Host host;
    for (int i = 0; i < 1500; ++i) {
        auto run = iteration(host, i, 1500);
        trainer.advance(run);
    }
    auto measure = iteration(host, 0, 1);
    EXPECT_GT(learner.evaluate(measure).mean, 10.0);
    method.advantage.memory.length = 3;
    EXPECT_THROW(learner.guided_by(measure, method.advantage, trainer.state.advantage), Error);
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
}  // namespace roars::guided_test
