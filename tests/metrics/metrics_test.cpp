#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "../limits.hpp"
#include "roars/metrics/confidence.hpp"
#include "roars/metrics/estimates.hpp"
#include "roars/metrics/groups.hpp"

namespace roars::metrics_test {
namespace {

using namespace roars::metrics;

/// The share of all subsets of k of n samples, the first c of them right, that hold a right one.
double slow_pass_at_k(int n, int c, int k) {
    int all = 0, good = 0;
    for (unsigned subset = 0; subset < 1u << n; ++subset) {
        if (__builtin_popcount(subset) != k) continue;
        ++all;
        good += (subset & ((1u << c) - 1)) != 0;
    }
    return double(good) / double(all);
}

RC_GTEST_PROP(MetricsProperty, PassAtKIsTheShareOfSubsets, ()) {
    int n = *rc::gen::inRange(1, 11), c = *rc::gen::inRange(0, n + 1), k = *rc::gen::inRange(1, n + 1);
    RC_ASSERT(std::abs(pass_at_k(n, c, k) - slow_pass_at_k(n, c, k)) < 1e-14);
}

TEST(Metrics, PassAtKOfManySamples) {
    EXPECT_EQ(pass_at_k(100000, 0, 1000), 0.0);
    EXPECT_EQ(pass_at_k(100000, 100000, 1), 1.0);
    EXPECT_EQ(pass_at_k(8, 1, 8), 1.0);
    EXPECT_NEAR(pass_at_k(100000, 1, 1000), 0.01, 1e-15);
    double log_none = std::lgamma(50001.0) - std::lgamma(49981.0) - std::lgamma(100001.0) + std::lgamma(99981.0);
    EXPECT_NEAR(pass_at_k(100000, 50000, 20), 1.0 - std::exp(log_none), 1e-14);
    EXPECT_EQ(pass_at_k(4, 0, 0), 0.0);
    EXPECT_THROW(pass_at_k(8, 7, 9), Error) << "eight samples cannot tell what nine would hold";
    EXPECT_THROW(pass_at_k(8, 0, 9), Error);
    EXPECT_THROW(pass_at_k(8, 9, 1), Error);
    EXPECT_THROW(pass_at_k(8, 1, -1), Error);
}

TEST(Metrics, ExplainedVariance) {
    backend::Host host;
    std::vector<double> returns = {1, 2, 3, 4}, mean(4, 2.5), shifted = {11, 12, 13, 14}, equal(4, 0.1),
                        wrong = {4, 3, 2, 1};
    auto explained = [&](const std::vector<double>& r, const std::vector<double>& v) {
        return explained_variance(host, std::span(r), std::span(v));
    };
    EXPECT_EQ(explained(returns, returns), 1.0);
    EXPECT_EQ(explained(returns, mean), 0.0);
    EXPECT_EQ(explained(returns, shifted), 1.0);  // a constant error is not variance
    EXPECT_EQ(explained(returns, wrong), -3.0);
    EXPECT_TRUE(std::isnan(explained(equal, returns)));
    EXPECT_TRUE(std::isnan(explained({}, {})));
    EXPECT_THROW(explained(returns, {}), Error);
}

RC_GTEST_PROP(MetricsProperty, EffectiveSampleSizeIsAShare, ()) {
    auto weight = *rc::gen::nonEmpty(rc::gen::container<std::vector<double>>(
        rc::gen::map(rc::gen::inRange(0, 100), [](int x) { return x / 16.0; })));
    double share = effective_sample_size(std::span(weight)), n = double(weight.size());
    double sum = 0;
    for (double w : weight) sum += w;
    if (sum == 0) {
        RC_ASSERT(share == 0.0);
        return;
    }
    RC_ASSERT(share >= 1.0 / n - 1e-12 && share <= 1.0 + 1e-12);
    auto scaled = weight;
    for (double& w : scaled) w *= 8;
    RC_ASSERT(std::abs(effective_sample_size(std::span(scaled)) - share) < 1e-12);
    std::vector<double> same(weight.size(), 0.3), single(weight.size(), 0.0);
    single.back() = 5;
    RC_ASSERT(std::abs(effective_sample_size(std::span(same)) - 1.0) < 1e-12);
    RC_ASSERT(effective_sample_size(std::span(single)) == 1.0 / n);
}

TEST(Metrics, MasksHideWhatStandsThere) {
    backend::Host host;
    std::vector<double> x = {1, nan, 3, nan}, mask = {1, 0, 1, 0}, none(4);
    auto some = masked_mean(host, std::span(x), std::span(mask)),
         nothing = masked_mean(host, std::span(x), std::span(none));
    EXPECT_EQ(some.mean, 2.0);
    EXPECT_EQ(some.count, 2);
    EXPECT_EQ(nothing.mean, 0.0);
    EXPECT_EQ(nothing.count, 0);

    std::vector<double> logp = {0, nan, std::log(1.3), std::log(0.7)}, old(4), all = {1, 0, 1, 1};
    auto outside = outside_clip(std::span(logp), std::span(old), std::span(all), 0.2, 0.4);
    EXPECT_EQ(outside.count, 3);
    EXPECT_DOUBLE_EQ(outside.mean, 1.0 / 3);
    EXPECT_DOUBLE_EQ(outside_clip(std::span(logp), std::span(old), std::span(all), 0.2, 0.2).mean, 2.0 / 3);
    EXPECT_EQ(outside_clip(std::span(logp), std::span(old), std::span(none), 0.2, 0.2).count, 0);
}

TEST(Metrics, AnswersOfAGroup) {
    std::vector<std::int32_t> same(7, 3), different = {5, 1, 9, 2}, mixed = {4, 8, 4, 8, 4, 4}, none;
    EXPECT_EQ(answer_entropy(std::span(same)), 0.0);
    EXPECT_EQ(answer_entropy(std::span(none)), 0.0);
    EXPECT_NEAR(answer_entropy(std::span(different)), std::log(4.0), 1e-15);
    EXPECT_NEAR(answer_entropy(std::span(mixed)), -(2.0 / 3) * std::log(2.0 / 3) - std::log(1.0 / 3) / 3, 1e-15);
    EXPECT_EQ(distinct_answers(std::span(mixed)), 2);
    EXPECT_EQ(distinct_answers(std::span(none)), 0);
}

TEST(Metrics, RatesOfGroups) {
    std::vector<std::int64_t> groups = {0, 2, 2, 5, 6, 8};
    std::vector<float> outcome = {0, 0, 1, 0, 1, 1, 1, 1};
    auto rates = group_rates(groups, std::span(outcome));
    EXPECT_EQ(rates.groups, 4);
    EXPECT_EQ(rates.solved, 0.75);
    EXPECT_EQ(rates.all_right, 0.5);
    EXPECT_EQ(rates.effective, 0.25);
    EXPECT_EQ(group_rates({}, std::span(outcome)).groups, 0);

    auto pass = mean_pass_at_k(groups, std::span(outcome), 2);
    EXPECT_EQ(pass.count, 3);  // the group of one is too small
    EXPECT_DOUBLE_EQ(pass.mean, (0.0 + 1.0 + 1.0) / 3);
    EXPECT_DOUBLE_EQ(mean_pass_at_k(groups, std::span(outcome), 1).mean, (0 + 2.0 / 3 + 1 + 1) / 4);
    EXPECT_EQ(mean_pass_at_k(groups, std::span(outcome), 9).count, 0);
}

/// Ratios of 1.5 and 0.5 with advantages of both signs: only moving further out is held.
TEST(Metrics, TheClipHoldsWhatMovesOutwards) {
    std::vector<double> logp = {std::log(1.5), std::log(1.5), std::log(0.5), std::log(0.5), std::log(1.5), nan}, old(6),
                        advantage = {1, -1, 1, -1, 0, 1}, mask = {1, 1, 1, 1, 1, 0};
    auto held = [&](double low, double high) {
        return held_by_clip(std::span(logp), std::span(old), std::span(advantage), std::span(mask), low, high);
    };
    EXPECT_EQ(held(0.2, 0.2).count, 5);
    EXPECT_EQ(held(0.2, 0.2).mean, 0.4);
    EXPECT_EQ(held(0.6, 0.2).mean, 0.2);
    EXPECT_EQ(held(0.6, 0.6).mean, 0.0);
    std::vector<double> none(6);
    EXPECT_EQ(held_by_clip(std::span(logp), std::span(old), std::span(advantage), std::span(none), 0.2, 0.2).count, 0);
    EXPECT_THROW(held_by_clip(std::span(logp), std::span(old), std::span(none).first(3), std::span(mask), 0.2, 0.2),
                 Error);
}

/// The mean over all subsets of k samples of the share of right answers in it.
RC_GTEST_PROP(MetricsProperty, CoverageIsTheMeanOverSubsets, ()) {
    auto answers = *rc::gen::resize(
        9, rc::gen::nonEmpty(rc::gen::container<std::vector<std::int32_t>>(rc::gen::inRange<std::int32_t>(0, 5))));
    const std::vector<std::int32_t> right = {1, 3, 7};  // 7 is never met
    int n = int(answers.size()), k = *rc::gen::inRange(0, n + 1);
    double sum = 0, subsets = 0;
    for (unsigned subset = 0; subset < 1u << n; ++subset) {
        if (__builtin_popcount(subset) != k) continue;
        ++subsets;
        for (std::int32_t each : right) {
            bool met = false;
            for (int i = 0; i < n; ++i) met |= (subset >> i & 1) && answers[std::size_t(i)] == each;
            sum += met / 3.0;
        }
    }
    RC_ASSERT(std::abs(coverage_at_k(std::span(answers), std::span(right), k) - sum / subsets) < 1e-13);
    RC_ASSERT(coverage_at_k(std::span(answers), {}, k) == 0.0);
    RC_ASSERT_THROWS_AS(coverage_at_k(std::span(answers), std::span(right), n + 1), Error);
}

TEST(Metrics, StudentsBoundsAreThoseOfTheTables) {
    EXPECT_NEAR(student_bound(0.95, 1), 12.7062047362, 1e-9);
    EXPECT_NEAR(student_bound(0.95, 2), 4.3026527297, 1e-9);
    EXPECT_NEAR(student_bound(0.95, 4), 2.7764451052, 1e-9);
    EXPECT_NEAR(student_bound(0.95, 9), 2.2621571628, 1e-9);
    EXPECT_NEAR(student_bound(0.99, 7), 3.4994832974, 1e-9);
    EXPECT_NEAR(student_bound(0.95, 100000), 1.95998771, 1e-7);
    EXPECT_THROW(student_bound(0.95, 0), Error);
    EXPECT_THROW(student_bound(1.0, 3), Error);
}

TEST(Metrics, AMeanAndWhatItsNumbersSayOfIt) {
    const std::vector<double> five = {1, 2, 3, 4, 5}, one = {7}, same(4, 0.25);
    auto interval = mean_interval(five);
    EXPECT_DOUBLE_EQ(interval.mean, 3.0);
    EXPECT_NEAR(interval.high - 3.0, 2.7764451052 * std::sqrt(2.5 / 5), 1e-9);
    EXPECT_NEAR(3.0 - interval.low, interval.high - 3.0, 1e-12);
    EXPECT_EQ(mean_interval(one).mean, 7.0);
    EXPECT_EQ(mean_interval(one).high, std::numeric_limits<double>::infinity());
    EXPECT_EQ(mean_interval(same).low, 0.25);
    EXPECT_EQ(mean_interval(same).high, 0.25);
    EXPECT_EQ(mean_interval({}).count, 0);
}

}  // namespace
}  // namespace roars::metrics_test
