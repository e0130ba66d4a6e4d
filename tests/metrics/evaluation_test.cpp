#include "roars/metrics/evaluation.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "roars/environments/cart_pole.hpp"
#include "roars/environments/evaluate.hpp"
#include "roars/environments/pendulum.hpp"

namespace roars::evaluation_test {
namespace {

using namespace roars::metrics;

TEST(Evaluation, StudentsQuantilesAreThoseOfTheTables) {
    EXPECT_NEAR(student_quantile(0.975, 1), 12.706204736, 1e-8);
    EXPECT_NEAR(student_quantile(0.975, 4), 2.776445105, 1e-8);
    EXPECT_NEAR(student_quantile(0.95, 9), 1.833112933, 1e-8);
    EXPECT_NEAR(student_quantile(0.995, 30), 2.749995654, 1e-8);
    EXPECT_NEAR(student_quantile(0.975, 1e6), 1.959966368, 1e-7);
    EXPECT_NEAR(student_quantile(0.75, 1), 1.0, 1e-12);  // Cauchy's distribution
    EXPECT_EQ(student_quantile(0.5, 3), 0.0);
    for (double p : {0.01, 0.2, 0.6, 0.999})
        for (double freedom : {1.0, 2.0, 5.0, 40.0}) {
            EXPECT_NEAR(student_probability(student_quantile(p, freedom), freedom), p, 1e-12);
            EXPECT_NEAR(student_quantile(p, freedom), -student_quantile(1 - p, freedom), 1e-9);
        }
    EXPECT_THROW(student_quantile(1.0, 3), Error);
    EXPECT_THROW(student_quantile(0.5, 0), Error);
}

TEST(Evaluation, AnEstimateOfFiveSeeds) {
    const std::array values{1.0, 2.0, 3.0, 4.0, 5.0};
    auto e = estimate(values);
    EXPECT_EQ(e.mean, 3.0);
    EXPECT_NEAR(e.deviation, std::sqrt(2.5), 1e-15);
    EXPECT_NEAR(e.high - e.mean, 2.776445105 * std::sqrt(2.5 / 5), 1e-8);
    EXPECT_NEAR(e.low + e.high, 6.0, 1e-12);
    EXPECT_EQ(e.count, 5);
    EXPECT_TRUE(std::isinf(estimate(std::array{7.0}).high));
    EXPECT_EQ(estimate(std::array{7.0}).mean, 7.0);
    EXPECT_TRUE(std::isnan(estimate({}).mean));
    auto equal = estimate(std::array{2.0, 2.0, 2.0});
    EXPECT_EQ(equal.low, equal.high);
    EXPECT_THROW(estimate(values, 1.0), Error);
}

TEST(Evaluation, NormalisedScores) {
    auto hopper = d4rl_reference("hopper-medium-v2").value();
    EXPECT_NEAR(hopper.normalised(-20.272305), 0.0, 1e-12);
    EXPECT_NEAR(hopper.normalised(3234.3), 100.0, 1e-12);
    EXPECT_NEAR((ReferenceReturns{.random = -1000, .expert = -200}.normalised(-600)), 50.0, 1e-12);
    EXPECT_EQ(d4rl_reference("HalfCheetah-v5")->expert, 12135.0);
    EXPECT_FALSE(d4rl_reference("chess"));
    EXPECT_FALSE(d4rl_reference(""));
    EXPECT_THROW((ReferenceReturns{1, 1}.normalised(1)), Error);
}

TEST(Evaluation, EpisodesOfAPolicy) {
    // Pushes towards the side the pole falls to: far from good, far better than chance.
    auto upright = [](const auto&, auto observation, auto action, RandomStream&) {
        action[0] = observation[2] + observation[3] > 0;
    };
    auto good = env::evaluate(env::CartPole{}, 20, 5, upright),
         chance = env::evaluate(env::CartPole{}, 20, 5, env::UniformPolicy{});
    EXPECT_GT(good.mean_return(), 5 * chance.mean_return());
    EXPECT_EQ(good.returns, good.lengths);  // a reward of 1 a step
    EXPECT_EQ(env::evaluate(env::CartPole{}, 20, 5, upright).returns, good.returns);
    for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(good.terminated[i] == 0, good.lengths[i] == 500);
    auto pendulum = env::evaluate<double>(env::Pendulum{}, 3, 1, env::UniformPolicy{});
    for (auto ended : pendulum.terminated) EXPECT_FALSE(ended);
    EXPECT_EQ(pendulum.lengths, std::vector<double>(3, 200.0));
    EXPECT_THROW(env::evaluate(env::CartPole{}, 0, 5, upright), Error);
}

}  // namespace
}  // namespace roars::evaluation_test
