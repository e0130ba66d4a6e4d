#include <gtest/gtest.h>

#include "random_batch.hpp"
#include "roars/advantage/best_minus_second.hpp"
#include "roars/advantage/decoupled_components.hpp"
#include "roars/advantage/normalise.hpp"
#include "roars/reward/components.hpp"
#include "roars/reward/outcome.hpp"

namespace roars::groups_test {
namespace {

using GroupColumns = columns<col::groups, col::mask, col::reward, col::advantage>;

/// One token a sequence: the advantages of sequences.
template <class Part>
std::vector<double> of_rewards(const Part& part, std::vector<std::int64_t> groups, const std::vector<double>& reward) {
    std::vector<std::int64_t> tokens(reward.size() + 1);
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = std::int64_t(i);
    Batch<double, columns<col::groups, col::reward, col::advantage>> batch(tokens, groups);
    std::copy(reward.begin(), reward.end(), batch[col::reward{}].begin());
    return estimated(part, batch);
}

template <class Part>
void expect_no_effect_of_a_shift(const Part& part) {
    Draw draw = any_draw();
    auto batch = random_batch<GroupColumns>(draw);
    auto before = estimated(part, batch, small_grain(draw));
    for (double& reward : batch[col::reward{}]) reward += 3.75;
    auto after = estimated(part, batch);
    for (std::size_t t = 0; t < before.size(); ++t) RC_ASSERT(close(before[t], after[t], 1e-7));
}
RC_GTEST_PROP(GroupMean, AShiftOfTheRewardHasNoEffect, ()) { expect_no_effect_of_a_shift(advantage::GroupMean{}); }
RC_GTEST_PROP(GroupZScore, AShiftOfTheRewardHasNoEffect, ()) { expect_no_effect_of_a_shift(advantage::GroupZScore{}); }
RC_GTEST_PROP(LeaveOneOut, AShiftOfTheRewardHasNoEffect, ()) { expect_no_effect_of_a_shift(advantage::LeaveOneOut{}); }
RC_GTEST_PROP(LeaveOneOutZScore, AShiftOfTheRewardHasNoEffect, ()) {
    expect_no_effect_of_a_shift(advantage::LeaveOneOutZScore{});
}
RC_GTEST_PROP(GroupMeanBatchSpread, AShiftOfTheRewardHasNoEffect, ()) {
    expect_no_effect_of_a_shift(advantage::GroupMeanBatchSpread{});
}
RC_GTEST_PROP(LengthWeightedBaseline, AShiftOfTheRewardHasNoEffect, ()) {
    expect_no_effect_of_a_shift(advantage::LengthWeightedBaseline{});
}
RC_GTEST_PROP(BestMinusSecond, AShiftOfTheRewardHasNoEffect, ()) {
    expect_no_effect_of_a_shift(advantage::BestMinusSecond{});
}

/// sum over a group of weight(sequence) * its advantage
template <class Part, class Weight>
void expect_group_sums_of_zero(const Part& part, Weight&& weight) {
    Draw draw = any_draw();
    auto groups = draw.offsets(draw.whole(0, 5), 9);
    auto tokens = draw.offsets(groups.back(), 6);
    for (std::size_t i = 1; i < tokens.size(); ++i)
        tokens[i] += std::int64_t(i);  // none empty: each shows its advantage
    Batch<double, columns<col::groups, col::reward, col::advantage>> batch(tokens, groups);
    for (double& reward : batch[col::reward{}]) reward = draw.real(-2, 2);
    auto advantage = estimated(part, batch);
    for (std::size_t g = 0; g + 1 < groups.size(); ++g) {
        double sum = 0;
        for (auto i = std::size_t(groups[g]); i < std::size_t(groups[g + 1]); ++i)
            sum += weight(tokens[i + 1] - tokens[i]) * advantage[std::size_t(tokens[i])];
        RC_ASSERT(std::abs(sum) <= 1e-9);
    }
}
double one_each(std::int64_t) { return 1.0; }
RC_GTEST_PROP(GroupMean, SumsToZeroInAGroup, ()) { expect_group_sums_of_zero(advantage::GroupMean{}, one_each); }
RC_GTEST_PROP(LeaveOneOut, SumsToZeroInAGroup, ()) { expect_group_sums_of_zero(advantage::LeaveOneOut{}, one_each); }
RC_GTEST_PROP(GroupZScore, SumsToZeroInAGroup, ()) { expect_group_sums_of_zero(advantage::GroupZScore{}, one_each); }
RC_GTEST_PROP(GroupMeanBatchSpread, SumsToZeroInAGroup, ()) {
    expect_group_sums_of_zero(advantage::GroupMeanBatchSpread{}, one_each);
}
RC_GTEST_PROP(LengthWeightedBaseline, SumsToZeroOverTheTokensOfAGroup, ()) {
    expect_group_sums_of_zero(advantage::LengthWeightedBaseline{}, [](std::int64_t length) { return double(length); });
}

template <class Part>
void expect_zero_without_a_difference() {
    std::vector<double> reward(8, 0.1);
    reward[7] = 0.7;  // a group of one
    for (double x : of_rewards(Part{}, {0, 3, 3, 7, 8}, reward)) EXPECT_EQ(x, 0.0);
}
TEST(GroupAdvantages, EqualRewardsAndAGroupOfOneGiveExactlyZero) {
    expect_zero_without_a_difference<advantage::GroupMean>();
    expect_zero_without_a_difference<advantage::GroupZScore>();
    expect_zero_without_a_difference<advantage::LeaveOneOut>();
    expect_zero_without_a_difference<advantage::LeaveOneOutZScore>();
    expect_zero_without_a_difference<advantage::GroupMeanBatchSpread>();
    expect_zero_without_a_difference<advantage::LengthWeightedBaseline>();
    expect_zero_without_a_difference<advantage::BestMinusSecond>();
}

TEST(GroupAdvantages, AnEmptyBatchIsNoError) {
    EXPECT_TRUE(of_rewards(advantage::LeaveOneOutZScore{}, {0}, {}).empty());
    EXPECT_TRUE(of_rewards(advantage::LengthWeightedBaseline{}, {0, 0}, {}).empty());
    EXPECT_TRUE(of_rewards(advantage::ScaledMeanBaseline{}, {0}, {}).empty());
    EXPECT_TRUE(of_rewards(advantage::BestMinusSecond{}, {0, 0, 0}, {}).empty());
}

RC_GTEST_PROP(LeaveOneOutZScore, LooksAtTheOthersAlone, ()) {
    Draw draw = any_draw();
    std::vector<double> reward(static_cast<std::size_t>(draw.whole(1, 9)));
    for (double& r : reward) r = draw.chance(0.5) ? double(draw.whole(0, 1)) : draw.real(-1, 1);
    if (draw.chance(0.3)) reward[0] = 1e7;  // must take no digits from the spread of the others
    auto advantage = of_rewards(advantage::LeaveOneOutZScore{}, {0, std::ssize(reward)}, reward);
    for (std::size_t i = 0; i < reward.size(); ++i) {
        std::vector<double> others;
        for (std::size_t j = 0; j < reward.size(); ++j)
            if (j != i) others.push_back(reward[j]);
        double mean = 0, squares = 0, n = double(others.size());
        for (double r : others) mean += r / n;
        for (double r : others) squares += (r - mean) * (r - mean);
        bool equal = std::equal(others.begin() + !others.empty(), others.end(), others.begin());
        double scale = equal ? 1.0 : std::sqrt(squares / (n - 1)) + 1e-6;
        RC_ASSERT(close(advantage[i], others.empty() ? 0.0 : (reward[i] - mean) / scale, 1e-8));
    }
}

TEST(LengthWeightedBaseline, CountsTrainableTokens) {
    Batch<double, GroupColumns> batch(std::vector<std::int64_t>{0, 3, 4}, std::vector<std::int64_t>{0, 2});
    batch[col::reward{}][0] = 1.0;
    EXPECT_EQ(estimated(advantage::LengthWeightedBaseline{}, batch), (std::vector<double>{0, 0, 0, 0}));  // all masked
    for (std::size_t t : {0, 1, 3}) batch[col::mask{}][t] = 1;
    EXPECT_DOUBLE_EQ(estimated(advantage::LengthWeightedBaseline{}, batch)[0], 1.0 - 2.0 / 3.0);
}

TEST(BestMinusSecond, TheFirstOfTheBestGetsItAll) {
    advantage::BestMinusSecond part{.eps = 0.0};
    EXPECT_EQ(of_rewards(part, {0, 4}, {0, 2, 0, 0}), (std::vector<double>{0, 2, 0, 0}));  // spread 1
    EXPECT_EQ(of_rewards(part, {0, 3}, {1, 0, 1}), (std::vector<double>{0, 0, 0}));
}

TEST(ScaledMeanBaseline, CountsTheAnswersThatScored) {
    advantage::ScaledMeanBaseline part{.scale = {.norm = 2.0}};
    // 5 sequences, 2 scored: alpha = 5 / 2; the last one stands alone and keeps its reward.
    auto advantage = of_rewards(part, {0, 4, 5}, {1, 0, 0, 0, 3});
    std::vector<double> expected{0.75 * 1.25, -0.25 * 1.25, -0.25 * 1.25, -0.25 * 1.25, 3 * 1.25};
    for (std::size_t i = 0; i < 5; ++i) EXPECT_DOUBLE_EQ(advantage[i], expected[i]);
    EXPECT_EQ(of_rewards(part, {0, 1}, {0})[0], 0.0);
}

using ComponentColumns = columns<col::groups, col::outcome, col::component_reward, col::advantage>;

/// The outcome of a sequence, stretched.
struct Stretched {
    double factor = 1.0;
    using needs = columns<col::outcome>;
    using gives = columns<col::reward>;
    template <class X>
    double value(const X& x) const {
        return factor * x[col::outcome{}];
    }
};
using Components = reward::Components<reward::Verified, Stretched>;
static_assert(RewardPart<Components>);

std::vector<double> of_components(const Components& components, const advantage::DecoupledComponents& part,
                                  std::vector<std::int64_t> groups, const std::vector<double>& outcome) {
    std::vector<std::int64_t> tokens(outcome.size() + 1);
    for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = std::int64_t(i);
    Batch<double, ComponentColumns> batch(tokens, groups);
    std::copy(outcome.begin(), outcome.end(), batch[col::outcome{}].begin());
    backend::Host host;
    Run run{host};
    components.score(run, batch);
    return estimated(part, batch);
}

TEST(DecoupledComponents, TheScaleOfAComponentHasNoEffect) {
    advantage::DecoupledComponents part{.eps = 0.0};
    auto small = of_components({reward::Verified{}, Stretched{1.0}}, part, {0, 3}, {1, 0, 0.5});
    auto large = of_components({reward::Verified{}, Stretched{1000.0}}, part, {0, 3}, {1, 0, 0.5});
    for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(small[i], large[i], 1e-12);
    EXPECT_NEAR(small[0], 2.0, 1e-12);  // one standard deviation from each
}

TEST(DecoupledComponents, WeighsEachAndKeepsTheRawValuesOfAGroupOfOne) {
    advantage::DecoupledComponents part;
    part.weight = {1.0, 0.5};
    EXPECT_EQ(of_components({reward::Verified{}, Stretched{10.0}}, part, {0, 1, 3}, {2, 7, 7}),
              (std::vector<double>{2 + 0.5 * 20, 0, 0}));
}

TEST(DecoupledComponents, RefusesMoreComponentsThanItHasWeights) {
    Batch<double, ComponentColumns> batch(std::vector<std::int64_t>{0, 1}, std::vector<std::int64_t>{0, 1});
    batch.set_width(col::component_reward{}, 17);
    EXPECT_THROW(estimated(advantage::DecoupledComponents{}, batch), Error);
}

/// What compares the answers of a group sees no other group: any cut between groups changes nothing, bit for bit.
template <class Part>
void expect_groups_alone(const Part& part) {
    Draw draw = any_draw();
    auto batch = random_batch<GroupColumns>(draw);
    if (draw.chance(0.3))
        for (double& reward : batch[col::reward{}]) reward = double(reward > 0);
    auto host = small_grain(draw);
    auto whole = estimated(part, batch, host);
    std::vector<double> pieces;
    for (std::int64_t g = 0; g < batch.groups();) {
        std::int64_t next = draw.whole(g + 1, batch.groups());
        auto piece = batch.slice_groups(g, next);
        auto own = estimated(part, piece, host);
        pieces.insert(pieces.end(), own.begin(), own.end());
        g = next;
    }
    RC_ASSERT(pieces == whole);
}
RC_GTEST_PROP(GroupAdvantages, DoNotDependOnTheCut, ()) {
    expect_groups_alone(advantage::GroupMean{});
    expect_groups_alone(advantage::GroupZScore{});
    expect_groups_alone(advantage::LeaveOneOut{});
    expect_groups_alone(advantage::LeaveOneOutZScore{});
    expect_groups_alone(advantage::LengthWeightedBaseline{});
    expect_groups_alone(advantage::BestMinusSecond{});
}

}  // namespace
}  // namespace roars::groups_test
