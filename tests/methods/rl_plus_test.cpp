#include "roars/methods/rl_plus.hpp"

#include "../optimizer/terms.hpp"
#include "any_cut.hpp"
#include "roars/optimizer/surrogates/clip_variants.hpp"
#include "roars/tasks/factorised_targets.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::rl_plus_test {
namespace {

using surrogate::ByKind;
using surrogate::ImportanceRatio;
using surrogate::MultipleImportance;
using Given = surrogate::Weighted<MultipleImportance<>, weight::Focal>;
using Mixed = ByKind<ImportanceRatio, Given>;

/// Losses that are differentiated as they stand; the focal weight is a constant.
template <class Visit>
void for_each_plain(Visit&& visit) {
    visit(ImportanceRatio{}, aggregate::Constant{16});
    visit(MultipleImportance<>{{0.125}}, aggregate::TokenMean{});
    visit(MultipleImportance<behaviour::Known>{}, aggregate::Constant{16});
    visit(ByKind<surrogate::DualClip, MultipleImportance<>>{}, aggregate::SequenceMean{});
}

RC_GTEST_PROP(RlPlus, DoesNotDependOnTheCutIntoMicroBatchesOrTheOrder, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_plain([&](const auto& term, const auto& aggregate) { check_any_cut(term, aggregate, random); });
    check_any_cut(Mixed{}, aggregate::Constant{16}, random);
    RC_ASSERT(!::testing::Test::HasFailure());
}
RC_GTEST_PROP(RlPlus, GradientIsTheFiniteDifference, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_plain([&](const auto& term, const auto& aggregate) { check_gradient(term, aggregate, random); });
    RC_ASSERT(!::testing::Test::HasFailure());
}
RC_GTEST_PROP(RlPlus, MaskedTokensNeverLeak, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_plain([&](const auto& term, const auto& aggregate) { check_masked_never_leak(term, aggregate, random); });
    check_masked_never_leak(Mixed{}, aggregate::Constant{16}, random);
    RC_ASSERT(!::testing::Test::HasFailure());
}
RC_GTEST_PROP(RlPlus, LanesSayWhatTheFormulaSays, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    check_scalar_path(Mixed{}, aggregate::Constant{16}, random);
    RC_ASSERT(!::testing::Test::HasFailure());
}
TEST(RlPlus, Degenerate) {
    std::mt19937 random(1);
    check_degenerate(Mixed{}, aggregate::Constant{16}, random);
    check_far_off_policy(Mixed{}, aggregate::Constant{16}, 1000.0);
}

using X = Token<double, columns<col::logp, col::logp_old, col::advantage, col::external>>;

RC_GTEST_PROP(RlPlus, TheWeightOfAGivenTokenIsAtMostFourOverTheUniformDensity, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    auto real = [&](double low, double high) { return std::uniform_real_distribution<double>(low, high)(random); };
    double uniform = std::exp(real(-8, 1));
    MultipleImportance<> term{{uniform}};
    double logp = -std::exp(real(-20, 6)), logp_old = -std::exp(real(-20, 6));
    RC_ASSERT(term.token(X{{logp}, {logp_old}, {1.0}, {1.0}}).metric[0] <= 4.0 / uniform * (1 + 1e-15));
}

TEST(RlPlus, TheExplorationWeightIsAConstant) {
    Mixed term;
    X x{{-0.7}, {-1.3}, {0.5}, {1.0}};
    double old = std::exp(-1.3), w = 2 * std::exp(-0.7) / (1.5 * old + 0.5), c = std::sqrt(1 - std::exp(-0.7));
    EXPECT_NEAR(term.token(x).slope[0], -w * c * 0.5, 1e-15);
    EXPECT_NEAR(term.token(x).loss, -w * c * 0.5, 1e-15);
    X own{{-0.7}, {-1.3}, {0.5}, {0.0}};
    EXPECT_NEAR(term.token(own).slope[0], -std::exp(0.6) * 0.5, 1e-15);
}

TEST(RlPlus, WhatThePolicyIsSureOfTeachesNothing) {
    X sure{{0.0}, {0.0}, {1.0}, {1.0}};
    EXPECT_EQ(Mixed{}.token(sure).slope[0], 0.0);
    Mixed without{{}, {{}, {.power = 0.0}}};
    EXPECT_EQ(without.token(sure).slope[0], -1.0) << "power 0: weight 1 also where p = 1";

    // The same in lanes: one sequence of eleven tokens.
    auto loss = [&](const Mixed& term) {
        Batch<double, ColumnsOf<Mixed>> batch(std::vector<std::int64_t>{0, 11}, std::vector<std::int64_t>{0, 1});
        for (auto column : {batch[col::mask{}], batch[col::external{}], batch[col::advantage{}]})
            std::fill(column.begin(), column.end(), 1.0);
        return pass(term, aggregate::TokenSum{}, batch).loss;
    };
    EXPECT_EQ(loss(Mixed{}), 0.0);
    EXPECT_EQ(loss(without), -11.0);
}

TEST(RlPlus, ImprobableTokensHaveAFiniteWeight) {
    double tiny = std::log(1e-20);
    auto said = Mixed{}.token(X{{tiny}, {tiny}, {1.0}, {1.0}});
    EXPECT_GT(said.metric[2], 0.0);
    EXPECT_LT(said.metric[2], 1e-19);
    EXPECT_TRUE(std::isfinite(said.loss));
}

TEST(RlPlus, NobodyCanHaveWrittenAToken) {
    Batch<double, ColumnsOf<Mixed>> batch(std::vector<std::int64_t>{0, 2}, std::vector<std::int64_t>{0, 1});
    batch[col::mask{}][1] = 1.0;
    batch[col::logp_old{}][1] = -1e6;
    Mixed term{{}, {{{.uniform = 0.0}}, {}}};
    try {
        pass(term, aggregate::TokenSum{}, batch);
        FAIL() << "expected an error";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("token 1 "), std::string::npos) << error.what();
    }
    batch[col::mask{}][1] = 0.0;
    EXPECT_EQ(pass(term, aggregate::TokenSum{}, batch).loss, 0.0) << "a masked token is not looked at";
}

/// Loss of sequences of one token, external or not, with these rewards.
double loss_of(const std::vector<double>& external, const std::vector<double>& reward) {
    auto n = std::int64_t(reward.size());
    std::vector<std::int64_t> tokens(std::size_t(n) + 1);
    std::iota(tokens.begin(), tokens.end(), 0);
    methods::RlPlus::BatchFor<double> batch(tokens, std::vector<std::int64_t>{0, n});
    std::copy(reward.begin(), reward.end(), batch[col::outcome{}].begin());
    std::copy(external.begin(), external.end(), batch[col::external{}].begin());
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    std::fill(batch[col::logp{}].begin(), batch[col::logp{}].end(), std::log(0.5));
    std::fill(batch[col::logp_old{}].begin(), batch[col::logp_old{}].end(), std::log(0.5));
    methods::RlPlus method = methods::rl_plus;
    method.optimizer.aggregate.normalizer = 1;
    return loss(method, batch).loss();
}

TEST(RlPlus, Groups) {
    double given = 2 * 0.5 / (1.5 * 0.5 + 0.5) * std::sqrt(0.5);
    EXPECT_EQ(loss_of({1, 0, 0}, {1, 1, 1}), 0.0) << "equal rewards, the given one's too";
    EXPECT_EQ(loss_of({1}, {1}), 0.0) << "a group of one";
    EXPECT_NEAR(loss_of({0, 0}, {1, 0}), 0.0, 1e-15) << "none given: plain policy gradient, ratio 1";
    EXPECT_NEAR(loss_of({1, 1}, {1, 0}), 0.0, 1e-15) << "only given ones: their mean is the baseline";
    EXPECT_NEAR(loss_of({1, 0}, {1, 0}), -0.5 * given + 0.5, 1e-15);
    EXPECT_NEAR(loss_of({1, 0}, {0, 1}), 0.5 * given - 0.5, 1e-15) << "a failed solution is pushed down";
}

/// Shows the batch that the sampler makes.
using Learner = train::TabularLearner<tasks::FactorisedTargets>;
using Trainer = train::Trainer<methods::RlPlus, Learner>;

TEST(RlPlus, AGroupBeginsWithAGivenSolution) {
    tasks::FactorisedTargets task({.prompts = 3, .length = 2, .symbols = 4, .easy_prompts = 0});
    Learner learner(task);
    backend::Host host;
    roars::Run run{host, Random(7)};
    Trainer::BatchType batch;
    sampler::Spent spent;
    sampler::GroupsWithSolution{.prompts = 3, .group_size = 4}.collect(run, spent, learner, batch, [](auto&) {});
    EXPECT_EQ(spent.rollouts, 9);
    ASSERT_EQ(batch.groups(), 3);
    for (std::size_t i = 0; i < 12; ++i) {
        EXPECT_EQ(batch[col::prompt{}][i], std::int32_t(i / 4));
        for (auto t = std::size_t(batch.token_offsets()[i]); t < std::size_t(batch.token_offsets()[i + 1]); ++t)
            EXPECT_EQ(batch[col::external{}][t], i % 4 == 0 ? 1.0f : 0.0f);
        if (i % 4 == 0) {
            EXPECT_EQ(batch[col::outcome{}][i], 1.0f);
            auto solution = task.solution(std::int64_t(i / 4));
            EXPECT_TRUE(
                std::equal(solution.begin(), solution.end(), batch[col::token{}].begin() + batch.token_offsets()[i]));
        }
    }
    sampler::GroupsWithSolution{.prompts = 3, .group_size = 1}.collect(run, spent, learner, batch, [](auto&) {});
    EXPECT_EQ(batch.sequences(), 3) << "only given ones";
}

/// Success on prompts whose answer own sampling never finds: (1/(1 + 9 e^0.5))^4 = 1.6e-5 at the start.
TEST(RlPlus, LearnsWhatItWouldNeverHaveFound) {
    tasks::FactorisedTargets task({.prompts = 8, .easy_prompts = 0});
    auto method = methods::rl_plus;
    method.sampler.prompts = 8;
    method.optimizer.aggregate.normalizer = 4;
    method.optimizer.step = step::recipe({.learning_rate = 0.1});
    method.optimizer.minibatches = 1;
    Learner learner(task);
    Trainer trainer(method, learner);
    backend::Host host;
    for (std::int64_t i = 0; i < 60; ++i) {
        roars::Run run{host, Random(3).at(std::uint32_t(i)), Progress{i, 60}};
        trainer.iterate(run);
    }
    roars::Run run{host};
    EXPECT_GT(learner.evaluate(run).success, 0.8);
}

}  // namespace
}  // namespace roars::rl_plus_test
