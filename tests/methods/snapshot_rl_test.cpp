#include "rows.hpp"

#include <numeric>
#include <set>

#include "roars/metrics/sample_efficiency.hpp"
#include "roars/sampler/snapshots.hpp"

namespace roars::snapshot_rl_test {
namespace {

using sampler::ByValue;
using sampler::ClusteredSnapshots;
using sampler::SnapshotPhases;
using sampler::SnapshotRows;
using Indices = std::vector<std::int64_t>;

Clusters clusters_of(const Values& x, std::int64_t k, std::int64_t iterations = 100) {
    return k_means(View(x), k, iterations);
}

RC_GTEST_PROP(KMeans, EveryNumberIsWithItsNearestCentroidWhichIsItsClustersMean, (std::uint32_t seed)) {
    Numbers numbers(seed);
    Values x = numbers.reals(numbers.whole(1, 40));
    for (double& each : x) each = std::round(each * 8) / 8;  // some come often
    std::int64_t k = numbers.whole(1, 8);
    Clusters found = clusters_of(x, k);
    auto sizes = found.sizes();
    Values sum(found.centroid.size());
    double inertia = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        double own = std::abs(x[i] - found.centroid[std::size_t(found.label[i])]);
        for (double centroid : found.centroid) RC_ASSERT(own <= std::abs(x[i] - centroid));
        sum[std::size_t(found.label[i])] += x[i];
        inertia += own * own;
    }
    for (std::size_t j = 0; j < sum.size(); ++j)
        if (sizes[j] > 0) RC_ASSERT(std::abs(sum[j] / double(sizes[j]) - found.centroid[j]) <= 1e-12);
    RC_ASSERT(std::abs(inertia - found.inertia) <= 1e-9);
    RC_ASSERT(std::is_sorted(found.centroid.begin(), found.centroid.end()));
    RC_ASSERT(std::ssize(found.centroid) ==
              std::min<std::int64_t>(k, std::ssize(std::set<double>(x.begin(), x.end()))));
    // Never worse than the starts.
    RC_ASSERT(found.inertia <= clusters_of(x, k, 0).inertia + 1e-12);
    // The order of the numbers does not matter, but for the rounding of the means.
    Values turned(x.rbegin(), x.rend());
    RC_ASSERT(std::abs(clusters_of(turned, k).inertia - found.inertia) <= 1e-9);
}
TEST(KMeans, FewDifferentNumbers) {
    EXPECT_EQ(clusters_of({2, 2, 2}, 6).label, (Indices{0, 0, 0}));
    EXPECT_EQ(clusters_of({2, 2, 2}, 6).centroid, (Values{2}));
    EXPECT_EQ(clusters_of({3, 1, 3}, 6).label, (Indices{1, 0, 1}));
    EXPECT_TRUE(clusters_of({}, 3).label.empty());
    EXPECT_EQ(clusters_of({}, 3).inertia, 0.0);
}
TEST(KMeans, StartsAreDistinctNumbersHoweverOftenOneComes) {
    Values x(200, 0.0);
    x.insert(x.end(), {1, 2, 3});
    Clusters found = clusters_of(x, 4);
    EXPECT_EQ(found.centroid, (Values{0, 1, 2, 3}));
    EXPECT_EQ(found.inertia, 0.0);
}
TEST(KMeans, OfTwoEquallyNearTheLower) { EXPECT_EQ(clusters_of({0, 1, 2}, 2, 0).label, (Indices{0, 0, 1})); }
TEST(KMeans, WhatIsNoNumberIsNamed) {
    expect_error([] { clusters_of({0, nan}, 2); }, "number 1 is nan");
    expect_error([] { clusters_of({infinity}, 2); }, "number 0 is inf");
    expect_error([] { clusters_of({0}, 0); }, "0 clusters, expected 1 or more");
}

TEST(SnapshotRl, TheBestEpisodesInTheOrderOfTheirReturn) {
    Indices episodes{0, 5, 5, 7, 12};
    EXPECT_EQ((SnapshotRows{2, 2}.of(episodes, Values{1, 9, 3, 1})), (Indices{5, 0, 2, 4}))
        << "the empty one is skipped, of equal ones the first is taken";
    EXPECT_EQ((SnapshotRows{10, 9}.of(episodes, Values{1, 9, 3, 1})), (Indices{5, 0, 7}));
    EXPECT_TRUE((SnapshotRows{1, 0}.of(episodes, Values{1, 9, 3, 1})).empty());
    EXPECT_TRUE((SnapshotRows{}.of({}, {})).empty());
    expect_error([&] { SnapshotRows{0, 1}.of(episodes, Values{1, 9, 3, 1}); }, "save_every");
    expect_error([&] { SnapshotRows{}.of(episodes, Values{1}); }, "episode_return has 1 values, expected 4");
}

RC_GTEST_PROP(SnapshotRl, EveryClusterIsDrawnAsOftenHoweverSmall, (std::uint32_t seed)) {
    Numbers numbers(seed);
    Values value(60, 0.0);
    value.insert(value.end(), {5, 5, 9});
    auto snapshots = ByValue{3, 100}.sorted(value);
    RC_ASSERT(snapshots.members().size() == 3u);
    Values drawn(value.size());
    for (int i = 0; i < 3000; ++i) drawn[std::size_t(snapshots.draw(numbers.real(0, 1), numbers.real(0, 1)))] += 1;
    RC_ASSERT(std::abs(drawn[62] / 3000 - 1.0 / 3) < 0.06);
    RC_ASSERT(std::abs((drawn[60] + drawn[61]) / 3000 - 1.0 / 3) < 0.06);
    auto alike = sampler::AllAlike{}.sorted(value);
    RC_ASSERT(alike.members().size() == 1u);
    RC_ASSERT(alike.draw(0.0, 61.5 / 63) == 61);
}
TEST(SnapshotRl, DrawsStayInsideAndMeetNoEmptyCluster) {
    Indices label{4, 0, 4, 0, 2};
    ClusteredSnapshots snapshots{label};
    EXPECT_EQ(snapshots.members(), (std::vector<Indices>{{1, 3}, {0, 2}, {4}})) << "equal sizes by the lower label";
    const double last = std::nextafter(1.0, 0.0);
    EXPECT_EQ(snapshots.draw(0, 0), 1);
    EXPECT_EQ(snapshots.draw(last, last), 4);
    EXPECT_EQ(snapshots.draw(1.0, 1.0), 4) << "1 itself cannot be drawn, and does not lead outside";
    expect_error([] { ClusteredSnapshots{}.draw(0, 0); }, "the store is empty");
}

/// What the plan must be, whatever terminates.
RC_GTEST_PROP(SnapshotRl, APlanKeepsItsLimits, (std::uint32_t seed)) {
    Numbers numbers(seed);
    SnapshotPhases part{numbers.whole(0, 40), numbers.whole(1, 6), numbers.whole(1, 9)};
    Values terminated = numbers.flags(40, 0.15);
    auto plan = part.plan(View(terminated));
    std::int64_t length = 0;
    for (std::size_t i = 0; i < 40; ++i) {
        length = plan.reset[i] ? 1 : length + 1;
        RC_ASSERT(length <= (plan.snapshot[i] ? part.truncate : part.horizon));
        RC_ASSERT(bool(plan.snapshot[i]) == (std::int64_t(i) < part.snapshot_steps));
        RC_ASSERT(!(terminated[i] != 0 && plan.truncated[i]));
        bool ended = i == 0 || terminated[i - 1] != 0 || plan.truncated[i - 1];
        RC_ASSERT(bool(plan.reset[i]) == ended);
    }
}
TEST(SnapshotRl, TheSwitchAbandonsARunningEpisode) {
    Values never(6);
    auto plan = SnapshotPhases{3, 100, 100}.plan(View(never));
    EXPECT_EQ(std::string(plan.truncated.begin(), plan.truncated.end()), std::string({0, 0, 1, 0, 0, 0}));
    EXPECT_EQ(std::string(plan.snapshot.begin(), plan.snapshot.end()), std::string({1, 1, 1, 0, 0, 0}));
    Values there{0, 0, 1, 0, 0, 0};
    plan = SnapshotPhases{3, 3, 100}.plan(View(there));
    EXPECT_EQ(plan.truncated[2], 0) << "terminated on the very step of its limit";
    EXPECT_EQ(plan.reset[3], 1);
    plan = SnapshotPhases{0, 1, 2}.plan(View(never));
    EXPECT_EQ(std::accumulate(plan.snapshot.begin(), plan.snapshot.end(), 0), 0) << "the plain host";
    EXPECT_EQ(std::accumulate(plan.truncated.begin(), plan.truncated.end(), 0), 3);
    plan = SnapshotPhases{6, 100, 1}.plan(View(never));
    EXPECT_EQ(std::accumulate(plan.snapshot.begin(), plan.snapshot.end(), 0), 6);
    expect_error([&] { SnapshotPhases{3, 0, 5}.plan(View(never)); }, "truncate is 0");
    EXPECT_TRUE(SnapshotPhases{}.plan(View()).reset.empty());
}

TEST(SnapshotRl, SampleEfficiency) {
    Values curve{0, 1, 3};
    Indices steps{10, 20, 30};
    EXPECT_EQ(metrics::curve_area(curve), 4.0 / 3);
    EXPECT_EQ(metrics::steps_to_threshold(steps, curve, 1.0), 20.0);
    EXPECT_EQ(metrics::steps_to_threshold(steps, curve, 3.5), infinity);
    EXPECT_EQ(metrics::relative_gain(1.0, -2.0), 1.5);
    EXPECT_TRUE(std::isnan(metrics::relative_gain(1.0, 0.0)));
    EXPECT_TRUE(std::isnan(metrics::curve_area({})));
    EXPECT_EQ(metrics::steps_to_threshold({}, {}, 0.0), infinity);
}

}  // namespace
}  // namespace roars::snapshot_rl_test
