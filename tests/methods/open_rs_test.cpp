#include "roars/methods/open_rs.hpp"
#include "../limits.hpp"

#include <limits>
#include <string>

#include "random_objective.hpp"

namespace roars::open_rs_test {
namespace {

const auto paper = methods::open_rs.reward;

double cosine(bool right, double length) { return get<1>(paper).base.base.of(right, length); }

RC_GTEST_PROP(OpenRs, RightAnswersArePaidLessAndWrongOnesPunishedMoreTheLongerTheyAre, ()) {
    double length = *rc::gen::inRange(0, 3584);
    RC_ASSERT(cosine(true, length) > cosine(true, length + 1));
    RC_ASSERT(cosine(false, length) > cosine(false, length + 1));
    RC_ASSERT(cosine(true, length) > cosine(false, length));
}

TEST(OpenRs, EndsOfTheCosine) {
    EXPECT_EQ(cosine(true, 0), 1.0);
    EXPECT_EQ(cosine(false, 0), 0.0);
    EXPECT_EQ(cosine(true, 3584), 0.5);
    EXPECT_EQ(cosine(false, 3584), -0.5);
    EXPECT_EQ(cosine(true, 1e9), 0.5) << "held behind the limit";
    EXPECT_EQ(cosine(false, 1e9), -0.5);
    reward::PeriodicCosineLength turns{.right_at_zero = 1.0, .right_at_max = 0.5, .max_length = 10};
    EXPECT_NEAR(turns.of(true, 20), 1.0, 1e-15) << "at twice the limit as if it were empty";
    EXPECT_NEAR(turns.of(true, 15), 0.75, 1e-15);
    EXPECT_THROW((reward::HeldCosineLength{.max_length = 0}.of(true, 1)), Error);
    EXPECT_THROW((reward::CosineLength{.max_length = -1}.of(true, 1)), Error);
}

TEST(OpenRs, TheMarkStandsThereOnce) {
    const std::string mark = "\n</think>\n";
    auto once = [&](const std::string& text) { return reward::marked_once(text, mark); };
    EXPECT_TRUE(once(mark));
    EXPECT_TRUE(once("\n</think>\n</think>\n")) << "overlapping marks count once";
    EXPECT_FALSE(once("\n</think>\n\n</think>\n"));
    EXPECT_FALSE(once("\r\n</think>\r\n"));
    EXPECT_FALSE(once(""));
    EXPECT_FALSE(once("\n</think>"));
    std::vector<int> tokens{3, 1, 2, 1, 2, 1}, two{1, 2, 1};
    EXPECT_EQ(reward::occurrences(tokens, two), 1);
    EXPECT_THROW(reward::occurrences(std::string("x"), std::string()), Error);
}

using RewardBatch =
    Batch<double, columns<col::groups, col::outcome, col::format, col::verifiable, col::reward, col::advantage>>;

RewardBatch scored(const decltype(methods::open_rs)& method, const std::vector<double>& outcome,
                   const std::vector<double>& format, const std::vector<double>& verifiable) {
    std::vector<std::int64_t> lengths(outcome.size());
    for (std::size_t i = 0; i < lengths.size(); ++i) lengths[i] = std::int64_t(i + 1);
    RewardBatch batch(offsets_of(lengths), offsets_of({std::int64_t(outcome.size())}));
    std::copy(outcome.begin(), outcome.end(), batch[col::outcome{}].begin());
    std::copy(format.begin(), format.end(), batch[col::format{}].begin());
    std::copy(verifiable.begin(), verifiable.end(), batch[col::verifiable{}].begin());
    backend::Host host;
    roars::Run run{host};
    methods::OpenRs::State state;
    method.score(run, state, batch);
    method.advantage.estimate(run, batch);
    return batch;
}

TEST(OpenRs, WhatCannotBeJudgedTeachesNothing) {
    auto batch = scored(methods::open_rs, {1, nan, 0}, {1, 1, 1}, {0, 0, 0});
    for (double r : batch[col::reward{}]) EXPECT_EQ(r, 1.0 + 2.0 * 1.0);
    for (double a : batch[col::advantage{}]) EXPECT_EQ(a, 0.0);
}

TEST(OpenRs, AWeightOfZeroRemovesItsComponent) {
    auto method = methods::open_rs;
    get<1>(method.reward).factor = 0.0;
    get<1>(method.reward).base.base.right_at_zero = std::numeric_limits<double>::infinity();
    auto batch = scored(method, {1, 1, 0}, {1, 0, 1}, {1, 1, 1});
    EXPECT_EQ(batch[col::reward{}][0], 1.0);
    EXPECT_EQ(batch[col::reward{}][1], 0.0);
    EXPECT_EQ(batch[col::reward{}][2], 1.0);
}

RC_GTEST_PROP(OpenRs, LossOfAnyCut, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    expect_any_cut(methods::open_rs, random_objective<methods::OpenRs>(random, 4), 1);
    RC_ASSERT(!::testing::Test::HasFailure());
}

/// On policy: -(1/n) sum_i (1/|o_i|) sum_t (A - beta (1 - e^{-d})) is the slope of the loss.
TEST(OpenRs, OnPolicyGradientByHand) {
    std::mt19937 random(3);
    auto batch = random_objective<methods::OpenRs>(random, 3);
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    std::copy(batch[col::logp{}].begin(), batch[col::logp{}].end(), batch[col::logp_old{}].begin());
    auto said = objective_of(methods::open_rs, batch);
    double live = 0;
    Offsets offsets = batch.token_offsets();
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) live += offsets[i + 1] > offsets[i];
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
        for (auto t = std::size_t(offsets[i]); t < std::size_t(offsets[i + 1]); ++t) {
            double d = batch[col::logp{}][t] - batch[col::logp_ref{}][t];
            double slope = -(batch[col::advantage{}][t] - 0.04 * (1.0 - std::exp(-d))) / live /
                           double(offsets[i + 1] - offsets[i]);
            EXPECT_NEAR(said.gradient[t], slope, 1e-12);
        }
}

}  // namespace
}  // namespace roars::open_rs_test
