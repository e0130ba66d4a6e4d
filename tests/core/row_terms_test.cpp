#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/regularizer/near_action.hpp"

namespace roars::row_terms_test {
namespace {

/// Wide and narrow columns, terms by rows and in lanes, in one objective.
using Wide = Batch<double, columns<col::mask, col::policy_action, col::action, col::q, col::q_gradient, col::entropy,
                                   col::grad<col::policy_action>, col::grad<col::entropy>>>;

constexpr std::int64_t width = 3;

Wide random_batch(unsigned seed, std::vector<std::int64_t> offsets) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> any(-1, 1);
    Wide batch{Offsets(offsets)};
    batch.set_width(col::policy_action{}, width);
    batch.set_width(col::action{}, width);
    batch.set_width(col::q_gradient{}, width);
    for_each_column(Wide::Columns{}, [&](auto column) {
        for (auto& x : batch[column]) x = any(random);
    });
    for (auto& mask : batch[col::mask{}]) mask = any(random) > -0.5;
    return batch;
}

template <class Surrogate, class Aggregate>
auto evaluate_all(const Surrogate& surrogate, const Aggregate& aggregate, Wide& batch) {
    backend::Host host;
    roars::Run run{host};
    auto counts = count(host, batch);
    auto bound = surrogate;
    if constexpr (roars::detail::TwoPhase<Surrogate>)
        bound = surrogate.with(roars::detail::reduce_base(surrogate, run, batch));
    return evaluate(host, batch, {counts, counts, counts}, Weighed<Surrogate, Aggregate>{bound, aggregate},
                    Weighed<regularizer::EntropyBonus, Aggregate>{regularizer::EntropyBonus{0.3}, aggregate},
                    Weighed<regularizer::NearAction<>, Aggregate>{regularizer::NearAction<>{0.7}, aggregate});
}

double plain_loss(const Wide& batch, double scale) {
    double loss = 0, tokens = 0;
    for (std::int64_t t = 0; t < batch.tokens(); ++t) {
        auto i = static_cast<std::size_t>(t);
        if (batch[col::mask{}][i] == 0) continue;
        double away = 0;
        for (std::size_t j = i * width; j < (i + 1) * width; ++j)
            away += std::pow(batch[col::policy_action{}][j] - batch[col::action{}][j], 2);
        loss += -scale * batch[col::q{}][i] - 0.3 * batch[col::entropy{}][i] + 0.7 * away / width;
        ++tokens;
    }
    return tokens > 0 ? loss / tokens : 0.0;
}

double mean_size_of_q(const Wide& batch) {
    double sum = 0, tokens = 0;
    for (std::size_t t = 0; t < batch[col::q{}].size(); ++t)
        if (batch[col::mask{}][t] != 0) sum += std::abs(batch[col::q{}][t]), ++tokens;
    return sum / tokens;
}

TEST(RowTerms, LossAndGradientsAreThoseOfThePlainFormula) {
    for (unsigned seed = 0; seed < 20; ++seed) {
        auto batch = random_batch(seed, {0, 7, 7, 30, 41});
        auto result = evaluate_all(surrogate::Climb{}, aggregate::TokenMean{}, batch);
        EXPECT_NEAR(result.loss(), plain_loss(batch, 1.0), 1e-12);
        double tokens = 0;
        for (double mask : batch[col::mask{}]) tokens += mask;
        EXPECT_EQ(result.tokens, std::int64_t(tokens));
        auto gradient = batch[col::grad<col::policy_action>{}];
        ASSERT_EQ(gradient.size(), std::size_t(41 * width));
        for (std::size_t c = 0; c < gradient.size(); ++c) {
            double away = batch[col::policy_action{}][c] - batch[col::action{}][c];
            double expected = (-batch[col::q_gradient{}][c] + 1.4 * away / width) / tokens;
            EXPECT_NEAR(gradient[c], batch[col::mask{}][c / width] != 0 ? expected : 0.0, 1e-12);
        }
        for (std::size_t t = 0; t < 41; ++t)
            EXPECT_NEAR(batch[col::grad<col::entropy>{}][t], batch[col::mask{}][t] != 0 ? -0.3 / tokens : 0.0, 1e-12);
    }
}

TEST(RowTerms, WeightsOfSequencesReachRows) {
    auto batch = random_batch(5, {0, 4, 4, 9});
    for (auto& mask : batch[col::mask{}]) mask = 1;
    auto result = evaluate_all(surrogate::Climb{}, aggregate::SequenceMean{}, batch);
    double expected = 0;
    for (std::size_t t = 0; t < 9; ++t) expected -= batch[col::q{}][t] / (2.0 * (t < 4 ? 4.0 : 5.0));
    EXPECT_NEAR(result.term_loss[0], expected, 1e-12);
}

TEST(RowTerms, NormalisedByTheBatch) {
    auto batch = random_batch(3, {0, 50});
    double scale = 2.5 / mean_size_of_q(batch);
    EXPECT_NEAR(evaluate_all(surrogate::NormalisedClimb{}, aggregate::TokenMean{}, batch).loss(),
                plain_loss(batch, scale), 1e-12);
    for (auto& q : batch[col::q{}]) q = 0;
    EXPECT_NEAR(evaluate_all(surrogate::NormalisedClimb{}, aggregate::TokenMean{}, batch).loss(),
                plain_loss(batch, 0.0), 1e-12);
}

TEST(RowTerms, MaskedRowsNeverLeakAndAFaultIsNamed) {
    auto batch = random_batch(9, {0, 12});
    auto clean = batch;
    for (std::size_t t = 0; t < 12; ++t)
        if (batch[col::mask{}][t] == 0) batch[col::q_gradient{}][t * width + 1] = std::nan("");
    EXPECT_EQ(evaluate_all(surrogate::Climb{}, aggregate::TokenMean{}, batch).loss(),
              evaluate_all(surrogate::Climb{}, aggregate::TokenMean{}, clean).loss());
    batch[col::mask{}][5] = 1;
    batch[col::q_gradient{}][5 * width + 2] = std::numeric_limits<double>::infinity();
    try {
        evaluate_all(surrogate::Climb{}, aggregate::TokenMean{}, batch);
        FAIL() << "accepted";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("q_gradient of token 5 (sequence 0) is inf"), std::string::npos)
            << error.what();
    }
}

TEST(RowTerms, OfNothingIsNothing) {
    Wide empty;
    EXPECT_EQ(evaluate_all(surrogate::NormalisedClimb{}, aggregate::TokenMean{}, empty).loss(), 0.0);
    auto masked = random_batch(2, {0, 3});
    for (auto& mask : masked[col::mask{}]) mask = 0;
    EXPECT_EQ(evaluate_all(surrogate::Climb{}, aggregate::TokenMean{}, masked).loss(), 0.0);
    for (double slope : masked[col::grad<col::policy_action>{}]) EXPECT_EQ(slope, 0.0);
}

}  // namespace
}  // namespace roars::row_terms_test
