#include "roars/methods/agentic_recipe.hpp"

#include "random_objective.hpp"
#include "roars/methods/registry.hpp"
#include "roars/metrics/groups.hpp"
#include "roars/reflect.hpp"
#include "roars/sampler/difficulty_bins.hpp"
#include "roars/tasks/option_paths.hpp"
#include "roars/tasks/tool_questions.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::agentic_recipe_test {
namespace {

using Numbers = std::vector<double>;

template <class Reward>
Numbers scored(const Reward& part, const std::vector<std::int64_t>& lengths, const Numbers& outcome,
               const Numbers& calls) {
    Batch<double, columns<col::outcome, col::tool_calls, col::reward>> batch{Offsets(offsets_of(lengths))};
    std::copy(outcome.begin(), outcome.end(), batch[col::outcome{}].begin());
    std::copy(calls.begin(), calls.end(), batch[col::tool_calls{}].begin());
    backend::Host host;
    roars::Run run{host};
    NoState state;
    roars::detail::call_score(part, run, state, batch);
    return {batch[col::reward{}].begin(), batch[col::reward{}].end()};
}

TEST(AgenticRecipe, TryingTheToolIsPaidALittleWhereTheAnswerIsWrong) {
    const std::vector<std::int64_t> lengths(6, 1);
    const Numbers outcome{0, 0, 0, 0, 1, 1}, calls{0, 3, 4, 9, 0, 9};
    auto code = scored(reward::ToolUse{}, lengths, outcome, calls);
    EXPECT_EQ(code[0], -1.0);
    EXPECT_NEAR(code[1], -0.7, 1e-15);
    EXPECT_EQ(code[2], -0.6) << "no more from the fourth call on";
    EXPECT_EQ(code[3], -0.6);
    EXPECT_EQ(code[4], 1.0);
    EXPECT_EQ(code[5], 1.0) << "a right answer is not paid for its calls";
    auto printed = scored(reward::ToolUseEverywhere{}, lengths, outcome, calls);
    EXPECT_EQ(printed[3], -0.6);
    EXPECT_EQ(printed[4], 1.0);
    EXPECT_NEAR(printed[5], 1.9, 1e-15);
}
TEST(AgenticRecipe, LongAnswersCost) {
    auto reward = methods::grpo_tcr.reward;
    roars::get<1>(reward) = {.max_length = 10, .buffer = 4};
    EXPECT_EQ(scored(reward, {6, 8, 10, 20}, {1, 1, 1, 1}, {0, 0, 0, 0}), (Numbers{1, 0.5, 0, 0}))
        << "nothing at the safe length, all of it at the limit";
}

template <class Method>
using Tokens = Batch<double, ObjectiveColumns<Method>>;
template <class Method>
Tokens<Method> tokens(const std::vector<std::int64_t>& lengths, const Numbers& logp, const Numbers& mask,
                      const Numbers& advantage) {
    Tokens<Method> batch{Offsets(offsets_of(lengths))};
    std::copy(logp.begin(), logp.end(), batch[col::logp{}].begin());
    std::copy(mask.begin(), mask.end(), batch[col::mask{}].begin());
    std::copy(advantage.begin(), advantage.end(), batch[col::advantage{}].begin());
    return batch;
}
TEST(AgenticRecipe, ALossOfNothingIsNothing) {
    auto batch = tokens<methods::GrpoTcr>({2}, {1, 1}, {0, 0}, {1, 1});
    auto found = objective_of(methods::grpo_tcr, batch);
    EXPECT_EQ(found.loss, 0.0);
    EXPECT_EQ(found.gradient, (Numbers{0, 0}));
}
TEST(AgenticRecipe, ALargeRatioOfABadTokenIsBounded) {
    auto batch = tokens<methods::GrpoTcr>({2}, {3, 2}, {1, 1}, {-1, -1});  // ratios of 20 and 7
    auto found = objective_of(methods::grpo_tcr, batch);
    EXPECT_NEAR(found.loss, (10 + std::exp(2.0)) / 2, 1e-12);
    EXPECT_EQ(found.gradient[0], 0.0);
    EXPECT_NEAR(found.gradient[1], std::exp(2.0) / 2, 1e-12);
}
TEST(AgenticRecipe, ASequenceWithoutOwnTokensAddsNothingAndCounts) {
    auto batch = tokens<methods::GrpoScr>({1, 1}, {0, 0}, {1, 0}, {1, 1});
    EXPECT_NEAR(objective_of(methods::grpo_scr, batch).loss, -0.5, 1e-12);
}

TEST(AgenticRecipe, DifficultyIsOfThreeKinds) {
    using sampler::difficulty_bin;
    EXPECT_EQ(difficulty_bin(0.0), -1);
    EXPECT_EQ(difficulty_bin(0.125), 0);
    EXPECT_EQ(difficulty_bin(0.25), 0);
    EXPECT_EQ(difficulty_bin(0.5), 1);
    EXPECT_EQ(difficulty_bin(0.75), 2);
    EXPECT_EQ(difficulty_bin(1.0), -1);
}
std::int64_t total(const std::vector<std::int64_t>& available, const Numbers& target) {
    return sampler::histogram_quotas(available, target).total;
}
TEST(AgenticRecipe, QuotasTakeAsManyAsTheHistogramAllows) {
    const auto quotas = sampler::histogram_quotas(std::vector<std::int64_t>{9, 13, 9}, Numbers{0.25, 0.5, 0.25});
    EXPECT_EQ(quotas.total, 27);
    EXPECT_EQ(quotas.quota, (std::vector<std::int64_t>{6, 13, 6}));
    EXPECT_EQ(total({0, 0, 0}, {0.25, 0.5, 0.25}), 0) << "everything at 0 or 1";
    EXPECT_EQ(total({5, 0, 5}, {0.25, 0.5, 0.25}), 0) << "a wanted kind is missing";
    EXPECT_EQ(total({5, 0, 5}, {0.5, 0.0, 0.5}), 11) << "unless none of it is asked for: floor(11 / 2) = 5";
    EXPECT_EQ(total({5, 5, 5}, {0, 0, 0}), 0);
    EXPECT_EQ(total({3, 0, 0}, {1, 0, 0}), 3);
    EXPECT_THROW(total({1, 2}, {1}), Error);
}
RC_GTEST_PROP(AgenticRecipe, NoLargerTotalFits, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    std::vector<std::int64_t> available;
    Numbers target;
    for (int b = 0; b < 3; ++b) {
        available.push_back(std::int64_t(1 + random() % 40));
        target.push_back(double(random() % 5) / 8);
    }
    const auto quotas = sampler::histogram_quotas(available, target);
    bool wanted = false, more = true;
    for (std::size_t b = 0; b < 3; ++b) {
        wanted |= target[b] > 0;
        RC_ASSERT(quotas.quota[b] <= available[b]);
        more &= target[b] == 0 || std::floor(double(quotas.total + 1) * target[b]) <= double(available[b]);
    }
    RC_ASSERT(wanted != more);
}

TEST(AgenticRecipe, AnswersAreCountedAlone) {
    auto rates = [](const std::vector<int>& answers, int right) {
        return metrics::answer_rates(std::span<const int>(answers), right);
    };
    EXPECT_EQ(rates({0, 1, 1, 0}, 0).majority, 1.0) << "a tie goes to the one seen first";
    EXPECT_EQ(rates({0, 1, 1, 0}, 1).majority, 0.0);
    EXPECT_EQ(rates({-1, -1, 2}, 2).majority, 1.0) << "no answer never wins";
    EXPECT_NEAR(rates({-1, -1, 2}, 2).average, 1.0 / 3, 1e-15);
    EXPECT_NEAR(rates({-1, -1, 2}, 2).gap(), 2.0 / 3, 1e-15);
    EXPECT_EQ(rates({-1, -1}, -1).pass, 0.0);
    EXPECT_EQ(rates({-1, -1}, -1).majority, 0.0);
    EXPECT_EQ(rates({}, 0).pass, 0.0);
}

TEST(AgenticRecipe, IsRegistered) {
    auto method = methods::registered<methods::GrpoTcr>("grpo-tcr");
    EXPECT_TRUE(set_setting(method, "optimizer.surrogate.high", "0.315"));
    EXPECT_TRUE(set_setting(method, "reward.tool_use.bonus", "0.2"));
    EXPECT_EQ(roars::get<0>(method.reward).bonus, 0.2);
    EXPECT_EQ(methods::names_of<methods::GrpoScr>().front(), "grpo-scr");
}

/// Where the answers of a policy end up that is trained on when to ask a tool.
template <class Method>
double success_after(Method method, std::int64_t updates) {
    tasks::ToolQuestions task;
    train::TabularLearner learner(task);
    method.sampler = {.prompts = 16, .group_size = 8};
    method.optimizer.step = step::recipe({.learning_rate = 0.05});
    method.optimizer.minibatches = 1;
    train::Trainer trainer(method, learner);
    backend::Host host;
    for (std::int64_t i = 0; i < updates; ++i) {
        roars::Run run{host, Random(5).at(std::uint32_t(i)), Progress{i, updates}};
        trainer.iterate(run);
    }
    roars::Run run{host};
    return learner.evaluate(run).success;
}
TEST(AgenticRecipe, LearnsWhenToAskATool) {
    const double before = success_after(methods::grpo_tcr, 0);
    EXPECT_GT(success_after(methods::grpo_tcr, 60), before + 0.03);
    EXPECT_GT(success_after(methods::grpo_scr, 60), before + 0.03);
    EXPECT_GT(success_after(methods::grpo_t, 60), before + 0.03);
}

RC_GTEST_PROP(AgenticRecipe, LossOfAnyCut, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    expect_any_cut(methods::grpo_tcr, random_objective<methods::GrpoTcr>(random, 4), 1);
    expect_any_cut(methods::grpo_scr, random_objective<methods::GrpoScr>(random, 4), 1);
    RC_ASSERT(!::testing::Test::HasFailure());
}

}  // namespace
}  // namespace roars::agentic_recipe_test
