#include "roars/regularizer/gaussian_trust.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "roars/optimizer/aggregate.hpp"
#include "roars/run.hpp"

namespace roars::gaussian_trust_test {
namespace {

using regularizer::GaussianKl;
using regularizer::GaussianTrust;
constexpr std::size_t width = 3;
using Rows =
    Batch<double, columns<col::mask, col::policy_mean, col::policy_deviation, col::policy_mean_old,
                          col::policy_deviation_old, col::grad<col::policy_mean>, col::grad<col::policy_deviation>>>;

Rows random_rows(unsigned seed) {
    const std::vector<std::int64_t> offsets{0, 5, 9};
    Rows batch{Offsets(offsets)};
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> any(-1, 1);
    auto fill = [&](auto column, auto&& make) {
        batch.set_width(column, std::int64_t(width));
        for (double& x : batch[column]) x = make();
    };
    fill(col::policy_mean{}, [&] { return any(random); });
    fill(col::policy_mean_old{}, [&] { return any(random); });
    fill(col::policy_deviation{}, [&] { return std::exp(any(random)); });
    fill(col::policy_deviation_old{}, [&] { return std::exp(any(random)); });
    for (double& mask : batch[col::mask{}]) mask = any(random) > -0.4;
    return batch;
}

template <class Term>
auto evaluated(const Term& term, Rows& batch) {
    backend::Host host;
    roars::Run run{host};
    term.prepare(run, batch);
    return evaluate(host, batch, {count(host, batch)}, Weighed{term, aggregate::TokenMean{}});
}

GaussianKl<width> weighed() {
    GaussianKl<width> term;
    for (std::size_t k = 0; k < 2 * width; ++k) term.weight[k] = 0.5 + double(k);
    return term;
}

/// KL of two Gaussians of one dimension by quadrature.
double quadrature(double mean_old, double spread_old, double mean, double spread) {
    double sum = 0;
    const int steps = 200000;
    for (int i = 0; i < steps; ++i) {
        double z = -12.0 + 24.0 * (i + 0.5) / steps, x = mean_old + spread_old * z, w = (x - mean) / spread;
        double density = std::exp(-0.5 * z * z) / std::sqrt(2 * std::acos(-1.0));
        sum += density * (-0.5 * z * z - std::log(spread_old) + 0.5 * w * w + std::log(spread)) * 24.0 / steps;
    }
    return sum;
}

TEST(GaussianKl, IsTheDivergenceWithTheOtherPartHeld) {
    auto batch = random_rows(1);
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 0.0);
    batch[col::mask{}][2] = 1.0;
    auto result = evaluated(weighed(), batch);
    double loss = 0;
    for (std::size_t d = 0; d < width; ++d) {
        auto at = 2 * width + d;
        double mean = batch[col::policy_mean{}][at], mean_old = batch[col::policy_mean_old{}][at],
               spread = batch[col::policy_deviation{}][at], spread_old = batch[col::policy_deviation_old{}][at];
        double by_mean = quadrature(mean_old, spread_old, mean, spread_old),
               by_spread = quadrature(mean_old, spread_old, mean_old, spread);
        EXPECT_NEAR(result.metric(GaussianKl<width>::metrics[d]), by_mean, 1e-8);
        EXPECT_NEAR(result.metric(GaussianKl<width>::metrics[width + d]), by_spread, 1e-8);
        loss += weighed().weight[d] * by_mean + weighed().weight[width + d] * by_spread;
    }
    EXPECT_NEAR(result.loss(), loss, 1e-7);
    EXPECT_EQ(GaussianKl<width>::metrics[2], "mean_kl_02");
    EXPECT_EQ(GaussianKl<12>::metrics[23], "spread_kl_11");
}

TEST(GaussianKl, GradientIsTheFiniteDifference) {
    auto batch = random_rows(2);
    auto check = [&]<class Column>(Column column) {
        evaluated(weighed(), batch);
        auto slopes = std::vector<double>(batch[col::grad<Column>{}].begin(), batch[col::grad<Column>{}].end());
        for (std::size_t i = 0; i < slopes.size(); ++i) {
            double own = batch[column][i], step = 1e-6;
            batch[column][i] = own + step;
            double above = evaluated(weighed(), batch).loss();
            batch[column][i] = own - step;
            double below = evaluated(weighed(), batch).loss();
            batch[column][i] = own;
            EXPECT_NEAR(slopes[i], (above - below) / (2 * step), 1e-7) << Column::name << ' ' << i;
        }
    };
    check(col::policy_mean{});
    check(col::policy_deviation{});
}

TEST(GaussianKl, AnotherWidthIsRefused) {
    auto batch = random_rows(3);
    EXPECT_THROW(evaluated(GaussianKl<2>{}, batch), Error);
}

TEST(GaussianTrust, AWeightGrowsWhereItsPartIsAboveItsBoundAndFallsBelow) {
    auto batch = random_rows(4);
    std::copy(batch[col::policy_mean_old{}].begin(), batch[col::policy_mean_old{}].end(),
              batch[col::policy_mean{}].begin());
    std::copy(batch[col::policy_deviation_old{}].begin(), batch[col::policy_deviation_old{}].end(),
              batch[col::policy_deviation{}].begin());
    for (std::size_t i = 1; i < batch[col::policy_mean{}].size(); i += width) batch[col::policy_mean{}][i] += 0.5;
    GaussianTrust<width> part;
    GaussianTrust<width>::State state;
    backend::Host host;
    roars::Run run{host};
    part.observe(run, state, evaluated(std::get<0>(part.terms(state)), batch));
    for (std::size_t k = 0; k < 2 * width; ++k)
        EXPECT_EQ(part.weight(state, k) > 1.0, k == 1) << k << ": only the second mean has moved";
    auto before = state.log_weight;
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 0.0);
    part.observe(run, state, evaluated(std::get<0>(part.terms(state)), batch));
    EXPECT_EQ(state.log_weight, before) << "an update without a row changes nothing";
}

/// Two means pulled with different forces: the part of each comes to its bound, whatever the force.
TEST(GaussianTrust, HoldsEveryDimensionAtItsBound) {
    const std::vector<std::int64_t> offsets{0, 1};
    Batch<double, columns<col::policy_mean, col::policy_deviation, col::policy_mean_old, col::policy_deviation_old,
                          col::grad<col::policy_mean>, col::grad<col::policy_deviation>>>
        batch{Offsets(offsets)};
    for_each_column(columns<col::policy_mean, col::policy_deviation, col::policy_mean_old, col::policy_deviation_old>{},
                    [&](auto column) { batch.set_width(column, 2); });
    std::fill(batch[col::policy_deviation{}].begin(), batch[col::policy_deviation{}].end(), 1.0);
    std::fill(batch[col::policy_deviation_old{}].begin(), batch[col::policy_deviation_old{}].end(), 1.0);
    GaussianTrust<2> part{.mean_bound = 0.02, .step = {.learning_rate = 0.01}};
    GaussianTrust<2>::State state;
    backend::Host host;
    roars::Run run{host};
    const double force[] = {0.5, 5.0};
    for (int k = 0; k < 3000; ++k) {
        auto result = evaluate(host, batch, {count(host, batch)},
                               Weighed{std::get<0>(part.terms(state)), aggregate::TokenMean{}});
        for (std::size_t d = 0; d < 2; ++d)
            batch[col::policy_mean{}][d] -= 0.01 * (batch[col::grad<col::policy_mean>{}][d] - force[d]);
        part.observe(run, state, result);
    }
    for (std::size_t d = 0; d < 2; ++d)
        EXPECT_NEAR(0.5 * batch[col::policy_mean{}][d] * batch[col::policy_mean{}][d], 0.02, 2e-3) << d;
}

}  // namespace
}  // namespace roars::gaussian_trust_test
