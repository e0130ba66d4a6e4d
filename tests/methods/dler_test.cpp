#include "roars/methods/dler.hpp"

#include <set>

#include "any_cut.hpp"
#include "roars/optimizer/selective_merge.hpp"
#include "roars/reflect.hpp"
#include "roars/tasks/stop_time.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::dler_test {
namespace {

template <class Reward>
std::vector<double> scored(const Reward& reward, const std::vector<std::int64_t>& lengths,
                           const std::vector<double>& outcome, const std::vector<std::int64_t>& groups,
                           const std::vector<double>& truncated = {}) {
    Batch<double, columns<col::groups, col::outcome, col::truncated, col::reward>> batch(offsets_of(lengths), groups);
    std::copy(outcome.begin(), outcome.end(), batch[col::outcome{}].begin());
    std::copy(truncated.begin(), truncated.end(), batch[col::truncated{}].begin());
    backend::Host host;
    roars::Run run{host};
    state_of<Reward> state{};
    roars::detail::call_score(reward, run, state, batch);
    return {batch[col::reward{}].begin(), batch[col::reward{}].end()};
}

TEST(Dler, WhatIsTooLongIsWrong) {
    auto reward = methods::dler.reward;
    reward.base.door.max_length = 4;
    EXPECT_EQ(scored(reward, {4, 5, 3, 2, 4}, {1, 1, 1, 0, 1}, {0, 5}, {0, 0, 1, 0, 0}),
              (std::vector<double>{1, 0, 0.1, 0, 1}))
        << "as long as the limit is within; an answer that did not end keeps a tenth";
}

TEST(Dler, EasyPromptsGetTheShorterBudget) {
    auto reward = methods::dler_difficulty.reward;
    reward.second.budgets = {8, 4};
    // Half right within 8: on the threshold, easy. None right: hard. Right only beyond 8: hard, and worth nothing.
    EXPECT_EQ(scored(reward, {4, 5, 1, 1}, {1, 0, 0, 1}, {0, 4}), (std::vector<double>{1, 0, 0, 1}));
    EXPECT_EQ(scored(reward, {4, 5, 1, 1}, {1, 1, 0, 0}, {0, 4}), (std::vector<double>{1, 0, 0, 0}));
    EXPECT_EQ(scored(reward, {8, 5, 9, 1}, {1, 0, 1, 0}, {0, 4}), (std::vector<double>{1, 0, 0, 0}));
    EXPECT_TRUE(scored(reward, {}, {}, {0, 0}).empty());

    reward::DifficultyBudget<3> tiers{.thresholds = {0.25, 0.75}, .budgets = {30, 20, 10}};
    EXPECT_EQ(tiers.of_rate(0.0), 30);
    EXPECT_EQ(tiers.of_rate(0.25), 20);
    EXPECT_EQ(tiers.of_rate(0.74), 20);
    EXPECT_EQ(tiers.of_rate(1.0), 10);
    EXPECT_EQ(reward::DifficultyBudget<1>{}.of_rate(1.0), 4000);
}

TEST(Dler, BudgetsAreFlags) {
    auto method = methods::dler_difficulty;
    EXPECT_TRUE(set_setting(method, "reward.second.budgets", "16,8"));
    EXPECT_TRUE(set_setting(method, "reward.second.thresholds", "0.25"));
    EXPECT_EQ(method.reward.second.budgets, (std::array<double, 2>{16, 8}));
    EXPECT_EQ(method.reward.second.of_rate(0.25), 8);
    EXPECT_THROW(set_setting(method, "reward.second.budgets", "16,8,4"), Error);
    EXPECT_EQ(to_json(method)["reward"]["second"]["budgets"], (std::vector<double>{16, 8}));
}

using SignalBatch = Batch<double, columns<col::groups, col::mask, col::reward, col::advantage>>;

std::vector<double> whitened(SignalBatch& batch) {
    backend::Host host;
    roars::Run run{host};
    NoState state;
    methods::dler.advantage.estimate(run, state, batch);
    return {batch[col::advantage{}].begin(), batch[col::advantage{}].end()};
}
SignalBatch signal_batch(const std::vector<std::int64_t>& lengths, const std::vector<std::int64_t>& groups,
                         const std::vector<double>& reward) {
    SignalBatch batch(offsets_of(lengths), groups);
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    std::copy(reward.begin(), reward.end(), batch[col::reward{}].begin());
    return batch;
}

RC_GTEST_PROP(Dler, TheSignalOverAllTokensHasMeanZeroAndSpreadOne, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    auto below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
    std::vector<std::int64_t> lengths;
    std::vector<double> reward;
    for (int i = 0; i < 12; ++i) {
        lengths.push_back(1 + below(6));
        reward.push_back(below(2));
    }
    reward[0] = 1 - reward[1];
    auto batch = signal_batch(lengths, {0, 4, 8, 12}, reward);
    double sum = 0, squares = 0, n = double(batch.tokens());
    for (double a : whitened(batch)) sum += a, squares += a * a;
    RC_ASSERT(std::abs(sum / n) < 1e-9);
    RC_ASSERT(std::abs(squares / (n - 1) - 1.0) < 1e-5);
}

TEST(Dler, TheSignalWithoutADifference) {
    auto equal = signal_batch({2, 3, 1}, {0, 3}, {1, 1, 1});
    for (double a : whitened(equal)) EXPECT_EQ(a, 0.0);
    auto one_token = signal_batch({1, 2}, {0, 2}, {1, 0});
    one_token[col::mask{}][1] = one_token[col::mask{}][2] = 0.0;
    for (double a : whitened(one_token)) EXPECT_EQ(a, 0.0) << "one trainable token is its own mean";
    auto masked = signal_batch({2, 1, 1}, {0, 2, 3}, {1, 0, 1});
    masked[col::mask{}][0] = 0.0;
    auto signal = whitened(masked);
    EXPECT_EQ(signal[0], 0.0);
    // A group of one keeps its reward: 0.5, -0.5 and 1, whitened.
    double mean = 1.0 / 3, spread = std::sqrt((0.25 + 0.25 + 1 - 3 * mean * mean) / 2 + 1e-8);
    EXPECT_NEAR(signal[1], (0.5 - mean) / spread, 1e-12);
    EXPECT_NEAR(signal[3], (1.0 - mean) / spread, 1e-12);
}

TEST(Dler, TheFilterKeepsContrastAndSingles) {
    sampler::keep::InformativeOrAlone keep;
    backend::Host host;
    std::vector<std::int64_t> groups{0, 2, 4, 5, 5, 7};
    std::vector<double> outcome{1, 1, 0, 1, 1, 0.3, 0.3000001};
    EXPECT_EQ(sampler::groups_to_keep(host, groups, std::span<const double>(outcome), keep),
              (std::vector<char>{0, 1, 1, 0, 1}));
}

/// Every answer right: no group has a contrast.
struct SureSource {
    using BatchType = Batch<double, columns<col::groups, col::outcome>>;
    template <class RunType>
    void roll_out(RunType&, BatchType& batch, std::int64_t prompts, std::int64_t size, const Generation&) {
        std::vector<std::int64_t> tokens, groups;
        for (std::int64_t i = 0; i <= prompts * size; ++i) tokens.push_back(i);
        for (std::int64_t g = 0; g <= prompts; ++g) groups.push_back(g * size);
        batch = BatchType(tokens, groups);
    }
};
TEST(Dler, WithoutAnyContrastTheSamplerEndsAtItsLimit) {
    auto sampler = methods::dler.sampler;
    sampler.prompts = 4;
    sampler.group_size = 3;
    SureSource source;
    SureSource::BatchType batch;
    backend::Host host;
    roars::Run run{host};
    sampler::Draws draws;
    sampler.collect(run, draws, source, batch, [](auto&) {});
    EXPECT_EQ(batch.groups(), 0);
    EXPECT_EQ(draws.draws, 8);
    EXPECT_EQ(draws.rollouts, 8 * 4 * 3);
    EXPECT_EQ(draws.kept_groups, 0);
}

std::vector<double> merged(const std::vector<double>& base, const std::vector<double>& tuned, double fraction,
                           double scale) {
    std::vector<double> result(base.size());
    optimizer::SelectiveMerge{fraction, scale}(std::span<const double>(base), std::span<const double>(tuned),
                                               std::span<double>(result));
    return result;
}
RC_GTEST_PROP(SelectiveMerge, AllButTheLargestMovesStayAtTheBaseBitForBit, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal;
    std::size_t n = random() % 50;
    std::vector<double> base(n), tuned(n);
    for (std::size_t i = 0; i < n; ++i) tuned[i] = (base[i] = normal(random)) + 0.1 * normal(random);
    auto result = merged(base, tuned, 0.25, 0.7);
    std::size_t stayed = 0;
    double smallest_kept = 1e300, largest_left = 0;
    for (std::size_t i = 0; i < n; ++i) {
        double move = std::abs(tuned[i] - base[i]);
        if (result[i] == base[i]) {
            ++stayed;
            largest_left = std::max(largest_left, move);
        } else {
            RC_ASSERT(std::abs(result[i] - base[i] - 0.7 * (tuned[i] - base[i])) < 1e-12);
            smallest_kept = std::min(smallest_kept, move);
        }
    }
    RC_ASSERT(stayed == n - n / 4);
    RC_ASSERT(largest_left <= smallest_kept);
}
TEST(SelectiveMerge, Edges) {
    std::vector<double> base{1, 2, 3, 4};
    EXPECT_EQ(merged(base, base, 0.5, 0.7), base);
    EXPECT_EQ(merged(base, {9, 9, 9, 9}, 0.0, 0.7), base);
    EXPECT_EQ(merged(base, {2, 4, 6, 8}, 1.0, 1.0), (std::vector<double>{2, 4, 6, 8}));
    EXPECT_EQ(merged(base, {2, 1, 4, 3}, 0.5, 1.0), (std::vector<double>{2, 1, 3, 4})) << "equal moves: the first ones";
    EXPECT_TRUE(merged({}, {}, 0.25, 0.7).empty());
    EXPECT_THROW(merged(base, {1, 2}, 0.25, 0.7), Error);
    EXPECT_THROW(merged(base, base, 1.5, 0.7), Error);
}

/// Nearly every answer is cut at first.
TEST(Dler, LearnsToStopInTime) {
    using Learner = train::TabularLearner<tasks::StopTime>;
    tasks::StopTime task({.classes = 2, .limit = 12, .start_logit = -4.0});
    auto method = methods::dler;
    method.sampler.prompts = 16;
    method.sampler.group_size = 8;
    method.reward.base.door.max_length = 12;
    method.optimizer.step = step::recipe({.learning_rate = 0.1});
    method.optimizer.minibatches = 4;
    Learner learner(task);
    train::Trainer<methods::Dler, Learner> trainer(method, learner);
    backend::Host host;
    roars::Run start{host};
    double before = learner.evaluate(start).success;
    for (std::int64_t i = 0; i < 25; ++i) {
        roars::Run run{host, Random(5).at(std::uint32_t(i)), Progress{i, 25}};
        trainer.iterate(run);
    }
    EXPECT_LT(before, 0.25);
    EXPECT_GT(learner.evaluate(start).success, 0.7);
}

}  // namespace
}  // namespace roars::dler_test
