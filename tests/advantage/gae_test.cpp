#include "roars/advantage/gae.hpp"

#include <gtest/gtest.h>

#include "random_batch.hpp"
#include "roars/advantage/v_trace.hpp"
#include "roars/critic/multistep.hpp"

namespace roars::gae_test {
namespace {

using StepColumns = columns<col::token_reward, col::value, col::next_value, col::terminated, col::done, col::logp,
                            col::logp_old, col::advantage, col::returns>;

/// The rewards of one episode from step t on, discounted, with what stands behind its end.
template <class BatchType>
double rewards_to_come(const BatchType& batch, std::int64_t t, std::int64_t end, double gamma) {
    auto i = static_cast<std::size_t>(t);
    double behind = batch[col::done{}][i] != 0 || t + 1 == end ? batch[col::next_value{}][i]
                                                               : rewards_to_come(batch, t + 1, end, gamma);
    return batch[col::token_reward{}][i] + (batch[col::terminated{}][i] != 0 ? 0.0 : gamma * behind);
}

/// Values that are the next ones too, as a critic gives them where no episode ends.
template <class BatchType>
void chain_values(BatchType& batch) {
    auto offsets = batch.token_offsets();
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
        for (auto t = std::size_t(offsets[i]); t + 1 < std::size_t(offsets[i + 1]); ++t)
            if (batch[col::done{}][t] == 0) batch[col::next_value{}][t] = batch[col::value{}][t + 1];
}

RC_GTEST_PROP(Gae, WithLambdaOneIsTheReturnMinusTheValue, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<StepColumns>(draw, 40);
    chain_values(batch);
    auto advantage = estimated(advantage::Gae<>{.gamma = 0.9, .lambda = 1.0}, batch, small_grain(draw));
    auto offsets = batch.token_offsets();
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
        for (std::int64_t t = offsets[i]; t < offsets[i + 1]; ++t) {
            double expected = rewards_to_come(batch, t, offsets[i + 1], 0.9);
            RC_ASSERT(close(advantage[t], expected - batch[col::value{}][t]));
            RC_ASSERT(close(batch[col::returns{}][t], expected));
        }
}

RC_GTEST_PROP(Gae, ItsReturnsAreLambdaReturns, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<StepColumns>(draw);
    chain_values(batch);
    estimated(advantage::Gae<>{.gamma = 0.9, .lambda = 0.7}, batch);
    backend::Host host = small_grain(draw);
    std::vector<double> target(batch[col::returns{}].size());
    critic::LambdaReturn{.gamma = 0.9, .lambda = 0.7}.target(host, critic::steps_of(batch), std::span(target));
    for (std::size_t t = 0; t < target.size(); ++t) RC_ASSERT(close(target[t], batch[col::returns{}][t]));
}

/// The part on a batch, and on the same steps with every stream cut into pieces where a step is done.
template <class Part>
void expect_pieces_equal_the_whole(const Part& part, Draw& draw) {
    auto batch = random_batch<StepColumns>(draw);
    auto whole = estimated(part, batch, small_grain(draw));
    std::vector<std::int64_t> pieces{0};
    auto offsets = batch.token_offsets();
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
        for (std::int64_t t = offsets[i]; t < offsets[i + 1]; ++t)
            if (batch[col::done{}][t] != 0 || t + 1 == offsets[i + 1]) pieces.push_back(t + 1);
    Batch<double, StepColumns> cut(pieces);
    auto copy = [&]<class... Column>(columns<Column...>) {
        (std::copy(batch[Column{}].begin(), batch[Column{}].end(), cut[Column{}].begin()), ...);
    };
    copy(StepColumns{});
    std::fill(cut[col::done{}].begin(), cut[col::done{}].end(), 0.0);
    auto in_pieces = estimated(part, cut, small_grain(draw));
    for (std::size_t t = 0; t < whole.size(); ++t) {
        RC_ASSERT(close(whole[t], in_pieces[t]));
        RC_ASSERT(close(batch[col::returns{}][t], cut[col::returns{}][t]));
    }
}
RC_GTEST_PROP(Gae, OfAStreamIsThatOfItsEpisodes, ()) {
    Draw draw = any_draw();
    expect_pieces_equal_the_whole(advantage::Gae<>{}, draw);
}
RC_GTEST_PROP(VTrace, OfAStreamIsThatOfItsEpisodes, ()) {
    Draw draw = any_draw();
    expect_pieces_equal_the_whole(advantage::VTrace<>{.lambda = 0.8}, draw);
    expect_pieces_equal_the_whole(advantage::LeakyVTrace<>{.lambda = 0.8, .truncation = {0.5}}, draw);
}

TEST(Gae, TellsATerminationFromACut) {
    Batch<double, StepColumns> batch(std::vector<std::int64_t>{0, 2});
    batch[col::token_reward{}][0] = 1.0;
    batch[col::value{}][0] = 0.25;
    batch[col::next_value{}][0] = 5.0;
    batch[col::done{}][0] = 1.0;
    advantage::Gae<> part{.gamma = 0.5, .lambda = 0.5};
    EXPECT_DOUBLE_EQ(estimated(part, batch)[0], 1.0 + 0.5 * 5.0 - 0.25);
    batch[col::terminated{}][0] = 1.0;
    batch[col::next_value{}][0] = not_a_number;  // behind a termination there is nothing to look at
    EXPECT_DOUBLE_EQ(estimated(part, batch)[0], 1.0 - 0.25);
    EXPECT_DOUBLE_EQ(batch[col::returns{}][0], 1.0);
}

TEST(Gae, WhatFollowsADoneStepDoesNotReachIt) {
    Batch<double, StepColumns> batch(std::vector<std::int64_t>{0, 3});
    batch[col::done{}][0] = 1.0;
    batch[col::token_reward{}][1] = not_a_number;
    for (double x : {estimated(advantage::Gae<>{}, batch)[0], estimated(advantage::VTrace<>{}, batch)[0]})
        EXPECT_EQ(x, 0.0);
}

RC_GTEST_PROP(VTrace, OnPolicyIsGaeWithLambdaOne, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<StepColumns>(draw);
    chain_values(batch);
    std::copy(batch[col::logp{}].begin(), batch[col::logp{}].end(), batch[col::logp_old{}].begin());
    auto gae = estimated(advantage::Gae<>{.gamma = 0.9, .lambda = 1.0}, batch);
    std::vector<double> returns(batch[col::returns{}].begin(), batch[col::returns{}].end());
    auto v_trace = estimated(advantage::VTrace<>{.gamma = 0.9}, batch);
    for (std::size_t t = 0; t < gae.size(); ++t) {
        RC_ASSERT(close(gae[t], v_trace[t]));
        RC_ASSERT(close(returns[t], batch[col::returns{}][t]));
    }
}

RC_GTEST_PROP(VTrace, AnActionThatThePolicyNeverTakesTeachesNothing, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<StepColumns>(draw);
    for (double& logp : batch[col::logp{}]) logp = -std::numeric_limits<double>::infinity();
    for (double x : estimated(advantage::VTrace<>{}, batch)) RC_ASSERT(x == 0.0);
    for (std::size_t t = 0; t < batch[col::value{}].size(); ++t)
        RC_ASSERT(batch[col::returns{}][t] == batch[col::value{}][t]);
}

TEST(VTrace, ARatioBeyondEveryNumberIsClipped) {
    Batch<double, StepColumns> batch(std::vector<std::int64_t>{0, 1});
    batch[col::token_reward{}][0] = 2.0;
    batch[col::logp_old{}][0] = -1e6;
    EXPECT_DOUBLE_EQ(estimated(advantage::VTrace<>{.rho_clip = 1.5, .policy_rho_clip = 3.0}, batch)[0], 6.0);
    EXPECT_DOUBLE_EQ(batch[col::returns{}][0], 3.0);
}

RC_GTEST_PROP(LeakyVTrace, GoesFromImportanceSamplingToVTrace, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<StepColumns>(draw);
    auto same = [&](double hard, double clip) {
        auto leaky = estimated(advantage::LeakyVTrace<>{.gamma = 0.9, .lambda = 0.8, .truncation = {hard}}, batch);
        std::vector<double> returns(batch[col::returns{}].begin(), batch[col::returns{}].end());
        auto plain = estimated(
            advantage::VTrace<>{.gamma = 0.9, .lambda = 0.8, .rho_clip = clip, .c_clip = clip, .policy_rho_clip = clip},
            batch);
        for (std::size_t t = 0; t < plain.size(); ++t) {
            RC_ASSERT(close(leaky[t], plain[t]));
            RC_ASSERT(close(returns[t], batch[col::returns{}][t]));
        }
    };
    same(1.0, 1.0);
    same(0.0, 1e6);  // no ratio here is as large
}

TEST(LeakyVTrace, MixesTheCutRatioWithTheWholeOne) {
    Batch<double, StepColumns> batch(std::vector<std::int64_t>{0, 1});
    batch[col::token_reward{}][0] = 1.0;
    batch[col::logp_old{}][0] = -std::log(3.0);
    EXPECT_DOUBLE_EQ(estimated(advantage::LeakyVTrace<>{.truncation = {0.75}}, batch)[0], 0.75 * 1.0 + 0.25 * 3.0);
    EXPECT_DOUBLE_EQ(batch[col::returns{}][0], 1.5);
    batch[col::logp_old{}][0] = -1e6;  // a ratio beyond every number
    EXPECT_EQ(estimated(advantage::LeakyVTrace<>{.truncation = {1.0}}, batch)[0], 1.0);
    EXPECT_TRUE(std::isfinite(estimated(advantage::LeakyVTrace<>{}, batch)[0]));
}

}  // namespace
}  // namespace roars::gae_test
