#include "roars/critic/value_loss.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <random>

#include "roars/methods/ppo.hpp"
#include "roars/optimizer/aggregate.hpp"

namespace roars::value_loss_test {
namespace {

using ValueColumns = columns<col::mask, col::value, col::value_old, col::returns, col::q, col::grad<col::value>>;

Batch<double, ValueColumns> random_values(unsigned seed) {
    std::mt19937 engine(seed);
    std::uniform_real_distribution<double> uniform(-2, 2);
    Batch<double, ValueColumns> batch(std::vector<std::int64_t>{0, 5, 5, 12});
    for (std::size_t t = 0; t < 12; ++t) {
        batch[col::mask{}][t] = uniform(engine) > -1;
        batch[col::value{}][t] = uniform(engine);
        batch[col::value_old{}][t] = batch[col::value{}][t] + 0.3 * uniform(engine);
        batch[col::returns{}][t] = uniform(engine);
        batch[col::q{}][t] = uniform(engine);
    }
    return batch;
}

template <class Term>
double loss_of(const Term& term, Batch<double, ValueColumns>& batch) {
    backend::Host host;
    return evaluate(host, batch, {count(host, batch)}, Weighed{term, aggregate::TokenMean{}}).loss();
}

template <class Term>
void expect_the_slope_of_the_loss(const Term& term) {
    auto batch = random_values(*rc::gen::arbitrary<unsigned>());
    for (std::size_t t = 0; t < 12; ++t)
        if (batch[col::mask{}][t] == 0) batch[col::value{}][t] = batch[col::returns{}][t] = NAN;
    loss_of(term, batch);
    auto span = batch[col::grad<col::value>{}];
    std::vector<double> slope(span.begin(), span.end());
    for (std::size_t t = 0; t < 12; ++t) {
        double value = batch[col::value{}][t], h = 1e-6;
        batch[col::value{}][t] = value + h;
        double above = loss_of(term, batch);
        batch[col::value{}][t] = value - h;
        double below = loss_of(term, batch);
        batch[col::value{}][t] = value;
        RC_ASSERT(std::abs((above - below) / (2 * h) - slope[t]) <= 1e-5);
        if (batch[col::mask{}][t] == 0) RC_ASSERT(slope[t] == 0.0);
    }
}
RC_GTEST_PROP(SquaredError, TheSlopeIsThatOfTheLoss, ()) {
    expect_the_slope_of_the_loss(critic::SquaredError{.coefficient = 0.7});
}
RC_GTEST_PROP(ClippedValue, TheSlopeIsThatOfTheLoss, ()) {
    expect_the_slope_of_the_loss(critic::ClippedValue{.coefficient = 0.7, .clip = 0.2});
}
RC_GTEST_PROP(Huber, TheSlopeIsThatOfTheLoss, ()) {
    expect_the_slope_of_the_loss(critic::Huber{.coefficient = 0.7, .delta = 0.8});
}
RC_GTEST_PROP(Expectile, TheSlopeIsThatOfTheLoss, ()) {
    expect_the_slope_of_the_loss(critic::Expectile{.coefficient = 0.7, .tau = 0.9});
}

RC_GTEST_PROP(ValueLosses, AWideClipAWideHuberAndTheMiddleExpectileAreTheSquaredError, ()) {
    auto batch = random_values(*rc::gen::arbitrary<unsigned>());
    double plain = loss_of(critic::SquaredError{}, batch);
    RC_ASSERT(std::abs(plain - loss_of(critic::ClippedValue{.clip = 100}, batch)) <= 1e-12);
    RC_ASSERT(std::abs(plain - loss_of(critic::Huber{.delta = 100}, batch)) <= 1e-12);
    RC_ASSERT(plain <= loss_of(critic::ClippedValue{.clip = 0.1}, batch) + 1e-12);
    std::copy(batch[col::returns{}].begin(), batch[col::returns{}].end(), batch[col::q{}].begin());
    RC_ASSERT(std::abs(plain - loss_of(critic::Expectile{.coefficient = 0.5, .tau = 0.5}, batch)) <= 1e-12);
}

TEST(ClippedValue, StopsWhereTheHeldValueIsTheWorse) {
    Batch<double, ValueColumns> batch(std::vector<std::int64_t>{0, 1});
    batch[col::mask{}][0] = 1;
    batch[col::value{}][0] = 1.0;    // moved all the way from 0 to the return of 1:
    batch[col::returns{}][0] = 1.0;  // beyond 0.2 that earns nothing more
    EXPECT_DOUBLE_EQ(loss_of(critic::ClippedValue{.coefficient = 1.0, .clip = 0.2}, batch), 0.5 * 0.8 * 0.8);
    EXPECT_EQ(batch[col::grad<col::value>{}][0], 0.0);
}

using methods::Ppo;
static_assert(contains_v<col::grad<col::value>, Ppo::Columns> && contains_v<col::value_old, Ppo::Inputs>);
static_assert(!contains_v<col::logp_ref, methods::PpoVerified::Columns>);

TEST(Ppo, TrainsItsValueHeadInTheSamePass) {
    Ppo::BatchFor<double> batch(std::vector<std::int64_t>{0, 3, 5}, std::vector<std::int64_t>{0, 1, 2});
    for (std::size_t t = 0; t < 5; ++t) {
        batch[col::mask{}][t] = t != 1;  // a tool's output
        batch[col::logp{}][t] = batch[col::logp_old{}][t] = batch[col::logp_ref{}][t] = -0.5;
    }
    batch[col::value{}][1] = batch[col::value_old{}][1] = NAN;
    batch[col::outcome{}][0] = 1.0;
    backend::Host host;
    roars::Run run{host};
    Ppo::State state;
    methods::ppo.score(run, state, batch);
    methods::ppo.estimate(run, state, batch);
    EXPECT_DOUBLE_EQ(batch[col::returns{}][2], 1.0);
    EXPECT_DOUBLE_EQ(batch[col::returns{}][0], 0.95);  // one trainable token earlier: lambda
    auto result = methods::ppo.objective(run, state, batch);
    EXPECT_NEAR(result.term_loss[1], 0.5 * 0.5 * (1.0 + 0.95 * 0.95) / 4, 1e-12);
    EXPECT_NEAR(batch[col::grad<col::value>{}][2], 0.5 * -1.0 / 4, 1e-12);
    EXPECT_EQ(batch[col::grad<col::value>{}][1], 0.0);
    EXPECT_LT(batch[col::grad<col::logp>{}][2], 0.0);  // the answer that scored is raised
    EXPECT_GT(batch[col::grad<col::logp>{}][4], 0.0);
}

TEST(PpoVerified, PutsTheOutcomeOnTheLastTrainableToken) {
    methods::PpoVerified::BatchFor<double> batch(std::vector<std::int64_t>{0, 3, 3, 5},
                                                 std::vector<std::int64_t>{0, 3});
    batch[col::mask{}][0] = batch[col::mask{}][1] = 1;
    for (double& outcome : batch[col::outcome{}]) outcome = 2.0;
    for (double& reward : batch[col::token_reward{}]) reward = 9.0;
    backend::Host host;
    roars::Run run{host};
    methods::PpoVerified::State state;
    methods::ppo_verified.score(run, state, batch);
    auto reward = batch[col::token_reward{}];
    EXPECT_EQ(std::vector<double>(reward.begin(), reward.end()), (std::vector<double>{0, 2, 0, 0, 0}));
}

}  // namespace
}  // namespace roars::value_loss_test
