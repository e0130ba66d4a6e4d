#include "roars/actors/tabular.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "roars/random.hpp"

namespace roars::actors_tabular_test {
namespace {

using roars::Error;
using roars::Random;
using roars::RandomStream;
using roars::actor::Tabular;

Tabular<double> random_table(std::int64_t rows, std::int64_t actions, std::uint64_t seed) {
    Tabular<double> table(rows, actions);
    RandomStream random{Random(seed)};
    for (double& logit : table.parameters().values()) logit = random.normal();
    return table;
}

TEST(Tabular, GradientOfLogProbabilityAndEntropyIsFiniteDifference) {
    Tabular<double> table = random_table(4, 3, 1);
    std::vector<std::int64_t> rows = {0, 2, 2, 3, 0, 2}, actions = {1, 0, 0, 2, 1, 1};
    std::vector<double> of_log_probability = {0.3, -1.5, 2.0, 0.0, 0.7, -0.2}, of_entropy = {1, -2, 0, 0.5, 0.25, 3};
    auto loss = [&] {
        double sum = 0;
        for (std::size_t t = 0; t < rows.size(); ++t)
            sum += of_log_probability[t] * table.log_probability(rows[t], actions[t]) +
                   of_entropy[t] * table.entropy(rows[t]);
        return sum;
    };
    table.backward(rows, actions, of_log_probability, of_entropy);
    for (std::size_t i = 0; i < 12; ++i) {
        double& logit = table.parameters().values()[i];
        double kept = logit;
        logit = kept + 1e-6;
        double above = loss();
        logit = kept - 1e-6;
        double below = loss();
        logit = kept;
        EXPECT_NEAR(table.parameters().gradients()[i], (above - below) / 2e-6, 1e-8) << "logit " << i;
    }
}

RC_GTEST_PROP(Tabular, ProbabilitiesSumToOneAndIgnoreAShift, ()) {
    auto seed = *rc::gen::arbitrary<std::uint64_t>();
    auto actions = *rc::gen::inRange<std::int64_t>(1, 9);
    auto shift = *rc::gen::inRange(-500, 500);
    Tabular<double> table = random_table(1, actions, seed);
    std::vector<double> before(static_cast<std::size_t>(actions)), after(before.size());
    table.probabilities(0, before);
    for (double& logit : table.logits(0)) logit += shift;
    table.probabilities(0, after);
    double sum = 0;
    for (std::size_t a = 0; a < before.size(); ++a) {
        RC_ASSERT(std::abs(before[a] - after[a]) < 1e-12);
        RC_ASSERT(std::abs(std::log(after[a]) - table.log_probability(0, static_cast<std::int64_t>(a))) < 1e-12);
        sum += after[a];
    }
    RC_ASSERT(std::abs(sum - 1) < 1e-12);
}

RC_GTEST_PROP(Tabular, GradientOfARowSumsToZero, ()) {
    Tabular<double> table = random_table(2, 5, *rc::gen::arbitrary<std::uint64_t>());
    std::vector<std::int64_t> rows = {1, 1}, actions = {*rc::gen::inRange<std::int64_t>(0, 5), 2};
    table.backward(rows, actions, std::vector<double>{1.5, -0.3}, std::vector<double>{0.2, 0.9});
    double sum = 0;
    for (std::size_t k = 5; k < 10; ++k) sum += table.parameters().gradients()[k];
    RC_ASSERT(std::abs(sum) < 1e-12);
    for (std::size_t k = 0; k < 5; ++k) RC_ASSERT(table.parameters().gradients()[k] == 0.0);
}

TEST(Tabular, GoldenNumbers) {
    Tabular<double> table(1, 2);
    table.set_logits(std::vector<double>{0.0, std::log(3.0)});
    EXPECT_NEAR(table.log_probability(0, 0), std::log(0.25), 1e-15);
    EXPECT_NEAR(table.entropy(0), 0.25 * std::log(4.0) + 0.75 * std::log(4.0 / 3.0), 1e-15);
    table.backward(std::vector<std::int64_t>{0}, std::vector<std::int64_t>{0}, std::vector<double>{2.0});
    EXPECT_NEAR(table.parameters().gradients()[0], 1.5, 1e-15);
    EXPECT_NEAR(table.parameters().gradients()[1], -1.5, 1e-15);
}

TEST(Tabular, ForbiddenActionsHaveNoProbabilityAndNoGradient) {
    Tabular<double> table(1, 3);
    table.logits(0)[1] = -std::numeric_limits<double>::infinity();
    std::vector<double> probability(3);
    table.probabilities(0, probability);
    EXPECT_EQ(probability, (std::vector<double>{0.5, 0.0, 0.5}));
    EXPECT_NEAR(table.entropy(0), std::log(2.0), 1e-15);
    table.backward(std::vector<std::int64_t>{0}, std::vector<std::int64_t>{0}, std::vector<double>{1.0},
                   std::vector<double>{1.0});
    EXPECT_NEAR(table.parameters().gradients()[0], 0.5, 1e-15);
    EXPECT_EQ(table.parameters().gradients()[1], 0.0);
    EXPECT_NEAR(table.parameters().gradients()[2], -0.5, 1e-15);
    for (double& logit : table.logits(0)) logit = -std::numeric_limits<double>::infinity();
    EXPECT_THROW(table.entropy(0), Error);
}

TEST(Tabular, LogProbabilitiesOfABatch) {
    Tabular<float> table(2, 2, 5.0f);
    std::vector<float> result(3);
    table.log_probabilities(std::vector<std::int64_t>{0, 1, 1}, std::vector<std::int64_t>{0, 1, 0}, result);
    for (float value : result) EXPECT_NEAR(value, std::log(0.5f), 1e-6f);
}

TEST(Tabular, RefusesWhatIsOutside) {
    EXPECT_THROW(Tabular<float>(0, 2), Error);
    Tabular<float> table(2, 3);
    EXPECT_THROW(table.log_probability(2, 0), Error);
    EXPECT_THROW(table.log_probability(0, -1), Error);
    EXPECT_THROW(table.set_logits(std::vector<float>(5)), Error);
    std::vector<std::int64_t> one = {0}, two = {0, 1};
    EXPECT_THROW(table.backward(one, two, std::vector<float>(2)), Error);
}

}  // namespace
}  // namespace roars::actors_tabular_test
