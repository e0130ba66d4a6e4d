#include "roars/primitives/ranking.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "roars/error.hpp"

namespace roars::ranking_test {
namespace {

/// Numbers of all sizes, some equal, some that are equal as floats alone, some NaN.
std::vector<double> numbers(std::mt19937& random, std::int64_t count) {
    auto below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
    std::vector<double> x;
    for (std::int64_t i = 0; i < count; ++i) switch (below(6)) {
            case 0:
                x.push_back(std::nan(""));
                break;
            case 1:
                x.push_back(below(5) - 2);
                break;
            case 2:
                x.push_back(1.0 + below(9) * 1e-15);
                break;
            case 3:
                x.push_back((below(2) ? 1 : -1) * std::ldexp(1.0, below(400) - 200));
                break;
            case 4:
                x.push_back(below(2) ? -0.0 : -std::numeric_limits<double>::infinity());
                break;
            default:
                x.push_back(std::normal_distribution<double>()(random));
        }
    return x;
}

void check(const std::vector<double>& x, std::int64_t step) {
    backend::Host host;
    Ranking ranking(host, std::ssize(x), [&](std::int64_t i) { return x[std::size_t(i)]; });
    std::vector<double> sorted;
    std::copy_if(x.begin(), x.end(), std::back_inserter(sorted), [](double each) { return each == each; });
    std::sort(sorted.begin(), sorted.end());
    ASSERT_EQ(ranking.size(), std::ssize(sorted));
    for (std::int64_t place = 0; place < std::ssize(sorted); place += step) {
        Ranked at = ranking.at(place);
        double value = sorted[std::size_t(place)];
        auto [first, last] = std::equal_range(sorted.begin(), sorted.end(), value);
        EXPECT_EQ(at.value, value);
        EXPECT_EQ(at.next, sorted[std::min(std::size_t(place) + 1, sorted.size() - 1)]);
        EXPECT_EQ(at.below, first - sorted.begin());
        EXPECT_EQ(at.equal, last - first);
    }
}

RC_GTEST_PROP(Ranking, SaysWhatASortWouldSay, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    check(numbers(random, std::uniform_int_distribution<int>(0, 80)(random)), 1);
    RC_ASSERT(!::testing::Test::HasFailure());
}
TEST(Ranking, OfManyNumbersInSeveralParts) {
    std::mt19937 random(3);
    check(numbers(random, 5'000), 97);
    check(numbers(random, (1 << 19) + 5), 99'991);
}
TEST(Ranking, OfNothingHasNoPlaces) {
    backend::Host host;
    Ranking ranking(host, 3, [](std::int64_t) { return std::nan(""); });
    EXPECT_EQ(ranking.size(), 0);
    EXPECT_THROW(ranking.at(0), Error);
}

TEST(KeptMemory, GivesWhatWasGivenBack) {
    const void* first = nullptr;
    {
        KeptVector<float> held(100'000, 1.0f);
        first = held.data();
    }
    KeptVector<float> second(100'000, 2.0f), third(100'000, 3.0f);
    EXPECT_EQ(second.data(), first);
    EXPECT_NE(third.data(), first);
    EXPECT_EQ(second[99'999], 2.0f);
    for (int i = 0; i < 100; ++i) KeptVector<char>(std::size_t(i) * 1000);  // more sizes than are kept
}

}  // namespace
}  // namespace roars::ranking_test
