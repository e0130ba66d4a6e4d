#include "roars/methods/lite_ppo.hpp"

#include "any_cut.hpp"
#include "roars/sampler/then.hpp"

namespace roars::lite_ppo_test {
namespace {

/// Lite PPO's advantages of sequences of one token.
std::vector<double> lite(const std::vector<std::int64_t>& groups, const std::vector<double>& reward) {
    std::vector<std::int64_t> tokens(reward.size() + 1);
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = std::int64_t(i);
    Batch<double, columns<col::groups, col::reward, col::advantage>> batch(tokens, groups);
    std::copy(reward.begin(), reward.end(), batch[col::reward{}].begin());
    backend::Host host;
    roars::Run run{host};
    methods::lite_ppo.advantage.estimate(run, batch);
    return {batch[col::advantage{}].begin(), batch[col::advantage{}].end()};
}

RC_GTEST_PROP(LitePpo, GroupsSumToZeroAndAScaleOfTheRewardHasNoEffect, (std::vector<std::uint8_t> outcomes)) {
    std::vector<double> reward, scaled;
    for (auto x : outcomes) reward.push_back(double(x % 3) - 1.0);
    for (double r : reward) scaled.push_back(1000.0 * r + 7.0);
    auto n = std::int64_t(reward.size());
    std::vector<std::int64_t> groups{0, n / 3, n / 3, n};
    auto advantage = lite(groups, reward), other = lite(groups, scaled);
    for (std::size_t g = 0; g + 1 < groups.size(); ++g) {
        double sum = 0;
        for (auto i = std::size_t(groups[g]); i < std::size_t(groups[g + 1]); ++i) sum += advantage[i];
        RC_ASSERT(std::abs(sum) < 1e-9);
    }
    for (std::size_t i = 0; i < reward.size(); ++i) RC_ASSERT(std::abs(advantage[i] - other[i]) < 1e-4);
}

TEST(LitePpo, NoDifferenceNoSignal) {
    for (double a : lite({0, 3, 5}, {0.1, 0.1, 0.1, 0.1, 0.1})) EXPECT_EQ(a, 0.0);
    EXPECT_EQ(lite({0, 1}, {0.7}), std::vector<double>{0.0});
    EXPECT_EQ(lite({0, 1, 3}, {0.7, 0.0, 1.0})[0], 0.0) << "a group of one";
    EXPECT_TRUE(lite({0, 0}, {}).empty());
}

TEST(LitePpo, OneLiveGroupAmongDeadOnesHasALargeSignal) {
    std::vector<double> reward(800, 0.0);
    reward[0] = 1.0;
    std::vector<std::int64_t> groups;
    for (std::int64_t g = 0; g <= 100; ++g) groups.push_back(8 * g);
    auto advantage = lite(groups, reward);
    double mean = 1.0 / 800, sigma = std::sqrt((1.0 - 800 * mean * mean) / 799);
    EXPECT_NEAR(advantage[0], 0.875 / (sigma + 1e-6), 1e-9);
    EXPECT_GT(advantage[0], 20.0);
    for (std::size_t i = 8; i < 800; ++i) EXPECT_EQ(advantage[i], 0.0);
}

TEST(LitePpo, TheSpreadIsThatOfAllSequencesNotAMeanOfGroups) {
    auto advantage = lite({0, 2, 6}, {0, 1, 5, 5, 5, 9});
    double mean = 25.0 / 6, m2 = 0;
    for (double r : {0.0, 1.0, 5.0, 5.0, 5.0, 9.0}) m2 += (r - mean) * (r - mean);
    double sigma = std::sqrt(m2 / 5);
    EXPECT_NEAR(advantage[1], 0.5 / (sigma + 1e-6), 1e-12);
    EXPECT_NEAR(advantage[5], 3.0 / (sigma + 1e-6), 1e-12);
}

TEST(LitePpo, NoiseBelowEpsIsNotBlownUp) {
    for (double a : lite({0, 4}, {1e-8, 0.0, -1e-8, 0.0})) EXPECT_LT(std::abs(a), 0.02);
}

using LossBatch = methods::LitePpo::BatchFor<double>;

LossBatch lengths(const std::vector<std::int64_t>& sizes) {
    LossBatch batch(offsets_of(sizes), std::vector<std::int64_t>{0, std::ssize(sizes)});
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    std::fill(batch[col::advantage{}].begin(), batch[col::advantage{}].end(), 1.0);
    return batch;
}

TEST(LitePpo, LongSequencesShareTheGradientByTheirTokens) {
    auto batch = lengths({1, 9});
    auto token_mean = objective_of(methods::lite_ppo, batch).gradient;
    EXPECT_NEAR(token_mean[0], -0.1, 1e-15);
    EXPECT_NEAR(std::accumulate(token_mean.begin() + 1, token_mean.end(), 0.0), -0.9, 1e-14);

    Algorithm<sampler::Groups, reward::Verified, advantage::GroupMeanBatchSpread, regularizer::None,
              optimizer::PolicyGradient<surrogate::Clip, aggregate::SequenceMean, step::Recipe>>
        compared;
    auto sequence_mean = objective_of(compared, batch).gradient;
    EXPECT_NEAR(sequence_mean[0], -0.5, 1e-15);
    EXPECT_NEAR(std::accumulate(sequence_mean.begin() + 1, sequence_mean.end(), 0.0), -0.5, 1e-14);
}

TEST(LitePpo, WithoutATrainableTokenThereIsNothing) {
    auto batch = lengths({2, 3});
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 0.0);
    std::fill(batch[col::logp{}].begin(), batch[col::logp{}].end(), std::nan(""));
    auto nothing = objective_of(methods::lite_ppo, batch);
    EXPECT_EQ(nothing.loss, 0.0);
    for (double slope : nothing.gradient) EXPECT_EQ(slope, 0.0);
}

TEST(LitePpo, ACutAnswerLosesItsTokensAndKeepsItsPlaceInTheGroup) {
    Batch<double, columns<col::groups, col::mask, col::truncated, col::reward, col::advantage>> batch(
        offsets_of({1, 2, 1}), std::vector<std::int64_t>{0, 3});
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    batch[col::reward{}][0] = 1.0;
    batch[col::truncated{}][1] = 1.0;
    backend::Host host;
    roars::Run run{host};
    NoState state;
    methods::lite_ppo.advantage.estimate(run, batch);
    double before = batch[col::advantage{}][0];
    sampler::MaskTruncated{}.amend(run, state, batch);
    methods::lite_ppo.advantage.estimate(run, batch);
    EXPECT_EQ(batch[col::advantage{}][0], before);
    EXPECT_EQ(std::vector<double>(batch[col::mask{}].begin(), batch[col::mask{}].end()),
              (std::vector<double>{1, 0, 0, 1}));
}

}  // namespace
}  // namespace roars::lite_ppo_test
