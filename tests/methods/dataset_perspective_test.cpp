#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "../advantage/random_batch.hpp"
#include "roars/critic/logged_action.hpp"
#include "roars/critic/multistep.hpp"
#include "roars/metrics/coverage.hpp"
#include "roars/metrics/dataset_quality.hpp"

namespace roars::dataset_perspective_test {
namespace {

using Values = std::vector<double>;
using Wholes = std::vector<std::int64_t>;
using View = std::span<const double>;

RC_GTEST_PROP(Coverage, ACellIsTheNumberOfEdgesNotAbove, ()) {
    Draw draw = any_draw();
    double low = draw.real(-3, 3), high = draw.chance(0.1) ? low : low + draw.real(0, 5);
    std::int64_t bins = draw.whole(1, 12);
    metrics::Cells cells(low, high, bins);
    std::int32_t before = 0;
    for (double x = -4; x < 9; x += 0.37) {
        std::int32_t cell = cells(x), slow = 0;
        for (std::int64_t j = 0; j < bins; ++j)
            slow += (bins == 1 ? low : low + double(j) * (high - low) / double(bins - 1)) <= x;
        RC_ASSERT(cell >= before);
        RC_ASSERT(cell == slow || std::abs(x - high) < 1e-9);
        before = cell;
    }
    RC_ASSERT(cells(low - 1e-6) == 0);
    RC_ASSERT(cells(high) == bins);
    RC_ASSERT(cells(std::numeric_limits<double>::infinity()) == bins);
}

RC_GTEST_PROP(Coverage, DistinctRowsAreCountedAsASetCountsThem, ()) {
    Draw draw = any_draw();
    std::int64_t width = draw.whole(1, 4), count = draw.whole(0, 300), values = draw.whole(1, 6);
    std::vector<std::int32_t> rows;
    std::set<std::vector<std::int32_t>> slow;
    for (std::int64_t i = 0; i < count; ++i) {
        std::vector<std::int32_t> row;
        for (std::int64_t c = 0; c < width; ++c)
            row.push_back(std::int32_t(draw.whole(-values, values)) * (draw.chance(0.1) ? 1 << 24 : 1));
        rows.insert(rows.end(), row.begin(), row.end());
        slow.insert(row);
    }
    RC_ASSERT(metrics::distinct_rows(rows, width) == std::ssize(slow));
    rows.insert(rows.end(), rows.begin(), rows.end());
    RC_ASSERT(metrics::distinct_rows(rows, width) == std::ssize(slow));
}

TEST(Coverage, ZeroHasOneCellAndRowsThatDifferInNothingElseCountOnce) {
    backend::Host host;
    metrics::Discretisation cells(Values{-1, 1, 0, 2}, 100);
    auto found = cells(host, Values{0.0, 1, -0.0, 1, 0.0, 2});
    EXPECT_EQ(metrics::distinct_rows(found, 2), 2);
    EXPECT_THROW(cells(host, Values{0.0}), Error);
    EXPECT_THROW(cells(host, Values{0.0, std::nan("")}), Error);
    EXPECT_TRUE(cells(host, {}).empty());
    EXPECT_THROW(metrics::Discretisation(Values{0}, 3), Error);
    EXPECT_THROW(metrics::Cells(2, 1, 3), Error);
    EXPECT_THROW(metrics::Cells(0, 1, 0), Error);
    EXPECT_EQ(metrics::limits_of(Values{3, 1, -2, 5, 0, 4}, 2), (Values{-2, 3, 1, 5}));
    EXPECT_THROW(metrics::limits_of({}, 2), Error);
}

TEST(Coverage, WhatIsUndefinedIsNotANumber) {
    EXPECT_EQ((metrics::Coverage{0, 5}.ratio()), 0.0);
    EXPECT_TRUE(std::isnan(metrics::Coverage{5, 0}.ratio()));
    EXPECT_TRUE(std::isnan(metrics::Coverage{0, 5}.log_ratio()));
    EXPECT_TRUE(std::isnan(metrics::Coverage{5, 1}.log_ratio()));
    EXPECT_EQ((metrics::Coverage{1, 5}.log_ratio()), 0.0);
    EXPECT_EQ((metrics::Coverage{6, 4}.ratio()), 1.5);
}

RC_GTEST_PROP(Occupancy, NoMorePairsAreInEffectThanThereAre, ()) {
    Draw draw = any_draw();
    Wholes state, action;
    for (std::int64_t i = draw.whole(1, 60); i > 0; --i)
        state.push_back(draw.whole(0, 3)), action.push_back(draw.whole(0, 2));
    auto once = metrics::occupancy(state, action, 4, 3);
    RC_ASSERT(once.effective_pairs <= double(once.unique) + 1e-9);
    RC_ASSERT(once.policy_entropy >= 0.0 && once.policy_entropy <= 1.0 + 1e-12);
    // A row twice: the same pairs, another entropy; all rows twice: the same of everything.
    Wholes states = state, actions = action;
    states.push_back(state[0]), actions.push_back(action[0]);
    RC_ASSERT(metrics::occupancy(states, actions, 4, 3).unique == once.unique);
    states = state, actions = action;
    states.insert(states.end(), state.begin(), state.end());
    actions.insert(actions.end(), action.begin(), action.end());
    RC_ASSERT(close(metrics::occupancy(states, actions, 4, 3).entropy, once.entropy));
}

TEST(Occupancy, UniformAndDegenerate) {
    auto uniform = metrics::occupancy(Wholes{0, 0, 1, 1}, Wholes{0, 1, 0, 1}, 2, 2);
    EXPECT_NEAR(uniform.effective_pairs, 4.0, 1e-12);
    EXPECT_NEAR(uniform.policy_entropy, 1.0, 1e-12);
    EXPECT_EQ(metrics::occupancy(Wholes{0, 0}, Wholes{0, 0}, 1, 1).policy_entropy, 0.0);
    auto nothing = metrics::occupancy(Wholes{}, Wholes{}, 2, 2);
    EXPECT_EQ(nothing.unique, 0);
    EXPECT_EQ(nothing.entropy, 0.0);
    EXPECT_TRUE(std::isnan(nothing.policy_entropy));
    EXPECT_THROW(metrics::occupancy(Wholes{2}, Wholes{0}, 2, 2), Error);
    EXPECT_THROW(metrics::occupancy(Wholes{0}, Wholes{-1}, 2, 2), Error);
    EXPECT_THROW(metrics::occupancy(Wholes{0, 1}, Wholes{0}, 2, 2), Error);
}

TEST(TrajectoryQuality, CompleteTrajectoriesAlone) {
    backend::Host host;
    Values reward{1, 1, 4, 7, 100}, done{0, 1, 1, 0, 0};
    auto returns = metrics::trajectory_returns(host, reward, done, 0.5);
    EXPECT_EQ(returns, (Values{1.5, 4}));
    EXPECT_NEAR(metrics::trajectory_quality(host, returns, 0.75, 1.75), 2.0, 1e-15);
    EXPECT_NEAR(metrics::trajectory_quality(host, returns, 2.75, 3.75), 0.0, 1e-15);
    EXPECT_LT(metrics::trajectory_quality(host, returns, 3, 4), 0.0);
    EXPECT_TRUE(std::isnan(metrics::trajectory_quality(host, returns, 1, 1)));
    EXPECT_TRUE(std::isnan(metrics::trajectory_quality(host, {}, 0, 1)));
    EXPECT_TRUE(metrics::trajectory_returns(host, Values{1, 2}, Values{0, 0}, 1.0).empty());
    EXPECT_TRUE(metrics::trajectory_returns(host, {}, {}, 1.0).empty());
    EXPECT_THROW(metrics::trajectory_returns(host, Values{1}, {}, 1.0), Error);
    // Shifting and scaling all returns changes nothing.
    for (double& each : returns) each = 3 * each - 2;
    EXPECT_NEAR(metrics::trajectory_quality(host, returns, 3 * 0.75 - 2, 3 * 1.75 - 2), 2.0, 1e-14);
}

TEST(StudyScore, TheBestCheckpointOfTheMeanRun) {
    backend::Host host;
    // Two runs at three checkpoints: the best mean, not the best run.
    EXPECT_NEAR(metrics::study_score(host, Values{9, 0, 5, 5, 1, 1}, 2, 1.0, 3.0), 2.0, 1e-15);
    EXPECT_TRUE(std::isnan(metrics::study_score(host, Values{1, 2}, 2, 3.0, 3.0)));
    EXPECT_TRUE(std::isnan(metrics::study_score(host, {}, 2, 0.0, 3.0)));
    EXPECT_THROW(metrics::study_score(host, Values{1, 2, 3}, 2, 0.0, 3.0), Error);
}

RC_GTEST_PROP(Correlation, IsOneOfALineAndIgnoresUnits, ()) {
    Draw draw = any_draw();
    backend::Host host;
    Values x, y, line;
    double slope = draw.real(0.1, 3) * (draw.chance(0.5) ? 1 : -1);
    for (std::int64_t i = draw.whole(2, 20); i > 0; --i) {
        x.push_back(draw.real(-2, 2));
        y.push_back(draw.real(-2, 2));
        line.push_back(slope * x.back() + 5);
    }
    RC_ASSERT(close(metrics::correlation(host, x, line), slope > 0 ? 1.0 : -1.0, 1e-9));
    double plain = metrics::correlation(host, x, y);
    RC_ASSERT(std::abs(plain) <= 1.0 + 1e-12);
    RC_ASSERT(close(metrics::correlation(host, line, y), slope > 0 ? plain : -plain, 1e-9));
    RC_ASSERT(close(metrics::correlation(host, y, x), plain));
}

TEST(Correlation, OfEqualNumbersOrOnePairIsUndefined) {
    backend::Host host;
    EXPECT_TRUE(std::isnan(metrics::correlation(host, Values{0.1, 0.1, 0.1}, Values{1, 2, 3})));
    EXPECT_TRUE(std::isnan(metrics::correlation(host, Values{1}, Values{2})));
    EXPECT_TRUE(std::isnan(metrics::correlation(host, {}, {})));
    EXPECT_THROW(metrics::correlation(host, Values{1, 2}, Values{1}), Error);
}

RC_GTEST_PROP(LoggedAction, FollowsTheDefinitionAndNeverLooksBehindAnEnd, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    auto streams = draw.offsets(4, 20);
    auto count = static_cast<std::size_t>(streams.back());
    Values reward(count), ended(count), q(count), after(4), target(count), monte_carlo(count), zero(count);
    for (std::size_t t = 0; t < count; ++t)
        reward[t] = draw.real(-1, 1), ended[t] = draw.chance(0.2), q[t] = draw.real(-1, 1);
    for (double& each : after) each = draw.real(-1, 1);
    Values spoilt = q;
    for (std::size_t t = 1; t < count; ++t)
        if (ended[t - 1] != 0) spoilt[t] = not_a_number;
    critic::LoggedAction{0.9}.target(host, streams, View(reward), View(ended), View(spoilt), View(after),
                                     std::span(target));
    critic::LambdaReturn{0.9, 1.0}.target(host, critic::Steps<double>{streams, reward, zero, ended, ended},
                                          std::span(monte_carlo));
    for (std::size_t i = 0; i < 4; ++i) {
        double tail = 0.0;
        for (auto t = std::size_t(streams[i + 1]); t-- > std::size_t(streams[i]);) {
            double next = t + 1 == std::size_t(streams[i + 1]) ? after[i] : spoilt[t + 1];
            RC_ASSERT(close(target[t], ended[t] != 0 ? reward[t] : reward[t] + 0.9 * next));
            tail = reward[t] + (ended[t] != 0 ? 0.0 : 0.9 * tail);
            RC_ASSERT(close(monte_carlo[t], tail));
        }
    }
}

}  // namespace
}  // namespace roars::dataset_perspective_test
