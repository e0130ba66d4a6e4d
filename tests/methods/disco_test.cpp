#include "roars/methods/disco.hpp"

#include "../optimizer/terms.hpp"
#include "any_cut.hpp"
#include "roars/advantage/normalise.hpp"
#include "roars/metrics/difficulty.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/regularizer/none.hpp"

namespace roars::disco_test {
namespace {

using score::LikelihoodRatio;
using score::LogLikelihood;
using surrogate::Discriminative;

template <class Visit>
void for_each_loss(Visit&& visit) {
    visit(Discriminative<LogLikelihood, pool::SoftMaximum>{{0.5}});
    visit(Discriminative<LogLikelihood, pool::Mean>{});
    visit(Discriminative<LikelihoodRatio, pool::SoftMaximum>{{1.0}});
    visit(Discriminative<LikelihoodRatio, pool::Mean>{});
}
RC_GTEST_PROP(Disco, TheObjectiveDoesNotDependOnTheCutOrTheOrder, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_loss([&](const auto& term) { check_any_cut(term, aggregate::TokenSum{}, random); });
    RC_ASSERT(!::testing::Test::HasFailure());
}
RC_GTEST_PROP(Disco, TheGradientOfTheObjectiveIsTheFiniteDifference, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_loss([&](const auto& term) { check_gradient(term, aggregate::TokenSum{}, random); });
    RC_ASSERT(!::testing::Test::HasFailure());
}
RC_GTEST_PROP(Disco, MaskedTokensNeverLeak, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_loss([&](const auto& term) { check_masked_never_leak(term, aggregate::TokenSum{}, random); });
    RC_ASSERT(!::testing::Test::HasFailure());
}
TEST(Disco, Degenerate) {
    std::mt19937 random(1);
    for_each_loss([&](const auto& term) {
        check_degenerate(term, aggregate::TokenSum{}, random);
        check_far_off_policy(term, aggregate::TokenSum{}, 1000.0);
    });
}

template <class Method>
using DiscoBatch = Batch<double, unite_t<typename Method::Columns, columns<col::logp_old>>>;

/// Groups of 0 to 5 sequences of 0 to 4 tokens, rewards 0 and 1.
template <class Method>
DiscoBatch<Method> random_groups(std::mt19937& random, double off_policy) {
    auto below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
    auto real = [&](double low, double high) { return std::uniform_real_distribution<double>(low, high)(random); };
    std::vector<std::int64_t> sizes, lengths;
    for (int g = below(6); g >= 0; --g) sizes.push_back(below(6));
    auto groups = offsets_of(sizes);
    for (std::int64_t i = 0; i < groups.back(); ++i) lengths.push_back(below(5));
    DiscoBatch<Method> batch(offsets_of(lengths), groups);
    for (double& mask : batch[col::mask{}]) mask = below(5) > 0;
    for (double& reward : batch[col::reward{}]) reward = below(2);
    for (std::size_t t = 0; t < batch[col::logp{}].size(); ++t) {
        batch[col::logp_old{}][t] = real(-3, -0.1);
        batch[col::logp{}][t] = batch[col::logp_old{}][t] + real(-off_policy, 0.3 * off_policy);
    }
    return batch;
}

template <class Visit>
void for_each_method(Visit&& visit) {
    visit(methods::disco);
    visit(methods::disco_mean);
    visit(methods::disco_ratio);
}
RC_GTEST_PROP(Disco, MicroBatchesFormThePenaltyOfTheWhole, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_method([&](const auto& method) {
        auto batch = random_groups<std::remove_cvref_t<decltype(method)>>(random, 0.5);
        for (std::int64_t step : {1, 2, 3}) expect_any_cut(method, batch, step);
    });
    RC_ASSERT(!::testing::Test::HasFailure());
}
RC_GTEST_PROP(Disco, TheGradientWithThePenaltyIsTheFiniteDifference, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_method([&](auto method) {
        method.regularizer.beta = 10;
        expect_finite_difference(method, random_groups<std::remove_cvref_t<decltype(method)>>(random, 0.5));
    });
    RC_ASSERT(!::testing::Test::HasFailure());
}

/// One group; a sequence has one token, with logp = score, under an old policy that is `kl` nats above it.
DiscoBatch<methods::Disco> one_group(const std::vector<double>& reward, const std::vector<double>& score,
                                     double kl = 0.0) {
    std::vector<std::int64_t> tokens(reward.size() + 1);
    std::iota(tokens.begin(), tokens.end(), 0);
    DiscoBatch<methods::Disco> batch(tokens, std::vector<std::int64_t>{0, std::ssize(reward)});
    std::copy(reward.begin(), reward.end(), batch[col::reward{}].begin());
    std::copy(score.begin(), score.end(), batch[col::logp{}].begin());
    for (std::size_t i = 0; i < score.size(); ++i) batch[col::logp_old{}][i] = score[i] + kl;
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    return batch;
}

TEST(Disco, InsideTheBoundThePenaltyIsExactlyZero) {
    for (double kl : {1e-4 - 1e-9, 0.0, -0.3}) {
        auto batch = one_group({1, 1, 1}, {-1, -2, -3}, kl);
        auto objective = objective_of(methods::disco, batch);
        EXPECT_EQ(objective.loss, 0.0) << kl;
        for (double slope : objective.gradient) EXPECT_EQ(slope, 0.0) << kl;
    }
    auto batch = one_group({0, 0}, {-1, -2}, 0.01);
    auto beyond = objective_of(methods::disco, batch);
    double excess = 0.01 - 1e-4;
    EXPECT_NEAR(beyond.loss, 500 * excess * excess, 1e-12) << "no group with both kinds: only the penalty acts";
    for (double slope : beyond.gradient) EXPECT_NEAR(slope, -1000 * excess / 2, 1e-12);
}

TEST(Disco, AGroupOfOneKindAddsNothingAndCounts) {
    auto batch = one_group({1, 0}, {-1, -2}), solved = one_group({1, 1}, {-1, -2}), empty = one_group({}, {});
    double alone = objective_of(methods::disco, batch).loss;
    EXPECT_NEAR(alone, -1.0, 1e-12);
    batch.append(solved);
    EXPECT_NEAR(objective_of(methods::disco, batch).loss, alone / 2, 1e-12);
    for (std::size_t i : {2u, 3u}) EXPECT_EQ(batch[col::grad<col::logp>{}][i], 0.0);
    EXPECT_EQ(objective_of(methods::disco, empty).loss, 0.0);
}

template <class Pool>
auto pooled(const Pool& pool, const std::vector<double>& scores) {
    return pool([&](const auto& visit) {
        for (double score : scores) visit(score);
    });
}

TEST(Disco, ASoftMaximumOfFarScoresDoesNotOverflow) {
    pool::SoftMaximum soft{0.01};
    auto one = pooled(soft, {-100, -0.5, -100});
    EXPECT_NEAR(one.value, -0.5 + 0.01 * std::log(1.0 / 3), 1e-12);
    EXPECT_NEAR(one.part(-0.5), 1.0, 1e-12);
    auto equal = pooled(soft, {-1e5, -1e5, -1e5});
    EXPECT_EQ(equal.value, -1e5);
    EXPECT_NEAR(equal.part(-1e5), 1.0 / 3, 1e-15);
}

TEST(Disco, WithALargeTauTheSoftMaximumIsTheMean) {
    std::vector<double> scores{-3, -0.5, -7};
    auto all = pooled(pool::SoftMaximum{1e6}, scores);
    EXPECT_NEAR(all.value, -3.5, 1e-5);
    for (double score : scores) EXPECT_NEAR(all.part(score), 1.0 / 3, 1e-5);
}

TEST(Disco, AnotherRewardAndAnEmptyAnswerAreNeitherRightNorWrong) {
    auto batch = one_group({1, 0, 0.5, -1}, {-1, -2, -9, -9});
    auto with = objective_of(methods::disco, batch);
    auto without = one_group({1, 0}, {-1, -2});
    EXPECT_EQ(with.loss, objective_of(methods::disco, without).loss);
    EXPECT_EQ(with.gradient[2], 0.0);
    EXPECT_EQ(with.gradient[3], 0.0);
    auto masked = one_group({1, 0, 0}, {-1, -2, 0});
    masked[col::mask{}][2] = 0.0;
    EXPECT_EQ(objective_of(methods::disco, masked).loss, with.loss);
}

TEST(Disco, EveryPromptWeighsTheSame) {
    auto bias = [](std::vector<double> reward) {
        std::vector<std::int64_t> groups{0, 8}, tokens{0, 1, 2, 3, 4, 5, 6, 7, 8};
        std::vector<double> logp(8, -1.0);
        return metrics::difficulty_bias<const double>(groups, tokens, reward, logp, logp);
    };
    auto hard = bias({1, 0, 0, 0, 0, 0, 0, 0}), even = bias({1, 1, 1, 1, 0, 0, 0, 0});
    EXPECT_NEAR(hard.weight[0] / even.weight[0], 0.66, 0.005);
    EXPECT_NEAR(hard.weight_unscaled[0] / even.weight_unscaled[0], 0.44, 0.005);

    auto pull = [](const std::vector<double>& reward) {
        auto batch = one_group(reward, std::vector<double>(8, -1.0));
        auto gradient = objective_of(methods::disco, batch).gradient;
        double up = 0;
        for (std::size_t i = 0; i < 8; ++i) up += reward[i] == 1 ? -gradient[i] : 0.0;
        return up;
    };
    EXPECT_NEAR(pull({1, 0, 0, 0, 0, 0, 0, 0}), 1.0, 1e-12);
    EXPECT_NEAR(pull({1, 1, 1, 1, 0, 0, 0, 0}), 1.0, 1e-12);
}

/// GRPO with the population's spread is the difficulty-weighted gap, as the paper proves.
RC_GTEST_PROP(Disco, GrpoIsTheDifficultyWeightedGap, (std::uint32_t seed)) {
    using Grpo = Algorithm<sampler::Groups, reward::Verified, advantage::GroupZScore, regularizer::None,
                           optimizer::PolicyGradient<surrogate::Clip, aggregate::SequenceMean, step::Recipe>>;
    std::mt19937 random(seed);
    auto real = [&](double low, double high) { return std::uniform_real_distribution<double>(low, high)(random); };
    std::vector<std::int64_t> lengths, groups{0, 5, 10, 15};
    for (int i = 0; i < 15; ++i) lengths.push_back(1 + std::int64_t(real(0, 4)));
    Grpo::BatchFor<double> batch(offsets_of(lengths), groups);
    for (double& outcome : batch[col::outcome{}]) outcome = real(0, 1) < 0.4;
    for (double& logp : batch[col::logp{}]) logp = real(-2, 0);
    for (double& logp : batch[col::logp_old{}]) logp = real(-2, 0);
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    Grpo grpo{.advantage = {.scale = {.eps = 0.0, .ddof = 0}}};
    double objective = -loss(grpo, batch).loss();
    auto bias = metrics::difficulty_bias(groups, batch.token_offsets(), batch[col::reward{}], batch[col::logp{}],
                                         batch[col::logp_old{}]);
    RC_ASSERT(std::abs(objective - bias.objective) < 1e-12);
}

}  // namespace
}  // namespace roars::disco_test
