#pragma once

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "roars/optimizer/surrogates/wrapper.hpp"

/// What the tests of terms share: random batches, a pass over one or in pieces, finite differences.
namespace roars {
namespace {

/// All that a term reads and writes, and room for its gradients.
template <class Term>
using ColumnsOf =
    unite_t<columns<col::groups, col::mask>, needs_of<Term>, gives_of<Term>, roars::detail::prepare_needs_of<Term>,
            decltype(roars::detail::gradients_of(typename Term::differentiates{}))>;
template <class Term, class Real = double>
using BatchOf = Batch<Real, ColumnsOf<Term>>;

/// Groups of two sequences; sequences of 0 to 5 tokens, or of 40; some tokens are masked and hold 0.
template <class Term>
BatchOf<Term> random_batch(std::mt19937& random, int groups) {
    auto below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
    auto real = [&](double low, double high) { return std::uniform_real_distribution<double>(low, high)(random); };
    std::vector<std::int64_t> tokens{0}, sequences{0};
    for (int g = 0; g < groups; ++g) {
        for (int i = 0; i < 2; ++i) tokens.push_back(tokens.back() + (below(8) == 0 ? 40 : below(6)));
        sequences.push_back(sequences.back() + 2);
    }
    BatchOf<Term> batch(tokens, sequences);
    for (auto& mask : batch[col::mask{}]) mask = below(4) > 0;
    auto fill = [&]<class Column>(Column column, auto&& value) {
        if constexpr (BatchOf<Term>::template has<Column>)
            for (auto& x : batch[column]) x = value();
    };
    fill(col::logp_old{}, [&] { return real(-3, 0); });
    fill(col::logp{}, [&] { return real(-3, 0); });
    fill(col::logp_ref{}, [&] { return real(-3, 0); });
    fill(col::logp_behaviour{}, [&] { return real(-3, 0); });
    fill(col::entropy{}, [&] { return real(0, 2); });
    fill(col::importance_weight{}, [&] { return real(0, 2); });
    fill(col::reward{}, [&] { return double(below(3)) - 1.0; });
    fill(col::mismatched{}, [&] { return double(below(4) == 0); });
    fill(col::sum_pi_squared{}, [&] { return real(0.05, 1); });
    fill(col::external{}, [&] { return double(below(2)); });
    if constexpr (BatchOf<Term>::template has<col::external> && BatchOf<Term>::template has<col::sequence_gradient>)
        for (std::size_t i = 0; i + 1 < tokens.size(); ++i)  // whole answers are
            std::fill(batch[col::external{}].begin() + tokens[i], batch[col::external{}].begin() + tokens[i + 1],
                      double(below(2)));
    fill(col::advantage_global{}, [&] { return real(-2, 2); });
    fill(col::blend{}, [&] { return real(0, 1); });
    if constexpr (BatchOf<Term>::template has<col::chosen>)
        for (std::size_t i = 0; i < batch[col::chosen{}].size(); i += 2) {
            batch[col::chosen{}][i] = below(2);
            batch[col::chosen{}][i + 1] = 1 - batch[col::chosen{}][i];
        }
    if constexpr (BatchOf<Term>::template has<col::advantage>)
        for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
            double advantage = below(6) == 0 ? 0.0 : real(-2, 2);
            for (auto t = tokens[i]; t < tokens[i + 1]; ++t) batch[col::advantage{}][std::size_t(t)] = advantage;
        }
    return batch;
}

struct Pass {
    double loss = 0;
    std::vector<double> gradient;
    std::vector<double> metrics;
    double untold = 0;  ///< the part of the loss that stands at no token
};

template <class Term, class Aggregate, class BatchType>
Pass pass_with(roars::Run<backend::Host>& run, const Term& term, const Aggregate& aggregate, BatchType& batch,
               const Counts& counts, const roars::detail::sums_of_base<Term>& sums) {
    roars::detail::prepare_base(term, run, batch, sums);
    auto result = evaluate(run.backend, batch, {counts}, Weighed<Term, Aggregate>{term, aggregate});
    double untold = roars::detail::untold_loss(term, run, batch, sums);
    result.term_loss[0] += untold;
    auto gradient = [&]<class Column>(columns<Column>) {
        return batch[col::grad<Column>{}];
    }(typename Term::differentiates{});
    return {result.loss(),
            {gradient.begin(), gradient.end()},
            {result.metric_sum.begin(), result.metric_sum.end()},
            untold};
}

/// The whole batch at once.
template <class Term, class Aggregate, class BatchType>
Pass pass(const Term& term, const Aggregate& aggregate, BatchType& batch) {
    backend::Host host;
    roars::Run run{host};
    return pass_with(run, term, aggregate, batch, count(host, batch), roars::detail::reduce_base(term, run, batch));
}

/// The groups in the order `order`, cut into pieces of `sizes` groups; the gradients are put back into place.
template <class Term, class Aggregate>
Pass pass_in_pieces(const Term& term, const Aggregate& aggregate, const BatchOf<Term>& batch,
                    const std::vector<std::int64_t>& order, const std::vector<std::int64_t>& sizes) {
    backend::Host host;
    roars::Run run{host};
    std::vector<BatchOf<Term>> pieces;
    std::vector<std::int64_t> place;
    Offsets tokens = batch.token_offsets(), groups = batch[col::groups{}];
    std::size_t next = 0;
    for (std::int64_t size : sizes) {
        BatchOf<Term> piece;
        for (std::int64_t k = 0; k < size && next < order.size(); ++k, ++next) {
            std::int64_t g = order[next];
            piece.append(batch.slice_groups(g, g + 1));
            for (std::int64_t t = tokens[std::size_t(groups[std::size_t(g)])];
                 t < tokens[std::size_t(groups[std::size_t(g) + 1])]; ++t)
                place.push_back(t);
        }
        pieces.push_back(std::move(piece));
    }
    Counts counts;
    roars::detail::sums_of_base<Term> sums{};
    for (auto& piece : pieces) {
        counts += count(host, piece);
        sums += roars::detail::reduce_base(term, run, piece);
    }
    Pass all;
    all.gradient.resize(std::size_t(batch.tokens()));
    std::size_t at = 0;
    for (auto& piece : pieces) {
        Pass one = pass_with(run, term, aggregate, piece, counts, sums);
        all.loss += one.loss;
        all.metrics.resize(one.metrics.size());
        for (std::size_t m = 0; m < one.metrics.size(); ++m) all.metrics[m] += one.metrics[m];
        for (double slope : one.gradient) all.gradient[std::size_t(place[at++])] = slope;
    }
    return all;
}

inline void expect_close(double a, double b, double tolerance, const std::string& what) {
    EXPECT_LE(std::abs(a - b), tolerance * std::max(1.0, std::abs(b))) << what << ": " << a << " and " << b;
}
inline void expect_close(const std::vector<double>& a, const std::vector<double>& b, double tolerance,
                         const std::string& what) {
    ASSERT_EQ(a.size(), b.size()) << what;
    for (std::size_t i = 0; i < a.size(); ++i)
        expect_close(a[i], b[i], tolerance, what + "[" + std::to_string(i) + "]");
}
inline void expect_close(const Pass& a, const Pass& b, double tolerance) {
    expect_close(a.loss, b.loss, tolerance, "loss");
    expect_close(a.gradient, b.gradient, tolerance, "gradient");
    expect_close(a.metrics, b.metrics, tolerance, "metrics");
}

/// Whatever the order of the groups and the cut into micro-batches, loss and gradient are the same.
template <class Term, class Aggregate>
void check_any_cut(const Term& term, const Aggregate& aggregate, std::mt19937& random) {
    int groups = std::uniform_int_distribution<int>(0, 6)(random);
    auto batch = random_batch<Term>(random, groups);
    std::vector<std::int64_t> order(std::size_t(groups), 0), sizes;
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random);
    for (std::int64_t left = groups; left > 0; left -= sizes.back())
        sizes.push_back(std::uniform_int_distribution<std::int64_t>(0, left)(random));
    Pass pieces = pass_in_pieces(term, aggregate, batch, order, sizes);
    Pass whole = pass(term, aggregate, batch);
    if (sizes.empty()) pieces.metrics = whole.metrics;
    expect_close(pieces, whole, 1e-11);
}

/// What stands at masked tokens is never seen, not even by the columns that the term prepares.
template <class Term, class Aggregate>
void check_masked_never_leak(const Term& term, const Aggregate& aggregate, std::mt19937& random) {
    auto clean = random_batch<Term>(random, 4);
    auto ugly = clean;
    const double bad[] = {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                          -std::numeric_limits<double>::infinity(), 1e300};
    int k = 0;
    [&]<class... Column>(columns<Column...>) {
        auto spoil = [&]<class C>(C column) {
            if constexpr (C::kind == Kind::real && C::extent == Extent::token && !std::is_same_v<C, col::mask>)
                for (std::size_t t = 0; t < ugly[column].size(); ++t)
                    if (ugly[col::mask{}][t] == 0.0) ugly[column][t] = bad[k++ % 4];
        };
        (spoil(Column{}), ...);
    }(ColumnsOf<Term>{});
    Pass a = pass(term, aggregate, ugly), b = pass(term, aggregate, clean);
    EXPECT_EQ(a.loss, b.loss);
    EXPECT_EQ(a.gradient, b.gradient);
    EXPECT_EQ(a.metrics, b.metrics);
    for (std::size_t t = 0; t < a.gradient.size(); ++t) {
        if (clean[col::mask{}][t] == 0.0) {
            EXPECT_EQ(a.gradient[t], 0.0);
        }
    }
}

/// The gradient that the term says of column `Column` is that of `loss`, a function of the batch. A step that reaches
/// across a bound (where a clip begins, where a token enters a top share) says nothing of the slope here, so a smaller
/// one is tried.
template <class Column = col::logp, class Term, class Aggregate, class LossOf>
void check_gradient(const Term& term, const Aggregate& aggregate, BatchOf<Term> batch, LossOf&& loss) {
    Pass said = pass(term, aggregate, batch);
    for (std::size_t t = 0; t < said.gradient.size(); ++t) {
        const double x = batch[Column{}][t];
        bool agrees = false;
        std::string differences;
        for (double size : {1e-4, 1e-5, 1e-6, 1e-7}) {
            const double step =
                size * std::clamp(std::abs(x), 1e-4, 1.0);  // odds are steep near a log-probability of 0
            batch[Column{}][t] = x + step;
            double up = loss(batch);
            batch[Column{}][t] = x - step;
            double down = loss(batch);
            batch[Column{}][t] = x;
            // The difference has the rounding of the losses in it, and of terms of the order of 1 that cancel in
            // them, however right the gradient is.
            double numeric = (up - down) / (2 * step);
            double rounding =
                8 * std::numeric_limits<double>::epsilon() * std::max({1.0, std::abs(up), std::abs(down)}) / step;
            agrees = std::abs(said.gradient[t] - numeric) <= 2e-7 * std::max(1.0, std::abs(numeric)) + rounding;
            if (agrees) break;
            differences += " " + std::to_string(numeric) + " +- " + std::to_string(rounding);
        }
        EXPECT_TRUE(agrees) << "gradient[" << t << "] at " << x << ": " << said.gradient[t] << " and" << differences;
    }
}
/// Of the loss that the term says itself.
template <class Column = col::logp, class Term, class Aggregate>
void check_gradient(const Term& term, const Aggregate& aggregate, std::mt19937& random) {
    check_gradient<Column>(term, aggregate, random_batch<Term>(random, 3),
                           [&](auto& batch) { return pass(term, aggregate, batch).loss; });
}

/// The same formula, token by token in plain double, gives what the pass in lanes gives.
template <class Term, class Aggregate>
void check_scalar_path(const Term& term, const Aggregate& aggregate, std::mt19937& random) {
    auto batch = random_batch<Term>(random, 4);
    Pass lanes = pass(term, aggregate, batch);
    backend::Host host;
    Counts counts = count(host, batch);
    auto lengths = roars::detail::trainable_lengths<col::mask>(host, batch);
    Pass scalar;
    scalar.gradient.resize(std::size_t(batch.tokens()));
    scalar.metrics.resize(lanes.metrics.size());
    Offsets offsets = batch.token_offsets();
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
        for (auto t = std::size_t(offsets[i]); t < std::size_t(offsets[i + 1]); ++t) {
            if (batch[col::mask{}][t] == 0.0) continue;
            auto x = [&]<class... Column>(columns<Column...>) {
                return Token<double, columns<Column...>>{
                    {batch[Column{}][Column::extent == Extent::sequence ? i : t]}...};
            }(needs_of<Term>{});
            auto said = term.token(x);
            double weight = aggregate.weight(counts, lengths[i]);
            scalar.loss += weight * said.loss;
            scalar.gradient[t] = weight * said.slope[0];
            if constexpr (metrics_of<Term>.size() > 0)
                for (std::size_t m = 0; m < said.metric.size(); ++m) scalar.metrics[m] += said.metric[m];
        }
    expect_close(lanes, scalar, 1e-11);
}

/// No sequence, no token, nothing trainable, one token: 0, or finite numbers, and never an error.
template <class Term, class Aggregate>
void check_degenerate(const Term& term, const Aggregate& aggregate, std::mt19937& random) {
    BatchOf<Term> empty;
    EXPECT_EQ(pass(term, aggregate, empty).loss, 0.0);
    const std::int64_t no_tokens[] = {0, 0, 0}, pair[] = {0, 2}, one_token[] = {0, 1, 1};
    BatchOf<Term> hollow(no_tokens, pair);
    if constexpr (BatchOf<Term>::template has<col::chosen>) hollow[col::chosen{}][0] = 1;
    Pass none = pass(term, aggregate, hollow);
    EXPECT_EQ(none.loss, none.untold);

    auto masked = random_batch<Term>(random, 3);
    std::fill(masked[col::mask{}].begin(), masked[col::mask{}].end(), 0.0);
    Pass nothing = pass(term, aggregate, masked);
    EXPECT_EQ(nothing.loss, nothing.untold);
    for (double slope : nothing.gradient) EXPECT_EQ(slope, 0.0);

    BatchOf<Term> single(one_token, pair);
    single[col::mask{}][0] = 1;
    if constexpr (BatchOf<Term>::template has<col::chosen>) single[col::chosen{}][0] = 1;
    EXPECT_TRUE(std::isfinite(pass(term, aggregate, single).loss));
}

/// Log-ratios of a thousand, in float: numbers stay finite.
template <class Term, class Aggregate>
void check_far_off_policy(const Term& term, const Aggregate& aggregate, double far) {
    const std::int64_t tokens[] = {0, 2, 4}, pair[] = {0, 2};
    BatchOf<Term, float> batch(tokens, pair);
    [&]<class... Column>(columns<Column...>) {
        auto fill = [&]<class C>(C column) {
            if constexpr (C::kind == Kind::real && !is_gradient_v<C>)
                for (auto& x : batch[column]) x = 1.0f;
        };
        (fill(Column{}), ...);
    }(ColumnsOf<Term>{});
    for (double sign : {1.0, -1.0}) {
        if constexpr (BatchOf<Term>::template has<col::logp>)
            for (std::size_t t = 0; t < 4; ++t) batch[col::logp{}][t] = float(t % 2 == 0 ? -1.0 - far : -1.0);
        if constexpr (BatchOf<Term>::template has<col::logp_old>)
            for (std::size_t t = 0; t < 4; ++t) batch[col::logp_old{}][t] = float(t % 2 == 1 ? -1.0 - far : -1.0);
        if constexpr (BatchOf<Term>::template has<col::logp_ref>)
            for (std::size_t t = 0; t < 4; ++t) batch[col::logp_ref{}][t] = float(t < 2 ? -1.0 - far : -1.0);
        if constexpr (BatchOf<Term>::template has<col::advantage>)
            for (auto& advantage : batch[col::advantage{}]) advantage = float(sign);
        if constexpr (BatchOf<Term>::template has<col::chosen>) batch[col::chosen{}][1] = 0.0f;
        Pass result = pass(term, aggregate, batch);
        EXPECT_TRUE(std::isfinite(result.loss)) << result.loss;
        for (double slope : result.gradient) EXPECT_TRUE(std::isfinite(slope)) << slope;
    }
}

}  // namespace
}  // namespace roars
