#include "roars/primitives/segmented_reduce.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "ragged.hpp"

namespace roars::segmented_reduce_test {
namespace {

RC_GTEST_PROP(SegmentedReduce, EqualsALoopOverEachSegment, ()) {
    auto ragged = any_ragged<float>();
    auto segments = static_cast<std::size_t>(ragged.segments());
    std::vector<double> sum(segments, nan);
    std::vector<float> least(segments), greatest(segments);
    std::vector<std::int64_t> count(segments, -1);
    std::vector<Moments> moments(segments);
    std::span x(ragged.x);
    std::span mask(ragged.mask);
    segmented_sum(ragged.backend, ragged.offsets, x, std::span(sum), mask);
    segmented_min(ragged.backend, ragged.offsets, x, std::span(least), mask);
    segmented_max(ragged.backend, ragged.offsets, x, std::span(greatest), mask);
    segmented_count(ragged.backend, ragged.offsets, mask, std::span(count));
    segmented_moments(ragged.backend, ragged.offsets, x, std::span(moments), mask);
    for (std::size_t i = 0; i < segments; ++i) {
        auto values = ragged.selected(static_cast<std::int64_t>(i));
        double plain = 0.0, m2 = 0.0, low = infinity, high = -infinity;
        for (float v : values) plain += v;
        double mean = values.empty() ? 0.0 : plain / static_cast<double>(values.size());
        for (float v : values)
            m2 += (v - mean) * (v - mean), low = std::min<double>(low, v), high = std::max<double>(high, v);
        RC_ASSERT(std::abs(sum[i] - plain) <= 1e-11);
        RC_ASSERT(count[i] == static_cast<std::int64_t>(values.size()));
        RC_ASSERT(least[i] == low && greatest[i] == high);
        RC_ASSERT(moments[i].count == count[i]);
        RC_ASSERT(std::abs(moments[i].mean - mean) <= 1e-12);
        RC_ASSERT(std::abs(moments[i].m2 - m2) <= 1e-11 * (1 + m2));
        RC_ASSERT(moments[i].equal == (values.empty() || low == high));
    }
}

RC_GTEST_PROP(SegmentedReduce, ASegmentDoesNotDependOnItsNeighbours, ()) {
    auto ragged = any_ragged<double>();
    auto segments = static_cast<std::size_t>(ragged.segments());
    std::vector<double> together(segments);
    segmented_sum(ragged.backend, ragged.offsets, std::span(ragged.x), std::span(together), std::span(ragged.mask));
    for (std::size_t i = 0; i < segments; ++i) {
        double alone = nan;
        Offsets offsets = Offsets(ragged.offsets).subspan(i, 2);
        segmented_sum(ragged.backend, offsets, std::span(ragged.x), std::span<double>(&alone, 1),
                      std::span(ragged.mask));
        RC_ASSERT(alone == together[i]);
    }
}

RC_GTEST_PROP(SegmentedReduce, EqualValuesHaveExactlyNoSpread, (double value)) {
    RC_PRE(std::isfinite(value));
    backend::Host backend{.grain = *rc::gen::inRange<std::int64_t>(1, 50)};
    auto count = *rc::gen::inRange<std::size_t>(1, 300);
    std::vector<double> x(count, value);
    Moments equal = moments(backend, std::span(x));
    RC_ASSERT(equal.equal && equal.m2 == 0.0 && equal.spread(0) == 0.0 && equal.spread(1) == 0.0);
    RC_ASSERT(equal.mean == value);
    x.push_back(std::nextafter(value, infinity));
    RC_ASSERT(!moments(backend, std::span(x)).equal);
}

TEST(Moments, LoseNoDigitsToALargeMean) {
    backend::Host backend{.grain = 3};
    std::vector<double> x;
    for (int i = 0; i < 100; ++i) x.push_back(1e9 + i % 2);
    EXPECT_DOUBLE_EQ(moments(backend, std::span(x)).variance(0), 0.25);
    EXPECT_DOUBLE_EQ(moments(backend, std::span(x)).variance(1), 25.0 / 99.0);
}

RC_GTEST_PROP(Moments, OfTwoSetsCombine,
              (const std::vector<std::int8_t>& left, const std::vector<std::int8_t>& right)) {
    backend::Host backend;
    std::vector<std::int8_t> both = left;
    both.insert(both.end(), right.begin(), right.end());
    Moments combined = combine(moments(backend, std::span(left)), moments(backend, std::span(right)));
    Moments direct = moments(backend, std::span(both));
    RC_ASSERT(combined.count == direct.count && combined.equal == direct.equal);
    RC_ASSERT(std::abs(combined.mean - direct.mean) <= 1e-12 * 128);
    RC_ASSERT(std::abs(combined.m2 - direct.m2) <= 1e-12 * (1 + direct.m2));
}

TEST(Moments, AreZeroWhereNothingCanBeSaid) {
    backend::Host backend;
    std::vector<float> x{3.0f, static_cast<float>(nan)};
    std::vector<std::uint8_t> nobody{0, 0}, first{1, 0};
    Moments empty = moments(backend, std::span(x), std::span(nobody));
    EXPECT_EQ(empty.count, 0);
    EXPECT_EQ(empty.mean, 0.0);
    EXPECT_EQ(empty.spread(1), 0.0);
    Moments single = moments(backend, std::span(x), std::span(first));
    EXPECT_EQ(single.count, 1);
    EXPECT_EQ(single.mean, 3.0);
    EXPECT_EQ(single.spread(1), 0.0);
    EXPECT_EQ(single.spread(0), 0.0);
    EXPECT_EQ((Moments{2, 1.0, 2.0, false}).variance(2), 0.0);
}

TEST(SegmentedReduce, SelectedNaNIsSeen) {
    backend::Host backend{.grain = 2};
    std::vector<double> x{1, 2, nan, 4, 5, 6};
    std::vector<std::int64_t> offsets{0, 5, 6};
    std::vector<double> result(2);
    segmented_min(backend, offsets, std::span(x), std::span(result));
    EXPECT_TRUE(std::isnan(result[0]));
    EXPECT_EQ(result[1], 6);
    segmented_max(backend, offsets, std::span(x), std::span(result));
    EXPECT_TRUE(std::isnan(result[0]));
    EXPECT_FALSE(moments(backend, std::span(x)).equal);
    EXPECT_TRUE(std::isnan(moments(backend, std::span(x)).spread(0)));
}

TEST(SegmentedReduce, WholeNumbersAreExactBeyondDouble) {
    backend::Host backend{.grain = 2};
    std::vector<std::int64_t> x{std::int64_t{1} << 60, 1, 1, 1};
    EXPECT_EQ(total(backend, std::span(x)), (std::int64_t{1} << 60) + 3);
    std::vector<std::int64_t> none, result(1), offsets{0, 0};
    segmented_min(backend, offsets, std::span(none), std::span(result));
    EXPECT_EQ(result[0], std::numeric_limits<std::int64_t>::max());
}

TEST(SegmentedReduce, HugeSegmentsAreTheSameOnAnyThreads) {
    auto ragged = huge_ragged();
    auto segments = static_cast<std::size_t>(ragged.segments());
    std::vector<double> sum(segments);
    segmented_sum(ragged.backend, ragged.offsets, std::span(ragged.x), std::span(sum), std::span(ragged.mask));
    long double plain = 0.0;
    for (float v : ragged.selected(2)) plain += v;
    EXPECT_NEAR(sum[2], static_cast<double>(plain), 1e-10 * 2.5e6 * 8);
    EXPECT_TRUE(same_on_any_threads([&] {
        segmented_sum(ragged.backend, ragged.offsets, std::span(ragged.x), std::span(sum), std::span(ragged.mask));
        return sum;
    }));
    std::vector<Moments> moments(segments);
    EXPECT_TRUE(same_on_any_threads([&] {
        segmented_moments(ragged.backend, ragged.offsets, std::span(ragged.x), std::span(moments),
                          std::span(ragged.mask));
        std::vector<double> numbers;
        for (const Moments& m : moments) numbers.insert(numbers.end(), {m.mean, m.m2, m.spread(1)});
        return numbers;
    }));
}

TEST(SegmentedReduce, NoSegmentsAtAll) {
    backend::Host backend;
    std::vector<float> x, result;
    segmented_sum(backend, {}, std::span(x), std::span(result));
    std::vector<std::int64_t> one_offset{0};
    segmented_sum(backend, one_offset, std::span(x), std::span(result));
    std::vector<std::int64_t> empties(1000, 0);
    std::vector<float> zeros(999, 7.0f);
    segmented_sum(backend, empties, std::span(x), std::span(zeros));
    EXPECT_EQ(zeros, std::vector<float>(999, 0.0f));
    EXPECT_EQ(total(backend, std::span(x)), 0.0);
}

TEST(SegmentedReduce, SizesThatDoNotFitAreNamed) {
    backend::Host backend;
    std::vector<float> x(3), result(2), one(1);
    std::vector<std::int64_t> offsets{0, 2, 4};
    try {
        segmented_sum(backend, offsets, std::span(x), std::span(result));
        FAIL();
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(), "x has 3 values, but the offsets cover [0, 4)");
    }
    offsets.back() = 3;
    EXPECT_THROW(segmented_sum(backend, offsets, std::span(x), std::span(one)), Error);
    EXPECT_THROW(segmented_sum(backend, offsets, std::span(x), std::span(result), std::span(one)), Error);
}

}  // namespace
}  // namespace roars::segmented_reduce_test
