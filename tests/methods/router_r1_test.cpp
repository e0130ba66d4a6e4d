#include "roars/methods/router_r1.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/actors/tensors.hpp"
#include "roars/reward/model_score.hpp"
#include "roars/reward/routed_form.hpp"
#include "roars/tasks/routed_questions.hpp"
#include "roars/train/checkpoint.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::router_r1_test {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

double cost_of(const std::vector<std::int64_t>& model, const std::vector<double>& tokens) {
    const std::vector<double> price{0.5, 2};
    return reward::cost_of_calls(std::span<const std::int64_t>(model), std::span<const double>(tokens),
                                 std::span<const double>(price));
}
TEST(RouterR1, CallsArePaidByTheToken) {
    EXPECT_EQ(cost_of({0, 1, 1}, {10, 3, 600}), 5 + 6 + 1200);
    EXPECT_EQ(cost_of({}, {}), 0.0);
    EXPECT_EQ(cost_of({2, -1, 0}, {100, 100, 4}), 2.0) << "a model that is not in the pool costs nothing";
    EXPECT_THROW(cost_of({0, 1}, {10}), Error);
}

template <class Part>
std::vector<double> scored(const Part& part, const std::vector<double>& costs, typename Part::State& state) {
    std::vector<std::int64_t> offsets{0};
    for (std::size_t i = 0; i < costs.size(); ++i) offsets.push_back(offsets.back() + 1);
    Batch<double, columns<col::cost, col::reward>> batch{Offsets(offsets)};
    std::copy(costs.begin(), costs.end(), batch[col::cost{}].begin());
    backend::Host host;
    roars::Run run{host};
    part.score(run, state, batch);
    return {batch[col::reward{}].begin(), batch[col::reward{}].end()};
}
template <class Part>
std::vector<double> scored(const Part& part, const std::vector<double>& costs) {
    typename Part::State state;
    return scored(part, costs, state);
}
using Window = reward::WindowedCost<>;

/// By the definition: the last `window` values, sorted anew for every sequence.
std::vector<double> by_definition(const Window& part, const std::vector<double>& costs) {
    std::vector<double> rewards;
    for (std::size_t i = 0; i < costs.size(); ++i) {
        std::size_t first = i + 1 > std::size_t(part.window) ? i + 1 - std::size_t(part.window) : 0;
        std::vector<double> x;
        for (std::size_t k = first; k <= i; ++k) x.push_back(std::sqrt(costs[k]));
        std::sort(x.begin(), x.end());
        auto quantile = [&](double q) {
            double place = q * double(x.size() - 1), below = std::floor(place);
            std::size_t k = std::size_t(below);
            return k + 1 < x.size() ? x[k] * (1 - place + below) + x[k + 1] * (place - below) : x[k];
        };
        double low = quantile(part.q_low), high = quantile(part.q_high), own = std::sqrt(costs[i]);
        rewards.push_back(high - low < part.eps ? 0.5 : 1 - std::clamp((own - low) / (high - low), 0.0, 1.0));
    }
    return rewards;
}
RC_GTEST_PROP(WindowedCost, IsTheDefinitionOverBatches, ()) {
    auto whole = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 40));
    std::vector<double> costs(whole.begin(), whole.end());
    Window part{.window = *rc::gen::inRange(1, 12)};
    auto expected = by_definition(part, costs);
    const auto cut = static_cast<std::ptrdiff_t>(*rc::gen::inRange<std::size_t>(0, costs.size() + 1));
    Window::State state;
    auto rewards = scored(part, {costs.begin(), costs.begin() + cut}, state);
    auto rest = scored(part, {costs.begin() + cut, costs.end()}, state);
    rewards.insert(rewards.end(), rest.begin(), rest.end());
    RC_ASSERT(rewards.size() == expected.size());
    for (std::size_t i = 0; i < rewards.size(); ++i) RC_ASSERT(std::abs(rewards[i] - expected[i]) < 1e-12);
    RC_ASSERT(std::ssize(state.last) == std::min(part.window, std::ssize(costs)));
}

TEST(WindowedCost, Edges) {
    EXPECT_EQ(scored(Window{}, {7}), (std::vector<double>{0.5})) << "one value so far";
    EXPECT_EQ(scored(Window{}, {4, 4, 4}), (std::vector<double>{0.5, 0.5, 0.5}));
    EXPECT_EQ(scored(Window{.window = 1}, {4, 9, 0}), (std::vector<double>{0.5, 0.5, 0.5}));
    EXPECT_TRUE(scored(Window{}, {}).empty());
    auto rewards = scored(Window{}, {100, 0, 400});
    EXPECT_EQ(rewards[1], 1.0) << "no route at all is the cheapest";
    EXPECT_EQ(rewards[2], 0.0);
    // The order of arrival matters.
    EXPECT_EQ(scored(Window{}, {4, 16, 1})[0], 0.5);
    EXPECT_NEAR(scored(Window{}, {1, 16, 4})[2], 2.0 / 3, 1e-12);
    // What has left the window is forgotten: 10,000 no longer makes 64 cheap.
    auto forgotten = scored(Window{.window = 2}, {10000, 1, 64});
    EXPECT_EQ(forgotten[1], 1.0);
    EXPECT_EQ(forgotten[2], 0.0);
    for (double r : scored(Window{.eps = 0}, {100, 100})) EXPECT_EQ(r, 0.5);
    // The logarithm keeps the order.
    auto by_logarithm = scored(reward::WindowedCost<reward::squash::Logarithm>{.q_low = 0, .q_high = 1}, {0, 900, 99});
    EXPECT_NEAR(by_logarithm[2], 1 - std::log1p(0.99) / std::log1p(9.0), 1e-12);
}

TEST(WindowedCost, RefusesWhatIsNoPriceAndNoWindow) {
    EXPECT_THROW(scored(Window{}, {-1}), Error);
    EXPECT_THROW(scored(Window{}, {1, infinity}), Error);
    EXPECT_THROW(scored(Window{}, {std::nan("")}), Error);
    EXPECT_THROW(scored(Window{.window = 0}, {1}), Error);
    EXPECT_THROW(scored(Window{.q_low = 0.9, .q_high = 0.1}, {1}), Error);
    EXPECT_THROW(scored(Window{.q_high = 1.5}, {1}), Error);
}

TEST(OutcomeBeforeCost, FormComesFirstThenTheOutcome) {
    reward::OutcomeBeforeCost<reward::wrong::Nothing> gated{.alpha = 0.75};
    reward::OutcomeBeforeCost<reward::wrong::ItsShare> printed{.alpha = 0.75};
    EXPECT_EQ(gated.of(false, 1, 1), -1.0);
    EXPECT_EQ(printed.of(false, 1, 1), -1.0);
    EXPECT_EQ(gated.of(true, 0, 1), 0.0) << "a cheap wrong answer earns nothing";
    EXPECT_EQ(printed.of(true, 0, 1), 0.75);
    EXPECT_EQ(gated.of(true, 1, 0.5), 0.25 + 0.375);
    EXPECT_EQ(printed.of(true, 1, 0.5), 0.25 + 0.375);
    EXPECT_EQ(gated.of(true, 0.5, 1), 0.125 + 0.75) << "a word F1 above 0";
    gated.alpha = 1;
    EXPECT_EQ(gated.of(true, 1, 0.3), 0.3);
    EXPECT_EQ(gated.of(true, 0, 0.3), 0.0);
    gated.alpha = 0;
    EXPECT_EQ(gated.of(true, 1, 0.3), 1.0);
}

/// A rollout without the form is no reason to leave its cost out of the window.
TEST(RouterR1, EveryRolloutEntersTheWindow) {
    using Reward = methods::RouterR1::Reward;
    Batch<double, columns<col::cost, col::format, col::outcome, col::reward>> batch{
        std::vector<std::int64_t>{0, 1, 2, 3}};
    const std::vector<double> costs{100, 0, 25};
    std::copy(costs.begin(), costs.end(), batch[col::cost{}].begin());
    batch[col::format{}][0] = batch[col::format{}][2] = 1;
    for (double& right : batch[col::outcome{}]) right = 1;
    backend::Host host;
    roars::Run run{host};
    state_of<Reward> state;
    Reward reward = methods::router_r1.reward;
    reward.first.q_low = 0;
    reward.first.q_high = 1;
    reward.score(run, state, batch);
    EXPECT_EQ(batch[col::reward{}][0], 0.4 + 0.6 * 0.5);
    EXPECT_EQ(batch[col::reward{}][1], -1.0);
    EXPECT_NEAR(batch[col::reward{}][2], 0.4 + 0.6 * 0.5, 1e-12);
    EXPECT_EQ(state.first.last, (std::vector<double>{10, 0, 5}));
}

using reward::BlockKind;
using Blocks = std::vector<reward::RoutedBlock>;
Blocks blocks(const std::vector<BlockKind>& kinds) {
    Blocks all;
    for (BlockKind kind : kinds) all.push_back({.kind = kind});
    return all;
}
TEST(RoutedForm, IsWhatWasAskedFor) {
    using enum BlockKind;
    EXPECT_TRUE(reward::well_formed(blocks({think, answer})));
    EXPECT_TRUE(reward::well_formed(blocks({think, route, information, think, answer})));
    EXPECT_TRUE(reward::well_formed(blocks({think, text, route, text, information, answer}))) << "text in the middle";
    EXPECT_TRUE(reward::well_formed(blocks({think, information, route, answer}))) << "only the counts are checked";
    EXPECT_FALSE(reward::well_formed(blocks({})));
    EXPECT_FALSE(reward::well_formed(blocks({answer})));
    EXPECT_FALSE(reward::well_formed(blocks({think})));
    EXPECT_FALSE(reward::well_formed(blocks({think, answer, text})));
    EXPECT_FALSE(reward::well_formed(blocks({text, think, answer})));
    EXPECT_FALSE(reward::well_formed(blocks({think, answer, answer})));
    EXPECT_FALSE(reward::well_formed(blocks({think, route, answer})));
    EXPECT_FALSE(reward::well_formed(blocks({think, information, answer})));
    EXPECT_FALSE(reward::well_formed(blocks({route, information, think, answer})));
}
TEST(RoutedForm, EveryBlockIsAsItShouldBe) {
    using enum BlockKind;
    const Blocks good = blocks({think, route, information, think, answer});
    auto spoilt = [&](std::size_t k, auto&& spoil) {
        Blocks all = good;
        spoil(all[k]);
        return reward::well_formed(all);
    };
    for (std::size_t k = 0; k < good.size(); ++k) {
        EXPECT_FALSE(spoilt(k, [](auto& block) { block.closed = false; })) << k;
        EXPECT_FALSE(spoilt(k, [](auto& block) { block.nested = true; })) << k;
        EXPECT_EQ(spoilt(k, [](auto& block) { block.empty = true; }), good[k].kind != think) << k;
        EXPECT_EQ(spoilt(k, [](auto& block) { block.valid_model = false; }), good[k].kind != route) << k;
        EXPECT_EQ(spoilt(k, [](auto& block) { block.valid_query = false; }), good[k].kind != route) << k;
    }
}

TEST(RoutedQuestions, TwoRoundsAreSurerAndCheaperThanOne) {
    auto best = [](const tasks::RoutedQuestions& task, std::int64_t prompt, const std::vector<std::int64_t>& rows) {
        std::vector<double> logits(task.start_logits().begin(), task.start_logits().end());
        auto models = task.solution(prompt);
        for (std::size_t k = 0; k < rows.size(); ++k)
            logits[static_cast<std::size_t>(rows[k] * 4 + models[2 * k])] = 50;
        std::span<const double> policy(logits);
        return std::pair{tasks::exact_score(task, policy, prompt).success, task.mean_cost(policy, prompt)};
    };
    tasks::RoutedQuestions two, large({.large_skill = 0.97}), one({.large_skill = 0.97, .one_round = true});
    for (std::int64_t prompt = 0; prompt < 9; ++prompt) {
        auto [sure, cost] = best(two, prompt, {prompt, 9 + prompt});
        EXPECT_NEAR(sure, 0.81, 1e-12);
        EXPECT_NEAR(cost, 59.0, 1e-9);
        auto [surer, dear] = best(large, prompt, {prompt, 9 + prompt});
        EXPECT_NEAR(surer, 0.97 * 0.97, 1e-12);
        EXPECT_NEAR(dear, 5 * 59.0, 1e-9);
        EXPECT_NEAR(best(one, prompt, {prompt}).first, 0.97 * 0.97, 1e-12);
        EXPECT_NEAR(best(one, prompt, {prompt}).second, 5 * 59.0, 1e-9);
    }
}

TEST(RoutedQuestions, RepliesAreTheEnvironmentsAndPaidFor) {
    for (bool one_round : {false, true}) {
        tasks::RoutedQuestions task({.one_round = one_round});
        const auto tokens = one_round ? std::vector<std::int32_t>{3, 0, 1} : std::vector<std::int32_t>{3, 0, 1, 1};
        const auto observed =
            one_round ? std::vector<bool>{false, true, true} : std::vector<bool>{false, true, false, true};
        std::int64_t state = task.start(5);
        for (std::size_t t = 0; t < tokens.size(); ++t) {
            EXPECT_EQ(task.observation(5, state), observed[t]);
            state = task.next(5, state, tokens[t]);
        }
        EXPECT_EQ(task.row(5, state), -1);
        EXPECT_EQ(task.success(5, state), 0.0) << "only one reply was right";
        EXPECT_EQ(task.answer(5, tokens), 1);
        RandomStream noise{Random(2, Purpose::noise)};
        double sum = 0, least = 1e9, most = 0;
        constexpr int n = 4000;
        for (int i = 0; i < n; ++i) {
            const double cost = task.tell(col::cost{}, 5, tokens, 0, noise);
            sum += cost / n;
            least = std::min(least, cost);
            most = std::max(most, cost);
        }
        const double second = one_round ? 5 : 1;
        EXPECT_NEAR(sum, 29.5 * (5 + second), 2);
        EXPECT_GE(least, 20 * (5 + second));
        EXPECT_LE(most, 39 * (5 + second));
    }
}

TEST(RoutedQuestions, RefusesWhatIsNoProbability) {
    EXPECT_THROW(tasks::RoutedQuestions({.own_skill = 1.0}), Error);
    EXPECT_THROW(tasks::RoutedQuestions({.large_skill = 0.0}), Error);
    EXPECT_THROW(tasks::RoutedQuestions({.large_price = 0.0}), Error);
}

template <class Method>
Method small(Method method, double alpha) {
    method.reward.second.alpha = alpha;
    method.optimizer.step = step::recipe({.learning_rate = 0.08});
    method.optimizer.minibatches = 1;
    return method;
}
using Learner = train::TabularLearner<tasks::RoutedQuestions, float, true>;
template <class Trainer>
void train_for(Trainer& trainer, std::int64_t from, std::int64_t to) {
    backend::Host host;
    for (std::int64_t i = from; i < to; ++i) {
        roars::Run run{host, Random(3).at(std::uint32_t(i)), Progress{i, to}};
        trainer.iterate(run);
    }
}
double mean_cost(Learner& learner, const tasks::RoutedQuestions& task) {
    auto logits = learner.policy().logits();
    double sum = 0;
    for (std::int64_t prompt = 0; prompt < task.prompts(); ++prompt)
        sum += task.mean_cost(std::span<const float>(logits), prompt) / double(task.prompts());
    return sum;
}

TEST(RouterR1, LearnsWhichModelToAskAndWhatItCosts) {
    tasks::RoutedQuestions task({.large_skill = 0.97});
    Learner dear(task), cheap(task);
    train::Trainer<methods::RouterR1, Learner> whatever(small(methods::router_r1, 0.0), dear);
    train::Trainer<methods::RouterR1, Learner> saving(small(methods::router_r1, 0.6), cheap);
    train_for(whatever, 0, 120);
    train_for(saving, 0, 120);
    EXPECT_GT(tasks::mean_exact_score(task, dear.policy().logits()).success, 0.85);
    EXPECT_GT(tasks::mean_exact_score(task, cheap.policy().logits()).success, 0.7);
    EXPECT_LT(mean_cost(cheap, task), 0.4 * mean_cost(dear, task));
}

/// Rows of replies are the environment's: no update moves them, and no advantage stands on them.
TEST(RouterR1, DoesNotLearnTheReplies) {
    tasks::RoutedQuestions task;
    Learner learner(task);
    train::Trainer<methods::RouterR1, Learner> trainer(small(methods::router_r1, 0.6), learner);
    train_for(trainer, 0, 5);
    auto logits = learner.policy().logits();
    std::span<const double> start = task.start_logits();
    for (std::size_t k = 2 * 9 * 4; k < start.size(); ++k) EXPECT_EQ(logits[k], float(start[k])) << k;
    auto& batch = trainer.batch();
    std::size_t replies = 0;
    for (std::size_t t = 0; t < batch[col::mask{}].size(); ++t)
        if (batch[col::mask{}][t] == 0) {
            ++replies;
            EXPECT_EQ(batch[col::advantage{}][t], 0.0F);
            EXPECT_EQ(batch[col::token_reward{}][t], 0.0F);
        }
    EXPECT_EQ(replies, 2 * std::size_t(batch.sequences()));
}

/// The window is in the checkpoint: a run that goes on ends where one does that was not stopped.
TEST(RouterR1, GoesOnWithItsWindow) {
    using Trainer = train::Trainer<methods::RouterR1, Learner>;
    tasks::RoutedQuestions task;
    Learner whole(task), resumed(task);
    Trainer first(small(methods::router_r1, 0.6), whole), second(small(methods::router_r1, 0.6), resumed);
    train_for(first, 0, 6);
    Tensors file;
    whole.write(file);
    first.for_each_state([&](const std::string& name, auto& state) { train::write_state(file, state, name); });
    resumed.read(file);
    resumed.position = whole.position;
    second.for_each_state([&](const std::string& name, auto& state) { train::read_state(file, state, name); });
    EXPECT_EQ(second.state.reward.first.last.size(), 6U * 64);
    train_for(first, 6, 12);
    train_for(second, 6, 12);
    EXPECT_EQ(second.state.reward.first.last, first.state.reward.first.last);
    auto logits = [](Learner& learner) {
        auto all = learner.policy().logits();
        return std::vector<float>(all.begin(), all.end());
    };
    EXPECT_EQ(logits(resumed), logits(whole));
}

}  // namespace
}  // namespace roars::router_r1_test
