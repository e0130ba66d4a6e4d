#include "roars/methods/adacot.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <span>
#include <vector>

#include "../limits.hpp"
#include "roars/metrics/reasoning.hpp"
#include "roars/tasks/when_to_reason.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::adacot_test {
namespace {

TEST(AdaCot, EachWrongChoiceHasItsPrice) {
    const reward::ReasoningCost<reward::Verified> part{.missing = 0.1, .needless = 0.3, .misformed = 1.0};
    Batch<double, columns<col::outcome, col::reasoned, col::needs_reasoning, col::format, col::reward>> batch(
        std::vector<std::int64_t>(7, 0));
    const double reasoned[]{0, 1, 0, 1, 0, 1}, needed[]{0, 1, 1, 0, 1, 0}, format[]{1, 1, 1, 1, 0, 0},
        expected[]{1, 1, 0.9, 0.7, -0.1, -0.3};
    for (std::size_t i = 0; i < 6; ++i) {
        batch[col::outcome{}][i] = 1;
        batch[col::reasoned{}][i] = reasoned[i];
        batch[col::needs_reasoning{}][i] = needed[i];
        batch[col::format{}][i] = format[i];
    }
    backend::Host host;
    roars::Run run{host};
    state_of<reward::ReasoningCost<reward::Verified>> none;
    detail::call_score(part, run, none, batch);
    for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(batch[col::reward{}][i], expected[i], 1e-15) << i;
}

using Learnt =
    Batch<double,
          columns<col::mask, col::decision, col::keep, col::logp, col::logp_old, col::advantage, col::grad<col::logp>>>;

/// Sequences of 1, 3, 0 and 2 tokens: a decision alone, one in the middle, nothing, and none.
Learnt four_sequences() {
    Learnt batch(std::vector<std::int64_t>{0, 1, 4, 4, 6});
    for (std::size_t t = 0; t < 6; ++t) {
        batch[col::mask{}][t] = 1;
        batch[col::logp{}][t] = -0.5;
        batch[col::logp_old{}][t] = -0.5;
        batch[col::advantage{}][t] = 2;
    }
    batch[col::decision{}][0] = batch[col::decision{}][2] = 1;
    return batch;
}
double learn(Learnt& batch) {
    backend::Host host;
    roars::Run run{host};
    regularizer::SelectiveLossMask{}.shape(run, batch);
    auto term = methods::adacot_masked.optimizer.surrogate;
    Weighed weighed{term, aggregate::TokenMean{}};
    return evaluate(host, batch, {count<col::keep>(host, batch)}, weighed).loss();
}

TEST(AdaCot, TheDecisionLeavesNumeratorAndDenominator) {
    Learnt batch = four_sequences();
    batch[col::logp{}][2] = -infinity;  // of no account
    EXPECT_DOUBLE_EQ(learn(batch), -2.0);
    const double gradient[]{0, -0.5, 0, -0.5, -0.5, -0.5};
    for (std::size_t t = 0; t < 6; ++t) EXPECT_DOUBLE_EQ(batch[col::grad<col::logp>{}][t], gradient[t]) << t;
    batch[col::mask{}][5] = 0;
    EXPECT_DOUBLE_EQ(learn(batch), -2.0) << "the mask holds beside it";
    EXPECT_EQ(batch[col::keep{}][5], 0);
}

TEST(AdaCot, NothingButDecisionsIsALossOfZero) {
    Learnt batch(std::vector<std::int64_t>{0, 1, 2});
    for (std::size_t t = 0; t < 2; ++t)
        batch[col::mask{}][t] = batch[col::decision{}][t] = batch[col::advantage{}][t] = 1;
    EXPECT_EQ(learn(batch), 0.0);
    EXPECT_EQ(batch[col::grad<col::logp>{}][0], 0.0);
    Learnt none(std::vector<std::int64_t>{0});
    EXPECT_EQ(learn(none), 0.0);
}

using List = std::vector<double>;

TEST(TriggerQuality, RatiosOfNothingAreZero) {
    auto never = metrics::trigger_quality(List{0, 0}, List{1, 1}, List{0.5, 1});
    EXPECT_EQ(never.precision, 0);
    EXPECT_EQ(never.recall, 0);
    EXPECT_EQ(never.f1, 0);
    EXPECT_EQ(never.performance, 0.75);
    auto always = metrics::trigger_quality(List{1, 1}, List{0, 0}, List{1, 1});
    EXPECT_EQ(always.trigger_rate, 1);
    EXPECT_EQ(always.precision, 0);
    EXPECT_EQ(always.recall, 0) << "no label asks for it";
    EXPECT_EQ(always.objective(1, 0.25), 0.75);
    EXPECT_EQ(metrics::trigger_quality(List{}, List{}, List{}).accuracy, 0);
    EXPECT_THROW(metrics::trigger_quality(List{1}, List{}, List{1}), Error);
}

TEST(ParetoFront, EqualPointsDoNotDominateEachOther) {
    using Points = std::vector<std::int64_t>;
    EXPECT_EQ(metrics::pareto_front(List{0.5, 0.2, 0.5, 0.2}, List{0.8, 0.4, 0.8, 0.3}), (Points{1, 0, 2}));
    EXPECT_EQ(metrics::pareto_front(List{0.5, 0.4}, List{0.8, 0.8}), (Points{1})) << "the same for less";
    EXPECT_EQ(metrics::pareto_front(List{0.1, 0.2}, List{-2.0, -1.0}), (Points{0, 1}));
    EXPECT_EQ(metrics::pareto_front(List{}, List{}), Points{});
    EXPECT_THROW(metrics::pareto_front(List{1}, List{}), Error);
    EXPECT_EQ(metrics::chord_gain(List{0.5}, List{0.75}, 0.5, 0.75), (List{0.125}));
}

/// The logit that the levels share moves what none of them is trained on; with the mask it does not move.
TEST(AdaCot, SkewedTrainingForgetsWithoutTheMask) {
    using Task = tasks::WhenToReason;
    auto trained = []<class Method>(Method method) {
        method.sampler = {.prompts = 128, .group_size = 1};
        method.optimizer.epochs = 1;
        method.optimizer.step = step::recipe({.learning_rate = 0.05, .weight_decay = 0});
        Task task({.first = 6});
        using Learner = train::TabularLearner<Task, float, true>;
        Learner learner(task);
        train::Trainer<Method, Learner> trainer(method, learner);
        backend::Host host;
        for (std::uint32_t i = 0; i < 60; ++i) {
            roars::Run run{host, Random(1).at(i)};
            trainer.iterate(run);
        }
        auto odds = [&](std::int64_t row) { return learner.policy().logits(row)[1] - learner.policy().logits(row)[0]; };
        return std::pair(odds(task.shared_row(0, 0)), tasks::mean_exact_score(task, learner.policy().logits()).success);
    };
    methods::Ppo ppo = methods::ppo;
    methods::AdaCotMasked masked = methods::adacot_masked;
    ppo.regularizer.coefficient = get<0>(masked.regularizer).coefficient = 0;
    auto [drift, success] = trained(ppo);
    auto [still, also] = trained(masked);
    EXPECT_GT(drift, 0.3);
    EXPECT_EQ(still, 0.0f);
    EXPECT_GT(success, 0.6);
    EXPECT_GT(also, 0.6);
}

}  // namespace
}  // namespace roars::adacot_test
