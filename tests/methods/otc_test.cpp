#include "roars/methods/otc.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include "roars/actors/tensors.hpp"
#include "roars/metrics/tool_use.hpp"
#include "roars/reward/model_score.hpp"
#include "roars/tasks/tool_questions.hpp"
#include "roars/train/checkpoint.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::otc_test {
namespace {

using std::numbers::pi;
constexpr double infinity = std::numeric_limits<double>::infinity();

using CallBatch =
    Batch<double, columns<col::groups, col::prompt, col::tool_calls, col::outcome, col::model_score, col::reward>>;

/// One answer for each number of calls, all of one group unless groups are given.
CallBatch call_batch(const std::vector<double>& calls, const std::vector<double>& right,
                     std::vector<std::int64_t> groups = {}) {
    std::vector<std::int64_t> offsets{0};
    for (std::size_t i = 0; i < calls.size(); ++i) offsets.push_back(offsets.back() + 1);
    if (groups.empty()) groups = {0, std::ssize(calls)};
    CallBatch batch(offsets, groups);
    std::copy(calls.begin(), calls.end(), batch[col::tool_calls{}].begin());
    std::copy(right.begin(), right.end(), batch[col::outcome{}].begin());
    std::copy(right.begin(), right.end(), batch[col::model_score{}].begin());
    return batch;
}
template <class Coefficient>
using Paid = reward::Then<reward::ModelScore, Coefficient>;
template <class Coefficient>
std::vector<double> scored(const Coefficient& coefficient, CallBatch& batch, state_of<Coefficient>& memory) {
    backend::Host host;
    roars::Run run{host};
    Paid<Coefficient> part{.second = coefficient};
    state_of<Paid<Coefficient>> state;
    state.second = memory;
    part.score(run, state, batch);
    memory = state.second;
    return {batch[col::reward{}].begin(), batch[col::reward{}].end()};
}
template <class Coefficient>
std::vector<double> scored(const Coefficient& coefficient, CallBatch batch) {
    state_of<Coefficient> memory{};
    return scored(coefficient, batch, memory);
}

RC_GTEST_PROP(FewCalls, FallsAndNeverReachesZero, ()) {
    reward::FewCalls few{.smooth = *rc::gen::inRange(1, 100) / 8.0};
    const double calls = *rc::gen::inRange(0, 1000);
    RC_ASSERT(few.coefficient(0) == 1.0);
    RC_ASSERT(few.coefficient(calls) > few.coefficient(calls + 1));
    RC_ASSERT(few.coefficient(calls) > 0);
    RC_ASSERT(std::abs(few.coefficient(calls) - std::cos(calls * pi / (2 * calls + few.smooth))) < 1e-12);
}

RC_GTEST_PROP(FewestCalls, IsOneAtTheFewestAndLessOnBothSides, ()) {
    reward::FewestCalls few;
    const double fewest = *rc::gen::inRange(1, 100), calls = *rc::gen::inRange(0, 1000);
    const double k = few.coefficient(calls, fewest), f = 2 * fewest * calls / (calls + fewest);
    RC_ASSERT(std::abs(k - std::sin(f * pi / (2 * fewest))) < 1e-12);
    RC_ASSERT(few.coefficient(fewest, fewest) == 1.0);
    RC_ASSERT(few.coefficient(0, fewest) == 0.0);
    RC_ASSERT(k >= 0 && (calls == fewest || k < 1));
    if (calls >= fewest) RC_ASSERT(few.coefficient(calls + 1, fewest) < k);
    RC_ASSERT(few.coefficient(calls, 0) == reward::FewCalls{}.coefficient(calls));
}

TEST(FewestCalls, HugeNumbersOfCallsNeitherOverflowNorTurnNegative) {
    for (double calls : {1e6, 1e16, 1e308, infinity}) {
        const double alone = reward::FewCalls{}.coefficient(calls);
        EXPECT_TRUE(alone >= 0 && alone < 1e-5) << calls;
        for (double fewest : {1.0, 4.0}) {
            const double beside = reward::FewestCalls{}.coefficient(calls, fewest);
            EXPECT_TRUE(beside >= 0 && beside < 1e-4) << calls;
        }
    }
    EXPECT_EQ(reward::FewestCalls{}.coefficient(0, 0), 1.0);
    EXPECT_GE(reward::FewestCalls{}.coefficient(0, 1e308), 0.0);
}

TEST(FewestCalls, TheFewestOfARightAnswerIsWorthMost) {
    reward::FewestCalls few{.scale = 2};
    auto reward = scored(few, call_batch({3, 1, 2, 6}, {1, 0, 1, 1}));
    EXPECT_NEAR(reward[0], 2 * std::sin(2 * 2 * 3 / 5.0 * pi / 4), 1e-12);
    EXPECT_EQ(reward[1], 0.0) << "a wrong answer gets nothing for calling less";
    EXPECT_EQ(reward[2], 2.0);
    EXPECT_NEAR(reward[3], 2 * std::sin(2 * 2 * 6 / 8.0 * pi / 4), 1e-12);
    reward = scored(reward::FewestCalls{}, call_batch({0, 1, 0, 5}, {1, 1, 0, 1}));
    EXPECT_EQ(reward[0], 1.0) << "n = 0: the other curve, and no division by it";
    EXPECT_NEAR(reward[1], std::cos(pi / 6), 1e-12);
    EXPECT_NEAR(reward[3], std::cos(5 * pi / 14), 1e-12);
}

TEST(FewestCalls, GroupsAreApartAndMayBeEmpty) {
    auto reward = scored(reward::FewestCalls{}, call_batch({2, 1, 4, 4}, {1, 1, 1, 1}, {0, 0, 2, 2, 4, 4}));
    EXPECT_NEAR(reward[0], std::sin(4 / 3.0 * pi / 2), 1e-12);
    EXPECT_EQ(reward[1], 1.0);
    EXPECT_EQ(reward[2], 1.0);
    EXPECT_EQ(reward[3], 1.0);
    EXPECT_TRUE(scored(reward::FewestCalls{}, call_batch({}, {}, {0})).empty());
    EXPECT_TRUE(scored(reward::FewCalls{}, call_batch({}, {}, {0})).empty());
}

TEST(FewestCalls, WithoutARightAnswerTheRewardIsAsItIs) {
    auto batch = call_batch({2, 1, 7}, {0, 0, 0});
    const std::vector<double> base{-1, 0.25, 0};
    std::copy(base.begin(), base.end(), batch[col::model_score{}].begin());
    EXPECT_EQ(scored(reward::FewestCalls{}, batch), base);
}

/// Multiplied, -1 would rise towards 0 with every call.
TEST(FewestCalls, WrongAnswersAreNotMadeBetterByCallingMore) {
    auto batch = call_batch({1, 5, 5, 3}, {1, 0, 0, 1});
    const std::vector<double> base{1, -1, -0.5, 0.5};
    std::copy(base.begin(), base.end(), batch[col::model_score{}].begin());
    auto reward = scored(reward::FewestCalls{.scale = 3}, batch);
    EXPECT_EQ(reward[1], -3.0);
    EXPECT_EQ(reward[2], -1.5);
    EXPECT_NEAR(reward[3], 1.5 * std::sin(3 / 4.0 * pi), 1e-12);
    reward = scored(reward::FewCalls{.scale = 3}, batch);
    EXPECT_EQ(reward[1], -3.0);
    EXPECT_NEAR(reward[0], 3 * std::cos(pi / 6), 1e-12);
}

TEST(FewestCalls, EqualCallsOfRightAnswersTeachNothing) {
    auto batch = call_batch({3, 3, 3}, {1, 1, 1});
    EXPECT_EQ(scored(reward::FewestCalls{}, batch), (std::vector<double>{1, 1, 1}));
    Batch<double, columns<col::groups, col::reward, col::advantage>> signal(std::vector<std::int64_t>{0, 1, 2, 3},
                                                                            std::vector<std::int64_t>{0, 3});
    std::fill(signal[col::reward{}].begin(), signal[col::reward{}].end(), 1.0);
    backend::Host host;
    roars::Run run{host};
    NoState none;
    roars::detail::call_estimate(methods::otc_grpo.advantage, run, none, signal);
    for (double a : signal[col::advantage{}]) EXPECT_EQ(a, 0.0);
}

TEST(FewestCalls, RefusesACurveWithoutWidth) {
    EXPECT_THROW(scored(reward::FewCalls{.smooth = 0}, call_batch({1}, {1})), Error);
    EXPECT_THROW(scored(reward::FewestCalls{.smooth = -1}, call_batch({1}, {1})), Error);
    EXPECT_THROW(scored(reward::RememberedFewestCalls{{.smooth = 0}}, call_batch({1}, {1})), Error);
}

CallBatch of_prompts(CallBatch batch, const std::vector<std::int32_t>& prompts) {
    std::copy(prompts.begin(), prompts.end(), batch[col::prompt{}].begin());
    return batch;
}

TEST(RememberedFewestCalls, KnowsWhatSufficedBefore) {
    reward::RememberedFewestCalls part;
    state_of<reward::RememberedFewestCalls> memory;
    auto first = of_prompts(call_batch({3, 1, 2, 2}, {1, 0, 0, 0}, {0, 2, 2, 4}), {4, 4, 1, 1});
    EXPECT_EQ(scored(part, first, memory), (std::vector<double>{1, 0, 0, 0}));
    EXPECT_EQ(memory.fewest, (std::vector<double>{-1, -1, -1, -1, 3}));
    // Below the group's own minimum: no right answer is worth all.
    auto second = of_prompts(call_batch({5, 4}, {1, 1}), {4, 4});
    auto reward = scored(part, second, memory);
    EXPECT_NEAR(reward[0], std::sin(5 / 8.0 * pi), 1e-12);
    EXPECT_NEAR(reward[1], std::sin(4 / 7.0 * pi), 1e-12);
    EXPECT_EQ(memory.fewest[4], 3.0);
    // Lowered to none at all.
    auto third = of_prompts(call_batch({0, 3}, {1, 1}), {4, 4});
    EXPECT_NEAR(scored(part, third, memory)[1], std::cos(3 * pi / 10), 1e-12);
    EXPECT_EQ(memory.fewest[4], 0.0);
    // A reward above 0 of an answer that is not right: what is remembered counts where no answer of the group is.
    auto fourth = of_prompts(call_batch({2, 0}, {0, 0}), {4, 4});
    fourth[col::model_score{}][0] = 1;
    EXPECT_NEAR(scored(part, fourth, memory)[0], std::cos(pi / 4), 1e-12);
}

TEST(RememberedFewestCalls, TheOrderOfTheGroupsOfAPromptDoesNotMatter) {
    reward::RememberedFewestCalls part;
    auto rewards = [&](double one, double other) {
        return scored(part, of_prompts(call_batch({one, other}, {1, 1}, {0, 1, 2}), {0, 0}));
    };
    auto forwards = rewards(1, 3), backwards = rewards(3, 1);
    EXPECT_EQ(forwards[0], 1.0);
    EXPECT_EQ(forwards[0], backwards[1]);
    EXPECT_EQ(forwards[1], backwards[0]);
    EXPECT_LT(forwards[1], 1.0);
}

std::vector<double> uses(const std::vector<double>& calls, const std::vector<double>& correct) {
    auto use = metrics::tool_use(std::span<const double>(calls), std::span<const double>(correct));
    return {use.productivity, use.accuracy, use.mean_calls};
}
TEST(ToolUse, SumsComeBeforeTheDivision) {
    EXPECT_EQ(uses({1, 3, 0, 4}, {1, 0, 1, 0}), (std::vector<double>{0.25, 0.5, 2.0}));
    EXPECT_EQ(uses({0, 0}, {1, 0}), (std::vector<double>{infinity, 0.5, 0.0}));
    EXPECT_EQ(uses({0, 0}, {0, 0}), (std::vector<double>{0.0, 0.0, 0.0}));
    EXPECT_EQ(uses({5}, {0}), (std::vector<double>{0.0, 0.0, 5.0}));
    auto none = uses({}, {});
    EXPECT_EQ(none[0], 0.0);
    EXPECT_TRUE(std::isnan(none[1]) && std::isnan(none[2]));
    EXPECT_THROW(uses({1, 2}, {1}), Error);
}

template <class Method>
using LearnerOf = train::TabularLearner<tasks::ToolQuestions, float, contains_v<col::value, typename Method::Inputs>>;

template <class Method>
Method small(Method method) {
    method.sampler.prompts = 16;
    method.sampler.group_size = 8;
    method.optimizer.step = step::recipe({.learning_rate = 0.05});
    return method;
}
template <class Method, class Trainer>
void train_for(Trainer& trainer, std::int64_t from, std::int64_t to) {
    backend::Host host;
    for (std::int64_t i = from; i < to; ++i) {
        roars::Run run{host, Random(3).at(std::uint32_t(i)), Progress{i, to}};
        trainer.iterate(run);
    }
}
/// Mean calls of easy and of hard questions, before and behind.
template <class Method>
void expect_fewer_calls(const Method& method) {
    tasks::ToolQuestions task;
    LearnerOf<Method> learner(task);
    auto calls = [&](std::int64_t kind) {
        return tasks::mean_exact_score(task, learner.policy().logits(), 1, kind, kind + 1).length - 1;
    };
    const double success = tasks::mean_exact_score(task, learner.policy().logits()).success, easy = calls(0);
    train::Trainer<Method, LearnerOf<Method>> trainer(method, learner);
    train_for<Method>(trainer, 0, 80);
    EXPECT_GT(easy, 2.0);
    EXPECT_LT(calls(0), 0.5);
    EXPECT_GT(calls(2), 1.5) << "a hard question needs two";
    EXPECT_GT(tasks::mean_exact_score(task, learner.policy().logits()).success, success);
}
TEST(Otc, GroupsLearnToCallNoMoreThanTheyMust) { expect_fewer_calls(small(methods::otc_grpo)); }
TEST(Otc, AMemoryDoesToo) { expect_fewer_calls(small(methods::otc_grpo_memory)); }
TEST(Otc, SoDoSingleAnswersWithACritic) {
    auto method = small(methods::otc_ppo);
    method.sampler.prompts = 128;
    method.sampler.group_size = 1;
    expect_fewer_calls(method);
}

/// What is remembered is in the checkpoint: a run that goes on ends where one does that was not stopped.
TEST(Otc, GoesOnWithItsMemory) {
    using Method = methods::RememberingOtcGrpo;
    using Trainer = train::Trainer<Method, LearnerOf<Method>>;
    const Method method = small(methods::otc_grpo_memory);
    tasks::ToolQuestions task;
    LearnerOf<Method> whole(task), resumed(task);
    Trainer first(method, whole), second(method, resumed);
    train_for<Method>(first, 0, 6);
    Tensors file;
    whole.write(file);
    first.for_each_state([&](const std::string& name, auto& state) { train::write_state(file, state, name); });
    resumed.read(file);
    resumed.position = whole.position;
    second.for_each_state([&](const std::string& name, auto& state) { train::read_state(file, state, name); });
    EXPECT_EQ(second.state.reward.second.fewest.size(), 4U);
    train_for<Method>(first, 6, 12);
    train_for<Method>(second, 6, 12);
    EXPECT_EQ(second.state.reward.second.fewest, first.state.reward.second.fewest);
    auto logits = [](auto& learner) {
        auto all = learner.policy().logits();
        return std::vector<float>(all.begin(), all.end());
    };
    EXPECT_EQ(logits(resumed), logits(whole));
}

}  // namespace
}  // namespace roars::otc_test
