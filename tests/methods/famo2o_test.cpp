#include "rows.hpp"

#include "roars/advantage/balanced_weight.hpp"
#include "roars/critic/balance_policy.hpp"
#include "roars/critic/least_climb.hpp"
#include "roars/methods/famo2o.hpp"
#include "roars/objective.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogates/balanced_climb.hpp"

namespace roars::famo2o_test {
namespace {

using sampler::BalanceRange;

RC_GTEST_PROP(Famo2o, AUniformNumberGivesTheRangeAndItsEndsExactly, (std::uint32_t seed)) {
    Numbers numbers(seed);
    double low = numbers.real(-2, 10);
    BalanceRange range{low, low + numbers.real(0, 6)};
    RC_ASSERT(range.from_uniform(0.0) == range.low);
    RC_ASSERT(range.from_uniform(1.0) == range.high);
    RC_ASSERT(range.from_action(-1.0) == range.low);
    RC_ASSERT(range.from_action(1.0) == range.high);
    double x = numbers.real(-1, 1), step = 1e-6;
    RC_ASSERT(range.from_action(x) >= range.low && range.from_action(x) <= range.high);
    RC_ASSERT(std::abs((range.from_action(x + step) - range.from_action(x - step)) / (2 * step) - range.slope()) <
              1e-6);
}

RC_GTEST_PROP(Famo2o, AnEncodingLiesOnCirclesAndItsFirstPairRepeats, (std::uint32_t seed)) {
    Numbers numbers(seed);
    double balance = numbers.real(-20, 20);
    Values encoding(6), later(6);
    sampler::encode_balance(balance, 10000, std::span(encoding));
    sampler::encode_balance(balance + 6.283185307179586, 10000, std::span(later));
    for (std::size_t i = 0; i < 6; i += 2)
        RC_ASSERT(std::abs(encoding[i] * encoding[i] + encoding[i + 1] * encoding[i + 1] - 1) < 1e-12);
    RC_ASSERT(std::abs(encoding[0] - later[0]) < 1e-12);
    RC_ASSERT(std::abs(encoding[2] - later[2]) > 1e-3);
}
TEST(Famo2o, AnEncodingOfOddSizeIsRefused) {
    Values three(3), none;
    expect_error([&] { sampler::encode_balance(1.0, 10000, std::span(three)); }, "3 dimensions, expected an even");
    EXPECT_NO_THROW(sampler::encode_balance(1.0, 10000, std::span(none)));
}

TEST(Famo2o, TheDensityOfATanhNormalIntegratesToOne) {
    for (double std : {0.3, 1.0, 2.5}) {
        double mass = 0, step = 1e-3, mean = 0.4;
        for (double u = -25; u < 25; u += step)  // dx = tanh'(u) du
            mass += std::exp(log_tanh_normal(u, (u - mean) / std, std::log(std)) + log_tanh_slope(u)) * step;
        EXPECT_NEAR(mass, 1.0, 1e-9) << std;
    }
}
TEST(Famo2o, FarMeansStayFinite) {
    for (double mean : {-1e5, -400.0, 400.0, 1e5}) {
        auto drawn = draw_tanh_normal(mean, 0.0, 0.5);
        EXPECT_EQ(drawn.x, mean > 0 ? 1.0 : -1.0);
        EXPECT_TRUE(std::isfinite(drawn.log_density)) << mean;
        EXPECT_EQ(drawn.x_by_mean, 0.0);
        EXPECT_EQ(drawn.log_density_by_mean, mean > 0 ? 2.0 : -2.0);
    }
    EXPECT_NEAR(log_tanh_slope(-0.7), std::log(1 - std::pow(std::tanh(0.7), 2)), 1e-14);
}

struct Balance {
    Values mean, log_std, noise, grad_mean, grad_log_std, balance, logp;
    double curve, slope;

    Balance(Numbers& numbers, std::int64_t rows)
        : mean(numbers.reals(rows)),
          log_std(numbers.reals(rows, -2, 1)),
          noise(numbers.reals(rows)),
          grad_mean(mean),
          grad_log_std(mean),
          balance(mean),
          logp(mean),
          curve(numbers.real(-1, 1)),
          slope(numbers.real(-1, 1)) {}
    /// q(b) = curve b^2 + slope b stands for critic and universal policy.
    double loss(const critic::BalancePolicy& part, double temperature) {
        backend::Host host;
        part.draw<double>(host, mean, log_std, noise, balance, logp);
        Values q, by_balance;
        for (double b : balance) q.push_back(curve * b * b + slope * b), by_balance.push_back(2 * curve * b + slope);
        return part.loss<double>(host, temperature, mean, log_std, noise, q, by_balance, grad_mean, grad_log_std);
    }
};
RC_GTEST_PROP(Famo2o, TheBalanceIsFollowedIntoItsPolicy, (std::uint32_t seed)) {
    Numbers numbers(seed);
    critic::BalancePolicy part{{0.5, numbers.real(0.5, 3)}};
    Balance rows(numbers, numbers.whole(1, 5));
    double temperature = numbers.real(0, 2);
    rows.loss(part, temperature);
    Values by_mean = rows.grad_mean, by_log_std = rows.grad_log_std;
    auto loss = [&] { return rows.loss(part, temperature); };
    expect_slope(rows.mean, by_mean, loss, 1e-5);
    expect_slope(rows.log_std, by_log_std, loss, 1e-5);
    RC_ASSERT(!::testing::Test::HasFailure());
}
TEST(Famo2o, ABalancePolicyFindsTheBestBalance) {
    critic::BalancePolicy part{{0.0, 4.0}};
    Numbers numbers(1);
    Balance rows(numbers, 1);
    rows.curve = -1, rows.slope = 2 * 2.5;  // best at b = 2.5
    rows.mean = {0}, rows.log_std = {-5}, rows.noise = {0};
    for (int i = 0; i < 2000; ++i) rows.loss(part, 0.0), rows.mean[0] -= 0.02 * rows.grad_mean[0];
    EXPECT_NEAR(rows.balance[0], 2.5, 1e-3);
}
TEST(Famo2o, TheTemperatureFallsWhereThereIsEntropyEnough) {
    backend::Host host;
    critic::BalancePolicy part{{}, -0.5};
    Values logp{0.25, 0.5}, none;
    double entropy = part.entropy(host, View(logp));
    EXPECT_EQ(entropy, -0.375);
    EXPECT_GT(part.temperature_loss(2.0, entropy), 0.0) << "the slope by log T is positive: T falls";
    EXPECT_LT(part.temperature_loss(2.0, -0.7), 0.0);
    EXPECT_EQ(part.entropy(host, View(none)), 0.0);
}

using Weights = Batch<double, columns<col::mask, col::q, col::value, col::balance, col::advantage>>;
TEST(Famo2o, ABalanceOfZeroClonesAndOneForAllIsThePlainWeight) {
    Numbers numbers(2);
    Weights batch(std::vector<std::int64_t>{0, 6});
    for (double& q : batch[col::q{}]) q = numbers.real(-2, 2);
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    batch[col::mask{}][5] = 0;
    batch[col::q{}][5] = nan;
    backend::Host host;
    roars::Run run{host};
    advantage::BalancedWeight<> part;
    part.estimate(run, batch);
    for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(batch[col::advantage{}][i], 1.0);
    EXPECT_EQ(batch[col::advantage{}][5], 0.0);
    std::fill(batch[col::balance{}].begin(), batch[col::balance{}].end(), 7.0);
    part.estimate(run, batch);
    Values ours(batch[col::advantage{}].begin(), batch[col::advantage{}].end());
    advantage::ExponentialWeight<>{7.0, 100.0, {}}.estimate(run, batch);
    EXPECT_EQ(ours, Values(batch[col::advantage{}].begin(), batch[col::advantage{}].end()));
    batch[col::q{}][0] = 1e300;
    part.estimate(run, batch);
    EXPECT_NEAR(batch[col::advantage{}][0], 100.0, 1e-12);
}

TEST(Famo2o, EveryRowGetsABalanceOfTheRangeAndTheSameOneWithTheSameSeed) {
    backend::Host host;
    roars::Run run{host, Random(3)};
    NoState none;
    Weights batch(std::vector<std::int64_t>{0, 500, 1000});
    sampler::UniformBalance part{{8, 14}};
    part.amend(run, none, batch);
    Values first(batch[col::balance{}].begin(), batch[col::balance{}].end());
    double sum = 0;
    for (double b : first) {
        EXPECT_TRUE(b >= 8 && b < 14);
        sum += b / 1000;
    }
    EXPECT_NEAR(sum, 11, 0.3);
    part.amend(run, none, batch);
    EXPECT_EQ(first, Values(batch[col::balance{}].begin(), batch[col::balance{}].end()));
    run.progress.iteration = 1;
    part.amend(run, none, batch);
    EXPECT_NE(first, Values(batch[col::balance{}].begin(), batch[col::balance{}].end()));
}

TEST(Famo2o, ALargeBalanceWeighsTheCriticMore) {
    using Term = surrogate::BalancedClimb;
    Batch<double, columns<col::q, col::balance, col::policy_action, col::q_gradient, col::grad<col::policy_action>>>
        batch(std::vector<std::int64_t>{0, 3});
    Numbers numbers(4);
    batch.set_width(col::policy_action{}, 2), batch.set_width(col::q_gradient{}, 2);
    for (double& x : batch[col::q{}]) x = numbers.real(-1, 1);
    for (double& x : batch[col::q_gradient{}]) x = numbers.real(-1, 1);
    for (std::size_t i = 0; i < 3; ++i) batch[col::balance{}][i] = double(i);
    backend::Host host;
    double loss = evaluate(host, batch, {count(host, batch)}, Weighed<Term, aggregate::TokenMean>{{}, {}}).loss();
    EXPECT_NEAR(loss, -(batch[col::q{}][1] + 2 * batch[col::q{}][2]) / 3, 1e-15);
    auto gradient = batch[col::grad<col::policy_action>{}];
    for (std::size_t c = 0; c < 6; ++c)
        EXPECT_NEAR(gradient[c], -double(c / 2) * batch[col::q_gradient{}][c] / 3, 1e-15);
}

// The sampler gives the balance of a row, the actor the action by a balance that is drawn for its state; the second
// stage takes critics and balance policy over.
static_assert(contains_v<col::balance, methods::Famo2oOnline::Sampler::gives> &&
              !contains_v<col::balance, methods::Famo2oOnline::Inputs> &&
              contains_v<col::balanced_action, methods::Famo2oOffline::Inputs> &&
              contains_v<col::action_by_balance, methods::Famo2oOnline::Inputs>);
static_assert(contains_v<col::balance, methods::Famo2oConservative::Columns>);
TEST(Famo2o, TheOnlineStageGoesOnWithTheCritics) {
    methods::Famo2oOffline::State offline;
    offline.advantage.loss = 3.0;
    auto online = Stage<methods::Famo2oOnline, take::Advantage, take::Optimizer>::begin(offline);
    EXPECT_EQ(online.advantage.loss, 3.0);
    EXPECT_EQ(methods::famo2o.at(1000000).stage, 1u);
}

RC_GTEST_PROP(Famo2o, TheSlopeOfAnEncodingIsItsFiniteDifference, (std::uint32_t seed)) {
    Numbers numbers(seed);
    const double balance = numbers.real(-20, 20), step = 1e-6;
    Values slope(6), above(6), below(6);
    sampler::encoded_balance_slope(balance, 10000, std::span(slope));
    sampler::encode_balance(balance + step, 10000, std::span(above));
    sampler::encode_balance(balance - step, 10000, std::span(below));
    for (std::size_t i = 0; i < 6; ++i) RC_ASSERT(std::abs((above[i] - below[i]) / (2 * step) - slope[i]) < 1e-8);
}
RC_GTEST_PROP(Famo2o, TheClimbOfTheLeastCriticHasItsSlope, (std::uint32_t seed)) {
    Numbers numbers(seed);
    critic::Ensemble<double> critics;
    critics.open({.width = 6, .layers = 1}, 2, 5, 1, seed, 0);
    Values state = numbers.reals(12, -1, 1), action = numbers.reals(8, -1, 1), q(4), slope(8), above(4), below(4),
           unused(8);
    critic::LeastClimbMemory<double> memory;
    auto climb = [&](Values& values, Values& by_action) {
        critic::least_climb<double>(critics, state, 3, action, 2, values, by_action, memory);
    };
    climb(q, slope);
    for (std::size_t c = 0; c < 8; ++c) {
        const double kept = action[c], step = 1e-7;
        action[c] = kept + step, climb(above, unused);
        action[c] = kept - step, climb(below, unused);
        action[c] = kept;
        const double by = (above[c / 2] - below[c / 2]) / (2 * step);
        // Where two critics cross, or a unit bends, a slope is one of two.
        RC_ASSERT(std::abs(by - slope[c]) < 1e-5 || std::abs(above[c / 2] + below[c / 2] - 2 * q[c / 2]) > 1e-12);
    }
}

/// The whole offline algorithm: rows that differ in their balance alone differ in their weight alone.
TEST(Famo2o, TheCriticsDoNotSeeTheBalance) {
    auto part = methods::state_balanced_q.base;
    part.network = {.width = 4, .layers = 1};
    using Rows = Batch<double, unite_t<needs_of<methods::BalancedImplicitQ>, columns<col::advantage>>>;
    auto rows = [](double balance) {
        Numbers numbers(3);
        Rows batch(std::vector<std::int64_t>{0, 5});
        batch.set_width(col::state{}, 2), batch.set_width(col::next_state{}, 2);
        for_each_column(needs_of<methods::BalancedImplicitQ>{}, [&](auto column) {
            for (double& x : batch[column]) x = numbers.real(-1, 1);
        });
        std::fill(batch[col::terminated{}].begin(), batch[col::terminated{}].end(), 0.0);
        std::fill(batch[col::balance{}].begin(), batch[col::balance{}].end(), balance);
        return batch;
    };
    backend::Host host;
    roars::Run run{host};
    methods::BalancedImplicitQ::StateOf<double> one, two;
    auto first = rows(1), second = rows(2);
    part.learn(run, one, first), part.learn(run, two, second);
    EXPECT_EQ(one.loss, two.loss);
    part.estimate(run, one, first), part.estimate(run, two, second);
    for (std::size_t i = 0; i < 5; ++i)
        EXPECT_NEAR(std::pow(first[col::advantage{}][i], 2), second[col::advantage{}][i], 1e-12);
}

}  // namespace
}  // namespace roars::famo2o_test
