#include "roars/token_lanes.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace roars::token_lanes_test {
namespace {

template <class Real>
using Tokens = Batch<Real, columns<col::mask, col::logp, col::logp_old, col::importance_weight>>;

/// Sequences of many lengths, empty ones among them; NaN wherever the mask is 0.
template <class Real>
Tokens<Real> random_tokens(std::uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<std::int64_t> offsets{0}, groups{0};
    for (int i = 0; i < 12; ++i) offsets.push_back(offsets.back() + std::int64_t(random() % (i % 3 ? 9 : 200)));
    groups.push_back(12);
    Tokens<Real> batch(offsets, groups);
    std::uniform_real_distribution<Real> uniform(-3, 0);
    for (std::size_t t = 0; t < batch[col::mask{}].size(); ++t) {
        bool counts = random() % 4 != 0;
        batch[col::mask{}][t] = counts;
        batch[col::logp{}][t] = counts ? uniform(random) : std::numeric_limits<Real>::quiet_NaN();
        batch[col::logp_old{}][t] = counts ? uniform(random) : -std::numeric_limits<Real>::infinity();
        batch[col::importance_weight{}][t] = 7;
    }
    return batch;
}

auto ratio() {
    return [](const auto& x) { return math::exp(x[col::logp{}] - x[col::logp_old{}]); };
}

template <class Real>
void check_against_a_loop(std::uint32_t seed) {
    auto batch = random_tokens<Real>(seed);
    backend::Host host{.grain = 50};
    using Read = columns<col::logp, col::logp_old>;
    auto sums = sequence_sums(host, batch, Read{}, ratio());
    auto means = sequence_means(host, batch, Read{}, ratio());
    map_sequences<col::importance_weight>(host, batch, Read{}, [&](std::size_t i) {
        return [i]<class X>(const X& x) { return ratio()(x) + value_t<X>(Real(i)); };
    });
    auto by_sequence =
        std::vector<Real>(batch[col::importance_weight{}].begin(), batch[col::importance_weight{}].end());
    map_tokens<col::importance_weight>(host, batch, Read{}, ratio());

    const double close = 20 * std::numeric_limits<Real>::epsilon();
    Offsets offsets = batch.token_offsets();
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
        double sum = 0;
        int count = 0;
        for (auto t = std::size_t(offsets[i]); t < std::size_t(offsets[i + 1]); ++t) {
            if (batch[col::mask{}][t] == 0) {
                EXPECT_EQ(batch[col::importance_weight{}][t], Real(0));
                EXPECT_EQ(by_sequence[t], Real(0));
                continue;
            }
            double r = std::exp(double(batch[col::logp{}][t]) - double(batch[col::logp_old{}][t]));
            EXPECT_NEAR(batch[col::importance_weight{}][t], r, close * r);
            EXPECT_NEAR(by_sequence[t], r + double(i), close * (r + double(i)));
            sum += r;
            ++count;
        }
        EXPECT_NEAR(sums[i], sum, close * (1 + sum));
        EXPECT_NEAR(means[i], count ? sum / count : 0.0, close * (1 + sum));
    }
}

RC_GTEST_PROP(TokenLanes, SayWhatALoopOverTokensSays, (std::uint32_t seed)) {
    check_against_a_loop<double>(seed);
    check_against_a_loop<float>(seed);
    RC_ASSERT(!::testing::Test::HasFailure());
}

/// A million numbers of one float each lose no digit in the sum.
TEST(TokenLanes, SumsInDouble) {
    const std::int64_t tokens = 1 << 20, offsets[] = {0, tokens}, groups[] = {0, 1};
    Batch<float, columns<col::logp>> batch(offsets, groups);
    double sum = 0;
    for (std::int64_t t = 0; t < tokens; ++t) {
        batch[col::logp{}][std::size_t(t)] = -1.0f - 1e-6f * float(t % 1000);
        sum += double(batch[col::logp{}][std::size_t(t)]);
    }
    backend::Host host;
    auto sums = sequence_sums(host, batch, columns<col::logp>{}, [](const auto& x) { return x[col::logp{}]; });
    EXPECT_NEAR(sums[0], sum, 1e-6);
}

/// What a sequence sums to does not depend on where it stands.
TEST(TokenLanes, TheSameSequenceElsewhereHasTheSameSum) {
    const std::int64_t offsets[] = {0, 37, 40, 77}, groups[] = {0, 3};
    Batch<float, columns<col::logp>> batch(offsets, groups);
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(-3, 0);
    for (std::size_t t = 0; t < 37; ++t) batch[col::logp{}][t] = batch[col::logp{}][40 + t] = uniform(random);
    backend::Host host{.grain = 16};
    auto sums = sequence_sums(host, batch, columns<col::logp>{}, [](const auto& x) { return x[col::logp{}]; });
    EXPECT_EQ(sums[0], sums[2]);
}

}  // namespace
}  // namespace roars::token_lanes_test
