#include "roars/primitives/segmented_scan.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "ragged.hpp"

namespace roars::segmented_scan_test {
namespace {

constexpr double untouched = -77.0;

/// Values without NaN, small whole numbers, so that sums in any order are exact.
std::vector<double> whole_numbers(const Ragged<double>& ragged) {
    std::vector<double> x(ragged.x.size());
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = ragged.mask[i] ? std::round(10 * ragged.x[i]) : 1.0;
    return x;
}

RC_GTEST_PROP(SegmentedScan, SumsEqualALoop, ()) {
    auto ragged = any_ragged<double>();
    auto x = whole_numbers(ragged);
    std::vector<double> inclusive(x.size(), untouched), exclusive(inclusive), reverse(inclusive), after(inclusive);
    segmented_inclusive_sum(ragged.backend, ragged.offsets, std::span(x), std::span(inclusive));
    segmented_exclusive_sum(ragged.backend, ragged.offsets, std::span(x), std::span(exclusive));
    segmented_reverse_sum(ragged.backend, ragged.offsets, std::span(x), std::span(reverse));
    segmented_reverse_exclusive_sum(ragged.backend, ragged.offsets, std::span(x), std::span(after));
    for (std::int64_t i = 0; i < ragged.offsets.front(); ++i) RC_ASSERT(inclusive[i] == untouched);
    for (std::int64_t s = 0; s < ragged.segments(); ++s) {
        double all = 0.0, before = 0.0;
        for (std::int64_t i = ragged.offsets[s]; i < ragged.offsets[s + 1]; ++i) all += x[i];
        for (std::int64_t i = ragged.offsets[s]; i < ragged.offsets[s + 1]; ++i) {
            RC_ASSERT(exclusive[i] == before);
            RC_ASSERT(reverse[i] == all - before);
            before += x[i];
            RC_ASSERT(inclusive[i] == before);
            RC_ASSERT(after[i] == all - before);
        }
    }
}

RC_GTEST_PROP(SegmentedScan, AffineEqualsTheRecursion, ()) {
    auto ragged = any_ragged<double>();
    std::vector<double> a(ragged.x.size()), b(ragged.x.size()), forward(a), backward(a);
    for (std::size_t i = 0; i < a.size(); ++i) {
        a[i] = ragged.mask[i] ? 0.2 * ragged.x[i] : 0.0;
        b[i] = static_cast<double>(i % 7) - 2.5;
    }
    segmented_affine_forward(ragged.backend, ragged.offsets, std::span(a), std::span(b), std::span(forward));
    segmented_affine_backward(ragged.backend, ragged.offsets, std::span(a), std::span(b), std::span(backward));
    for (std::int64_t s = 0; s < ragged.segments(); ++s) {
        double y = 0.0;
        for (std::int64_t i = ragged.offsets[s]; i < ragged.offsets[s + 1]; ++i) {
            y = a[i] * y + b[i];
            RC_ASSERT(std::abs(forward[i] - y) <= 1e-11 * (1 + std::abs(y)));
        }
        y = 0.0;
        for (std::int64_t i = ragged.offsets[s + 1]; i-- > ragged.offsets[s];) {
            y = a[i] * y + b[i];
            RC_ASSERT(std::abs(backward[i] - y) <= 1e-11 * (1 + std::abs(y)));
        }
    }
}

RC_GTEST_PROP(SegmentedScan, CompositionIsApplicationTwice, (double y)) {
    Affine<double> inner{*rc::gen::element(0.0, 0.5, -2.0), 3.0}, outer{*rc::gen::element(0.0, 0.25, 4.0), -1.0};
    RC_PRE(std::abs(y) < 1e100);
    double twice = outer(inner(y));
    RC_ASSERT(std::abs(outer.after(inner)(y) - twice) <= 1e-12 * (1 + std::abs(twice)));
}

TEST(SegmentedScan, AZeroCutsNaNAndInfinity) {
    for (std::int64_t grain : {1, 2, 100}) {
        backend::Host backend{.grain = grain};
        std::vector<std::int64_t> offsets{0, 6};
        std::vector<double> a{0.5, 0.0, 1.0, infinity, nan, 1.0}, b{1, 2, 3, 4, nan, 6}, y(6);
        segmented_affine_backward(backend, offsets, std::span(a), std::span(b), std::span(y));
        EXPECT_EQ(y[1], 2.0) << grain;
        EXPECT_EQ(y[0], 2.0) << grain;
        EXPECT_TRUE(std::isnan(y[2])) << grain;
        EXPECT_EQ(y[5], 6.0) << grain;
    }
}

TEST(SegmentedScan, InPlaceAndInWholeNumbers) {
    backend::Host backend{.grain = 2};
    std::vector<std::int64_t> offsets{0, 1, 1, 6}, x{5, std::int64_t{1} << 60, 1, 1, 1, 1};
    segmented_inclusive_sum(backend, offsets, std::span(x), std::span(x));
    std::int64_t large = std::int64_t{1} << 60;
    EXPECT_EQ(x, (std::vector<std::int64_t>{5, large, large + 1, large + 2, large + 3, large + 4}));
}

TEST(SegmentedScan, HugeSegmentsAreTheSameOnAnyThreads) {
    auto ragged = huge_ragged();
    std::vector<float> a(ragged.x.size(), 0.99f), y(ragged.x.size());
    for (std::size_t i = 0; i < a.size(); ++i)
        if (!ragged.mask[i]) ragged.x[i] = 0.0f;
    EXPECT_TRUE(same_on_any_threads([&] {
        segmented_affine_backward(ragged.backend, ragged.offsets, std::span(a), std::span(ragged.x), std::span(y));
        return y;
    }));
    double plain = 0.0;
    for (std::int64_t i = ragged.offsets[3]; i-- > ragged.offsets[2];) {
        plain = static_cast<double>(a[i]) * plain + ragged.x[i];
        if (i % 1000 == 0) {
            ASSERT_NEAR(y[i], plain, 1e-6 * (1 + std::abs(plain))) << i;
        }
    }
}

TEST(SegmentedScan, SizesThatDoNotFitAreNamed) {
    backend::Host backend;
    std::vector<float> x(3), y(2);
    std::vector<std::int64_t> offsets{0, 3};
    EXPECT_THROW(segmented_inclusive_sum(backend, offsets, std::span(x), std::span(y)), Error);
    EXPECT_THROW(segmented_affine_forward(backend, offsets, std::span(x), std::span(y), std::span(x)), Error);
}

/// Coefficients that are there, results that are kept; what a block remembers goes from one to the other.
struct Blocks {
    using Real = double;
    const std::vector<double>*a, *b;
    std::vector<double>*y, *next;
    std::int64_t asked = -1;

    void coefficients(std::int64_t begin, std::int64_t end, double* to_a, double* to_b) {
        std::copy(a->begin() + begin, a->begin() + end, to_a);
        std::copy(b->begin() + begin, b->begin() + end, to_b);
        asked = begin;
    }
    void store(std::int64_t begin, std::int64_t end, const double* values, bool last) const {
        ASSERT_EQ(asked, begin);
        for (std::int64_t t = begin; t < end; ++t) {
            (*y)[std::size_t(t)] = values[t - begin];
            (*next)[std::size_t(t)] = values[t - begin + 1];
        }
        if (last) EXPECT_EQ(values[end - begin], 0.0);
    }
};

/// Whole blocks, parts of one and several chunks give what the plain recursion gives, and each step sees the next one's
/// value; a step of a = 0 does not look behind itself, not even at a NaN.
RC_GTEST_PROP(SegmentedScan, BlocksEqualTheRecursion, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    const std::int64_t lengths[] = {0, 1, 7, 255, 256, 257, 600, 1100};
    std::vector<std::int64_t> offsets{0};
    for (int i = 0; i < 4; ++i) offsets.push_back(offsets.back() + lengths[random() % 8]);
    auto size = static_cast<std::size_t>(offsets.back());
    std::uniform_real_distribution<double> real(-1, 1);
    std::vector<double> a(size), b(size), expected(size), y(size), next(size);
    for (std::size_t t = 0; t < size; ++t) {
        a[t] = random() % 50 == 0 ? 0.0 : real(random);
        b[t] = real(random);
    }
    for (std::size_t t = 1; t < size; ++t)
        if (a[t - 1] == 0.0 && random() % 4 == 0) b[t] = std::nan("");
    backend::Host backend{.grain = random() % 2 ? 16384 : 300};
    segmented_affine_backward(backend, offsets, std::span<const double>(a), std::span<const double>(b),
                              std::span(expected));
    segmented_affine_backward_in_blocks(backend, offsets, Blocks{&a, &b, &y, &next});
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
        for (auto t = static_cast<std::size_t>(offsets[i]), end = static_cast<std::size_t>(offsets[i + 1]); t < end;
             ++t) {
            auto equal = [](double one, double other) {
                return std::isnan(other) ? std::isnan(one) : std::abs(one - other) <= 1e-12;
            };
            RC_ASSERT(equal(y[t], expected[t]));
            RC_ASSERT(equal(next[t], t + 1 < end ? expected[t + 1] : 0.0));
        }
}

}  // namespace
}  // namespace roars::segmented_scan_test
