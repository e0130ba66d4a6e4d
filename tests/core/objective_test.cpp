#include "roars/objective.hpp"
#include "../limits.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "roars/methods/gspo.hpp"
#include "roars/methods/ppo.hpp"
#include "roars/optimizer/surrogates/over.hpp"
#include "roars/regularizer/sum.hpp"

namespace roars::core_objective_test {
namespace {

/// Three terms over three columns with gradients, weighed by sequence: clip + k3 + entropy + a critic.
using Everything =
    Algorithm<sampler::Groups, reward::OnLastToken<reward::Verified>, advantage::GaeTokens<critic::ClippedValue>,
              regularizer::Sum<regularizer::Kl<kl::K3>, regularizer::EntropyBonus>,
              optimizer::PolicyGradient<surrogate::Clip, aggregate::SequenceMean, step::AdamW>>;
constexpr Everything everything{
    .advantage = {.critic = {.coefficient = 0.7}},
    .regularizer = {regularizer::Kl<kl::K3>{.coefficient = 0.3}, regularizer::EntropyBonus{.coefficient = 0.2}}};
template <class Real>
using BatchOf = Everything::BatchFor<Real>;

std::vector<std::int64_t> ragged(std::mt19937& random, std::int64_t count, std::int64_t longest) {
    std::uniform_int_distribution<std::int64_t> length(0, longest);
    std::vector<std::int64_t> offsets{0};
    for (std::int64_t i = 0; i < count; ++i) offsets.push_back(offsets.back() + length(random));
    return offsets;
}

/// Random numbers everywhere; a fifth of the tokens is masked. Float and double hold the same numbers.
template <class BatchType>
BatchType random_batch(unsigned seed, std::int64_t groups, std::int64_t longest) {
    std::mt19937 random(seed);
    auto sequences = ragged(random, groups, 4);
    BatchType batch(ragged(random, sequences.back(), longest), sequences);
    std::uniform_real_distribution<float> logp(-3.0f, -0.01f), any(-1.0f, 1.0f), unit(0.0f, 1.0f);
    for_each_column(typename BatchType::Columns{}, [&]<class Column>(Column column) {
        if constexpr (Column::kind == Kind::real && !is_gradient_v<Column>)
            for (auto& x : batch[column])
                x = column.name == "mask"                ? float(unit(random) < 0.8f)
                    : column.name.substr(0, 4) == "logp" ? logp(random)
                    : column.name == "entropy"           ? unit(random)
                                                         : any(random);
    });
    return batch;
}

template <class A, class BatchType>
auto pass(const A& algorithm, BatchType& batch, backend::Host host = {}) {
    roars::Run run{host};
    return algorithm.objective(run, typename A::State{}, batch);
}
template <class Span>
auto copy(Span span) {
    return std::vector<typename Span::value_type>(span.begin(), span.end());
}
template <class BatchType>
auto gradients(const BatchType& batch) {
    std::vector<typename BatchType::Real> all;
    for_each_column(typename BatchType::Columns{}, [&]<class Column>(Column column) {
        if constexpr (is_gradient_v<Column>) all.insert(all.end(), batch[column].begin(), batch[column].end());
    });
    return all;
}
bool close(double a, double b, double tolerance) {
    return std::abs(a - b) <= tolerance * std::max({1.0, std::abs(a), std::abs(b)});
}
template <class Action>
std::string error_of(Action&& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

/// The whole objective once more, token by token, from the formulas of its terms.
RC_GTEST_PROP(Objective, IsTheFormulasSummedTokenByToken, (unsigned seed)) {
    auto batch = random_batch<BatchOf<double>>(seed, 3, 30);
    auto result = pass(everything, batch);
    Offsets offsets = batch.token_offsets();
    double live = 0, policy = 0, kl = 0, entropy = 0, value = 0;
    std::vector<double> lengths;
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
        double length = 0;
        for (auto t = std::size_t(offsets[i]); t < std::size_t(offsets[i + 1]); ++t) length += batch[col::mask{}][t];
        lengths.push_back(length);
        live += length > 0;
    }
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
        for (auto t = std::size_t(offsets[i]); t < std::size_t(offsets[i + 1]); ++t) {
            auto x = [&](auto column) { return batch[column][t]; };
            if (x(col::mask{}) == 0) {
                RC_ASSERT(x(col::grad<col::logp>{}) == 0 && x(col::grad<col::entropy>{}) == 0 &&
                          x(col::grad<col::value>{}) == 0);
                continue;
            }
            double weight = 1 / (live * lengths[i]), a = x(col::advantage{});
            double r = std::exp(x(col::logp{}) - x(col::logp_old{})), held = std::clamp(r, 0.8, 1.2);
            double d = x(col::logp_ref{}) - x(col::logp{});
            policy -= weight * std::min(r * a, held * a);
            kl += weight * 0.3 * std::min(10.0, std::exp(d) - 1 - d);
            entropy -= weight * 0.2 * x(col::entropy{});
            double v = x(col::value{}) - x(col::returns{});
            double clipped =
                std::clamp(x(col::value{}), x(col::value_old{}) - 0.2, x(col::value_old{}) + 0.2) - x(col::returns{});
            value += weight * 0.7 * 0.5 * std::max(v * v, clipped * clipped);
            double slope = (r * a <= held * a ? -r * a : 0) + 0.3 * (std::exp(d) - 1 - d < 10 ? 1 - std::exp(d) : 0);
            RC_ASSERT(close(x(col::grad<col::logp>{}), weight * slope, 1e-12));
            RC_ASSERT(close(x(col::grad<col::entropy>{}), -weight * 0.2, 1e-12));
            RC_ASSERT(close(x(col::grad<col::value>{}), clipped * clipped > v * v ? 0 : weight * 0.7 * v, 1e-12));
        }
    RC_ASSERT(close(result.term_loss[0], policy, 1e-12));
    RC_ASSERT(close(result.term_loss[1], kl, 1e-12));
    RC_ASSERT(close(result.term_loss[2], entropy, 1e-12));
    RC_ASSERT(close(result.term_loss[3], value, 1e-12));
    RC_ASSERT(close(result.loss(), policy + kl + entropy + value, 1e-12));
}

RC_GTEST_PROP(Objective, GradientIsThatOfFiniteDifferences, (unsigned seed)) {
    auto batch = random_batch<BatchOf<double>>(seed, 2, 6);
    auto original = batch;
    pass(everything, batch);
    auto check = [&]<class Column>(Column column) {
        for (std::size_t t = 0; t < batch[column].size(); ++t) {
            auto moved = original;
            const double step = 1e-6;
            moved[column][t] += step;
            double up = pass(everything, moved).loss();
            moved[column][t] -= 2 * step;
            double down = pass(everything, moved).loss();
            RC_ASSERT(close(batch[col::grad<Column>{}][t], (up - down) / (2 * step), 1e-6));
        }
    };
    check(col::logp{}), check(col::entropy{}), check(col::value{});
}

RC_GTEST_PROP(Objective, MicroBatchesAddUpToTheWhole, (unsigned seed)) {
    auto batch = random_batch<BatchOf<double>>(seed, 6, 40);
    std::mt19937 random(seed);
    backend::Host host;
    roars::Run run{host};
    Everything::State state;
    auto whole = pass(everything, batch);
    std::vector<BatchOf<double>> pieces;
    for (std::int64_t first = 0; first < batch.groups();) {
        std::int64_t last = std::uniform_int_distribution<std::int64_t>(first + 1, batch.groups())(random);
        pieces.push_back(batch.slice_groups(first, last));
        first = last;
    }
    auto totals = everything.totals(run, state, pieces.front());
    for (std::size_t k = 1; k < pieces.size(); ++k) totals += everything.totals(run, state, pieces[k]);
    decltype(whole) sum;
    std::vector<double> logp;
    for (auto& piece : pieces) {
        sum += everything.objective(run, state, piece, totals);
        auto part = piece[col::grad<col::logp>{}];
        logp.insert(logp.end(), part.begin(), part.end());
    }
    RC_ASSERT(totals.counts[0].tokens == everything.totals(run, state, batch).counts[0].tokens);
    RC_ASSERT(logp == copy(batch[col::grad<col::logp>{}]));
    RC_ASSERT(sum.tokens == whole.tokens);
    RC_ASSERT(close(sum.loss(), whole.loss(), 1e-12));
    whole.for_each([&](std::string_view name, double value) {
        if (name.find("loss") == std::string_view::npos) RC_ASSERT(close(sum.metric(name), value, 1e-12));
    });
}

/// Pieces of work end inside sequences; what belongs to a whole sequence must not.
RC_GTEST_PROP(Objective, DoesNotDependOnTheGrain, (unsigned seed)) {
    std::mt19937 random(seed);
    auto check = [&](const auto& algorithm, auto batch) {
        auto other = batch;
        auto one = pass(algorithm, batch);
        auto cut = pass(algorithm, other, {.grain = std::uniform_int_distribution<std::int64_t>(1, 3000)(random)});
        RC_ASSERT(gradients(batch) == gradients(other));
        RC_ASSERT(one.tokens == cut.tokens);
        RC_ASSERT(close(one.loss(), cut.loss(), 1e-12));
    };
    check(everything, random_batch<BatchOf<double>>(seed, 3, 4000));
    check(methods::gspo, random_batch<methods::Gspo::BatchFor<double>>(seed, 3, 4000));
}

RC_GTEST_PROP(Objective, FloatIsNearDouble, (unsigned seed)) {
    auto exact = random_batch<BatchOf<double>>(seed, 4, 300);
    auto rounded = random_batch<BatchOf<float>>(seed, 4, 300);
    auto a = pass(everything, exact), b = pass(everything, rounded);
    RC_ASSERT(close(a.loss(), b.loss(), 1e-5));
    auto fine = gradients(exact);
    auto coarse = gradients(rounded);
    for (std::size_t i = 0; i < fine.size(); ++i) RC_ASSERT(std::abs(fine[i] - double(coarse[i])) <= 1e-5);
}

#if defined(_OPENMP)
TEST(Objective, HasTheSameBitsOnAnyNumberOfThreads) {
    const int before = omp_get_max_threads();
    auto batch = random_batch<BatchOf<float>>(11, 6, 2000);
    std::vector<double> losses;
    std::vector<std::vector<float>> slopes;
    for (int threads : {1, 2, 3, 4}) {
        omp_set_num_threads(threads);
        auto own = batch;
        losses.push_back(pass(everything, own, {.grain = 512}).loss());
        slopes.push_back(gradients(own));
    }
    omp_set_num_threads(before);
    for (std::size_t k = 1; k < losses.size(); ++k) {
        EXPECT_EQ(losses[k], losses[0]);
        EXPECT_EQ(slopes[k], slopes[0]);
    }
}
#endif

RC_GTEST_PROP(Objective, WhatIsMaskedNeverLeaks, (unsigned seed)) {
    auto clean = random_batch<BatchOf<double>>(seed, 3, 40);
    auto ugly = clean;
    const double bad[] = {std::nan(""), infinity, -infinity, 1e308};
    int k = 0;
    for_each_column(BatchOf<double>::Columns{}, [&]<class Column>(Column column) {
        if constexpr (Column::extent == Extent::token && !std::is_same_v<Column, col::mask> && !is_gradient_v<Column>)
            for (std::size_t t = 0; t < ugly[column].size(); ++t)
                if (ugly[col::mask{}][t] == 0) ugly[column][t] = bad[k++ % 4];
    });
    auto a = pass(everything, clean), b = pass(everything, ugly);
    RC_ASSERT(a.term_loss == b.term_loss);
    RC_ASSERT(a.metric_sum == b.metric_sum);
    RC_ASSERT(gradients(clean) == gradients(ugly));
}

TEST(Objective, NamesTheFirstValueThatIsNotFinite) {
    auto error = [&](auto column, std::size_t token, double value) {
        BatchOf<double> batch(std::vector<std::int64_t>{0, 2, 2, 6}, std::vector<std::int64_t>{0, 3});
        for (auto& mask : batch[col::mask{}]) mask = 1;
        batch[col::mask{}][4] = 0;
        batch[column][token] = value;
        return error_of([&] { pass(everything, batch, {.grain = 2}); });
    };
    EXPECT_EQ(error(col::logp{}, 3, -infinity),
              "logp of token 3 (sequence 2) is -inf, expected a finite number at a trainable token");
    EXPECT_EQ(error(col::logp_ref{}, 0, infinity),
              "logp_ref of token 0 (sequence 0) is inf, expected a finite number at a trainable token");
    EXPECT_EQ(error(col::advantage{}, 5, std::nan("")),
              "advantage of token 5 (sequence 2) is nan, expected a finite number at a trainable token");
    EXPECT_EQ(error(col::value{}, 1, std::nan("")),
              "value of token 1 (sequence 0) is nan, expected a finite number at a trainable token");
    EXPECT_EQ(error(col::logp{}, 4, -infinity), "no error");
}

TEST(Objective, OfNothingIsZero) {
    auto expect_zero = [](auto batch) {
        auto result = pass(everything, batch);
        EXPECT_EQ(result.loss(), 0.0);
        EXPECT_EQ(result.tokens, 0);
        result.for_each([](std::string_view name, double value) { EXPECT_EQ(value, 0.0) << name; });
        for (double slope : gradients(batch)) EXPECT_EQ(slope, 0.0);
    };
    expect_zero(BatchOf<double>());
    expect_zero(BatchOf<double>(std::vector<std::int64_t>{0, 0, 0}, std::vector<std::int64_t>{0, 2}));
    auto masked = random_batch<BatchOf<double>>(5, 4, 50);
    for (auto& mask : masked[col::mask{}]) mask = 0;
    expect_zero(masked);
}

TEST(Objective, OfOneTokenWithoutAMaskInTheBatch) {
    std::vector<double> logp{-0.5}, logp_old{-0.6}, advantage{2};
    using Term = surrogate::Clip;
    auto batch = view<double>(std::vector<std::int64_t>{0, 1})
                     .borrow(col::logp{}, logp)
                     .borrow(col::logp_old{}, logp_old)
                     .borrow(col::advantage{}, advantage)
                     .with(columns<col::grad<col::logp>>{});
    backend::Host host;
    auto result = evaluate(host, batch, {count(host, batch)}, Weighed{Term{}, aggregate::SequenceMean{}});
    EXPECT_EQ(result.tokens, 1);
    EXPECT_NEAR(result.loss(), -2 * std::exp(0.1), 1e-15);
    EXPECT_NEAR(batch[col::grad<col::logp>{}][0], -2 * std::exp(0.1), 1e-15);
}

TEST(Objective, CountsBeyondThirtyTwoBits) {
    const std::int64_t many = 3'000'000'000;
    Batch<float, columns<col::groups>> batch(std::vector<std::int64_t>{0, many, many, 3 * many},
                                             std::vector<std::int64_t>{0, 2, 3});
    backend::Host host;
    Counts counts = count(host, batch);
    EXPECT_EQ(counts.tokens, 3 * many);
    EXPECT_EQ(counts.sequences, 3);
    EXPECT_EQ(counts.live_sequences, 2);
    EXPECT_EQ(counts.groups, 2);
    EXPECT_EQ((counts + counts).tokens, 6 * many);
    EXPECT_EQ(aggregate::TokenMean{}.weight(counts, 0), 1.0 / 9e9);
    EXPECT_EQ(aggregate::SequenceMean{}.weight(counts, 2 * many), 1.0 / 12e9);
}

/// A metric is the mean over the tokens that its own term counts, in any cut.
TEST(Objective, MetricsAreOverTheirTermsTokens) {
    using First = surrogate::Over<surrogate::Likelihood, col::external>;
    Batch<double, columns<col::groups, col::logp, col::entropy, col::mask, col::external, col::grad<col::logp>>> batch(
        std::vector<std::int64_t>{0, 3, 5}, std::vector<std::int64_t>{0, 1, 2});
    auto fill = [&](auto column, std::vector<double> values) {
        std::copy(values.begin(), values.end(), batch[column].begin());
    };
    fill(col::logp{}, {-1, -2, -3, -4, -5});
    fill(col::entropy{}, {0.5, 1.0, 2.0, 4.0, 8.0});
    fill(col::mask{}, {1, 0, 1, 1, 1});
    fill(col::external{}, {0, 1, 0, 0, 0});
    backend::Host host;
    Weighed first{First{}, aggregate::TokenMean{}};
    Weighed second{regularizer::EntropyBonus{0.1}, aggregate::TokenMean{}};
    std::array<Counts, 2> counts{count<col::external>(host, batch), count(host, batch)};
    auto check = [&](const auto& result) {
        EXPECT_EQ(result.tokens, 1);
        EXPECT_EQ(result.count("entropy"), 4);
        EXPECT_EQ(result.count("no such metric"), 0);
        EXPECT_DOUBLE_EQ(result.metric("entropy"), (0.5 + 2 + 4 + 8) / 4);
        EXPECT_DOUBLE_EQ(result.loss(), 2 - 0.1 * (0.5 + 2 + 4 + 8) / 4);
    };
    check(evaluate(host, batch, counts, first, second));
    auto a = batch.slice_groups(0, 1), b = batch.slice_groups(1, 2);
    auto sum = evaluate(host, a, counts, first, second);
    sum += evaluate(host, b, counts, first, second);
    check(sum);
}

TEST(Objective, RefusesRowsWhereATermReadsNumbers) {
    Batch<double, columns<col::logp>> batch(std::vector<std::int64_t>{0, 2});
    batch.set_width(col::logp{}, 3);
    backend::Host host;
    EXPECT_EQ(error_of([&] {
                  evaluate(host, batch, {count(host, batch)}, Weighed{surrogate::Likelihood{}, aggregate::TokenMean{}});
              }),
              "logp: has rows of 3 values, expected one number each for a term of the loss");
}

}  // namespace
}  // namespace roars::core_objective_test
