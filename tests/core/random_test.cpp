#include "roars/random.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>
#include <vector>

namespace roars::random_test {
namespace {

using Words = std::array<std::uint32_t, 4>;

Words words(const Random& random, std::uint32_t sequence, std::uint32_t token) {
    auto bits = random.bits(sequence, token);
    return {bits[0], bits[1], bits[2], bits[3]};
}
Random keyed(std::uint32_t low, std::uint32_t high, std::uint32_t iteration, std::uint32_t purpose) {
    return Random(std::uint64_t(high) << 32 | low, static_cast<Purpose>(purpose), iteration);
}

/// Random123's kat_vectors, philox4x32 10; the counter is (token, sequence, iteration, purpose).
TEST(Random, KnownAnswersOfPhilox) {
    EXPECT_EQ(words(keyed(0, 0, 0, 0), 0, 0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    const std::uint32_t ones = 0xffffffff;
    EXPECT_EQ(words(keyed(ones, ones, ones, ones), ones, ones),
              (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    EXPECT_EQ(words(keyed(0xa4093822, 0x299f31d0, 0x13198a2e, 0x03707344), 0x85a308d3, 0x243f6a88),
              (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, EveryCoordinateMatters) {
    std::set<Words> seen;
    for (std::uint64_t seed : {0ull, 1ull, 1ull << 32})
        for (auto purpose : {Purpose::sample, Purpose::prompt, Purpose::user})
            for (std::uint32_t iteration : {0u, 1u})
                for (std::uint32_t sequence : {0u, 1u})
                    for (std::uint32_t token : {0u, 1u})
                        seen.insert(words(Random(seed, purpose, iteration), sequence, token));
    EXPECT_EQ(seen.size(), 3u * 3 * 2 * 2 * 2);
    Random random(7, Purpose::sample, 5);
    EXPECT_EQ(words(random.of(Purpose::noise).at(9), 1, 2), words(Random(7, Purpose::noise, 9), 1, 2));
}

/// Chi-square over 256 cells of equal probability: mean 255, standard deviation sqrt(510); 5 of them are allowed.
template <class Draw>
double chi_square(Draw&& draw) {
    const int cells = 256, count = 1 << 18;
    std::vector<double> seen(cells);
    for (int i = 0; i < count; ++i) {
        double u = draw(i);
        EXPECT_TRUE(u >= 0 && u < 1) << u;
        ++seen[std::size_t(u * cells)];
    }
    double sum = 0, expected = double(count) / cells;
    for (double n : seen) sum += (n - expected) * (n - expected) / expected;
    return sum;
}
TEST(Random, IsUniformAlongTokensSequencesAndIterations) {
    Random random(42);
    const double most = 255 + 5 * std::sqrt(510.0);
    EXPECT_LT(chi_square([&](int i) { return random.uniform(0, std::uint32_t(i)); }), most);
    EXPECT_LT(chi_square([&](int i) { return random.uniform(std::uint32_t(i), 3); }), most);
    EXPECT_LT(chi_square([&](int i) { return random.at(std::uint32_t(i)).uniform(2, 3); }), most);
    EXPECT_LT(chi_square([&](int i) { return double(random.uniform<float>(1, std::uint32_t(i))); }), most);
    RandomStream stream(random);
    EXPECT_LT(chi_square([&](int) { return double(stream.below(1000)) / 1000 + stream.uniform() / 1000; }), most);
}

TEST(Random, ToUnitNeverReachesOne) {
    EXPECT_EQ(Random::to_unit<double>(0, 0), 0.0);
    EXPECT_LT(Random::to_unit<double>(0xffffffff, 0xffffffff), 1.0);
    EXPECT_LT(Random::to_unit<float>(0xffffffff, 0xffffffff), 1.0f);
}

TEST(Random, NormalHasItsMoments) {
    Random random(3, Purpose::noise);
    const int count = 1 << 17;
    double sum = 0, squares = 0, fourth = 0;
    for (int i = 0; i < count; ++i) {
        double x = random.normal(std::uint32_t(i), 0);
        ASSERT_TRUE(std::isfinite(x));
        sum += x, squares += x * x, fourth += x * x * x * x;
    }
    // Standard deviations of the three means: 1, sqrt(2), sqrt(96), over sqrt(count).
    double root = std::sqrt(double(count));
    EXPECT_LT(std::abs(sum / count), 5 / root);
    EXPECT_LT(std::abs(squares / count - 1), 5 * std::sqrt(2.0) / root);
    EXPECT_LT(std::abs(fourth / count - 3), 5 * std::sqrt(96.0) / root);
}

TEST(RandomStream, GoesOnFromItsPosition) {
    const std::uint64_t near_wrap = (std::uint64_t(1) << 32) - 3;
    RandomStream whole(Random(5, Purpose::task), near_wrap);
    std::vector<double> numbers;
    std::set<double> different;
    for (int i = 0; i < 10; ++i) numbers.push_back(whole.uniform()), different.insert(numbers.back());
    EXPECT_EQ(different.size(), 10u);
    RandomStream first(Random(5, Purpose::task), near_wrap);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(first.uniform(), numbers[i]);
    RandomStream second(Random(5, Purpose::task), first.position);
    for (std::size_t i = 4; i < 10; ++i) EXPECT_EQ(second.uniform(), numbers[i]);
    EXPECT_EQ(second.position, near_wrap + 10);
}

TEST(RandomStream, BelowTakesEveryNumberAndNoOther) {
    RandomStream stream(Random(1));
    std::set<std::int64_t> seen;
    for (int i = 0; i < 200; ++i) seen.insert(stream.below(5));
    EXPECT_EQ(seen, (std::set<std::int64_t>{0, 1, 2, 3, 4}));
    for (int i = 0; i < 20; ++i) EXPECT_EQ(stream.below(1), 0);
}

}  // namespace
}  // namespace roars::random_test
