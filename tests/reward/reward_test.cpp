#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/step/scheduled.hpp"
#include "roars/reflect.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/reward/combine.hpp"
#include "roars/reward/length.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/reward/repetition.hpp"
#include "roars/reward/running.hpp"
#include "roars/reward/truncated.hpp"
#include "roars/sampler/groups.hpp"
#include "roars/sampler/then.hpp"

namespace roars::reward_test {
namespace {

using namespace roars::reward;

using TestBatch = Batch<double, columns<col::groups, col::token, col::outcome, col::truncated, col::reward>>;

TestBatch batch_of_lengths(const std::vector<std::int64_t>& lengths) {
    std::vector<std::int64_t> offsets = {0};
    for (auto length : lengths) offsets.push_back(offsets.back() + length);
    return TestBatch{Offsets(offsets)};
}

/// Rewards by the entry that algorithms use.
template <class Part>
std::vector<double> rewards(const Part& part, state_of<Part>& state, TestBatch& batch) {
    backend::Host host;
    roars::Run run{host};
    roars::detail::call_score(part, run, state, batch);
    auto reward = batch[col::reward{}];
    return {reward.begin(), reward.end()};
}
template <class Part>
std::vector<double> rewards(const Part& part, TestBatch& batch) {
    state_of<Part> state;
    return rewards(part, state, batch);
}

// A whole algorithm of these parts compiles, and asks its task for what the parts read.
using Careful = Algorithm<
    sampler::Then<sampler::DynamicGroups, sampler::MaskTruncated>,
    Then<Then<Gate<Finished, Sum<Verified, SoftOverlong>>, Repetition>, RunningScale>, advantage::GroupZScore,
    regularizer::None,
    optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean,
                              step::Scheduled<step::Clipped<step::AdamW>, step::WarmUp<step::decay::Cosine>>>>;
static_assert(contains_v<col::truncated, Careful::Inputs> && contains_v<col::token, Careful::Inputs>);
static_assert(contains_v<col::mask, Careful::Columns> && !contains_v<col::answer, Careful::Columns>);

TEST(Reward, AlgorithmStateIsSaved) {
    Careful::State state, restored;
    state.reward.second = {12, 0.5, 3.0};
    state.sampler.first.rollouts = 7;
    state.optimizer.base.base.first = {0.5f, 0.25f};
    state.optimizer.steps = 4;
    from_json(nlohmann::json::parse(to_json(state).dump()), restored);
    EXPECT_EQ(restored.reward.second.count, 12);
    EXPECT_EQ(restored.sampler.first.rollouts, 7);
    EXPECT_EQ(restored.optimizer.base.base.first, state.optimizer.base.base.first);
    EXPECT_EQ(to_json(restored), to_json(state));
    Careful careful;
    EXPECT_TRUE(set_setting(careful, "reward.first.first.shut", "-0.5"));
    EXPECT_TRUE(set_setting(careful, "optimizer.step.max_norm", "0.25"));
    EXPECT_EQ(careful.reward.first.first.shut, -0.5);
    EXPECT_EQ(careful.optimizer.step.base.max_norm, 0.25);
}

// ---- length

RC_GTEST_PROP(RewardProperty, OverlongFallsFromNothingToItsFactor, ()) {
    double limit = *rc::gen::inRange(1, 100), buffer = *rc::gen::inRange(0, 100), factor = 0.5;
    SoftOverlong rule{limit, buffer, factor};
    double before = 0;
    for (double n = 0; n < 250; ++n) {
        double penalty = rule.penalty(n);
        RC_ASSERT(penalty <= before && penalty >= -factor);
        if (n <= limit - buffer) RC_ASSERT(penalty == 0.0);
        if (n >= limit && buffer > 0) RC_ASSERT(penalty == -factor);
        if (n > limit) RC_ASSERT(penalty == -factor);
        before = penalty;
    }
}

RC_GTEST_PROP(RewardProperty, CosineGoesFromEndToEnd, ()) {
    CosineLength rule{.max_length = double(*rc::gen::inRange(1, 300))};
    RC_ASSERT(std::abs(rule.of(true, 0) - 2.0) < 1e-12 && std::abs(rule.of(false, 0) + 10.0) < 1e-12);
    RC_ASSERT(std::abs(rule.of(true, rule.max_length) - 1.0) < 1e-12);
    RC_ASSERT(std::abs(rule.of(false, rule.max_length)) < 1e-12);
    RC_ASSERT(rule.of(true, rule.max_length + 1) == rule.beyond.reward);
    for (double n = 1; n <= rule.max_length; ++n) {
        RC_ASSERT(rule.of(true, n) < rule.of(true, n - 1) && rule.of(false, n) > rule.of(false, n - 1));
        RC_ASSERT(rule.of(true, n) > rule.of(false, n));
    }
}

TEST(Reward, LengthOfSequences) {
    auto batch = batch_of_lengths({0, 3, 20});
    EXPECT_EQ(rewards(LinearLength{0.125, 1.0}, batch), (std::vector<double>{0, -0.375, -1}));
    batch[col::outcome{}][1] = 1;
    EXPECT_EQ(rewards(CosineLength{.max_length = 6}, batch)[2], -10.0);
    EXPECT_DOUBLE_EQ(rewards(CosineLength{.max_length = 6}, batch)[1], 1.5);
}

// ---- doors, clips

TEST(Reward, TruncatedForms) {
    auto batch = batch_of_lengths({1, 1, 1, 1});
    for (std::size_t i = 0; i < 4; ++i) {
        batch[col::outcome{}][i] = i < 2 ? 1.0 : -1.0;
        batch[col::truncated{}][i] = double(i % 2);
    }
    EXPECT_EQ(rewards(ScaleTruncated<Verified>{{}, 0.25}, batch), (std::vector<double>{1, 0.25, -1, -0.25}));
    EXPECT_EQ(rewards(ReplaceTruncated<Verified>{{}, -3}, batch), (std::vector<double>{1, -3, -1, -3}));
    EXPECT_EQ(rewards(Finished{}, batch), (std::vector<double>{1, 0, 1, 0}));
}

TEST(Reward, GatesShutInTheirOrder) {
    auto batch = batch_of_lengths({2, 2, 2, 2});
    for (std::size_t i = 0; i < 4; ++i) {
        batch[col::outcome{}][i] = double(i / 2);
        batch[col::truncated{}][i] = double(i % 2);
    }
    Gate<Finished, Verified, LinearLength> finished_first{{}, {{}, {0.5, 9.0}, -2.0}, -1.0};
    Gate<Verified, Finished, LinearLength> right_first{{}, {{}, {0.5, 9.0}, -2.0}, -1.0};
    // finished and right: the price of two tokens; of what is wrong twice over the first door decides.
    EXPECT_EQ(rewards(finished_first, batch), (std::vector<double>{-2, -1, -1, -1}));
    EXPECT_EQ(rewards(right_first, batch), (std::vector<double>{-1, -1, -1, -2}));
    static_assert(!std::is_same_v<decltype(finished_first), decltype(right_first)>);
    static_assert(within_v<columns<col::truncated, col::outcome>, decltype(right_first)::needs>);
}

TEST(Reward, ClipAndScale) {
    auto batch = batch_of_lengths({1, 1, 1});
    batch[col::outcome{}][0] = -5;
    batch[col::outcome{}][1] = 0.25;
    batch[col::outcome{}][2] = 5;
    EXPECT_EQ(rewards(Clip<Verified>{{}, -1, 2}, batch), (std::vector<double>{-1, 0.25, 2}));
    EXPECT_EQ(rewards(Scale<Verified>{{}, 2, 1}, batch), (std::vector<double>{-9, 1.5, 11}));
    EXPECT_EQ(rewards(Scale<Clip<Verified>>{{{}, 0, 1}, 2, -1}, batch), (std::vector<double>{-1, -0.5, 1}));
}

// ---- repetition

RC_GTEST_PROP(RewardProperty, RepeatedShareCountsDistinctNGrams, ()) {
    auto tokens = *rc::gen::container<std::vector<std::int32_t>>(rc::gen::inRange(0, 3));
    auto n = static_cast<std::int64_t>(*rc::gen::inRange(1, 5));
    std::set<std::vector<std::int32_t>> distinct;
    double all = 0;
    for (std::size_t i = 0; i + std::size_t(n) <= tokens.size(); ++i, ++all)
        distinct.insert({tokens.begin() + std::ptrdiff_t(i), tokens.begin() + std::ptrdiff_t(i) + n});
    double expected = all > 0 ? 1.0 - double(distinct.size()) / all : 0.0;
    RC_ASSERT(repeated_share(std::span(tokens), n) == expected);
}

TEST(Reward, RepetitionAmendsEachSequence) {
    auto batch = batch_of_lengths({6, 0, 2, 3});
    const std::int32_t tokens[] = {1, 1, 1, 1, 1, 1, 4, 4, 5, 6, 7};
    std::copy(std::begin(tokens), std::end(tokens), batch[col::token{}].begin());
    std::fill(batch[col::outcome{}].begin(), batch[col::outcome{}].end(), 1.0);
    auto shaped = rewards(Then<Verified, Repetition>{{}, {2, -2.0}}, batch);
    EXPECT_DOUBLE_EQ(shaped[0], 1.0 - 2.0 * 0.8);
    EXPECT_EQ(shaped[1], 1.0);
    EXPECT_EQ(shaped[2], 1.0);
    EXPECT_EQ(shaped[3], 1.0);
    EXPECT_THROW(rewards(Then<Verified, Repetition>{{}, {0, -2.0}}, batch), Error);
}

// ---- running moments

RC_GTEST_PROP(RewardProperty, RunningMomentsAreThoseOfAllRewards, ()) {
    auto batches = *rc::gen::container<std::vector<std::vector<double>>>(rc::gen::container<std::vector<double>>(
        rc::gen::map(rc::gen::inRange(-50, 51), [](int x) { return 100.0 + x / 8.0; })));
    using Part = Then<Verified, RunningNormalise>;
    Part part{{}, {0.5}};
    state_of<Part> state;
    std::vector<double> all;
    for (const auto& outcome : batches) {
        auto batch = batch_of_lengths(std::vector<std::int64_t>(outcome.size(), 1));
        std::copy(outcome.begin(), outcome.end(), batch[col::outcome{}].begin());
        auto shaped = rewards(part, state, batch);
        all.insert(all.end(), outcome.begin(), outcome.end());
        double n = double(all.size()), mean = std::accumulate(all.begin(), all.end(), 0.0) / std::max(n, 1.0), m2 = 0;
        for (double r : all) m2 += (r - mean) * (r - mean);
        RC_ASSERT(state.second.count == std::ssize(all));
        RC_ASSERT(std::abs(state.second.mean - mean) < 1e-9 && std::abs(state.second.m2 - m2) < 1e-7);
        for (std::size_t i = 0; i < outcome.size(); ++i)
            RC_ASSERT(std::abs(shaped[i] - (outcome[i] - mean) / (std::sqrt(m2 / n) + 0.5)) < 1e-8);
    }
}

TEST(Reward, RunningScaleKeepsZeroAndSign) {
    auto batch = batch_of_lengths({1, 1, 1});
    batch[col::outcome{}][0] = -4;
    batch[col::outcome{}][1] = 0;
    batch[col::outcome{}][2] = 4;
    auto scaled = rewards(Then<Verified, RunningScale>{{}, {0.0}}, batch);
    EXPECT_EQ(scaled[1], 0.0);
    EXPECT_DOUBLE_EQ(scaled[2], std::sqrt(1.5));
    EXPECT_EQ(scaled[0], -scaled[2]);
}

}  // namespace
}  // namespace roars::reward_test
