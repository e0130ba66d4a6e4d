#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>

#include "roars/primitives/segments.hpp"
#include "roars/simd.hpp"

namespace roars {

/// Sums over one row of logits, enough for every number that is wanted of its softmax, with z = logit / temperature:
///     sum = S = sum e^(z - max), weighted = W = sum (z - max) e^(z - max), squares = Q = sum e^(2 (z - max)).
/// A logit of -inf is a forbidden action: probability 0, no part in any sum. A row of forbidden actions alone has
/// max = -inf: log_sum_exp = -inf, entropy and sum_pi_squared 0.
template <class Real>
struct SoftmaxRow {
    double max = -std::numeric_limits<double>::infinity();
    double sum = 0.0, weighted = 0.0, squares = 0.0;
    double log_sum = max;  ///< log S, once the row is complete

    /// log sum e^z
    double log_sum_exp() const { return sum == 0.0 ? max : max + log_sum; }
    /// -sum p log p = log S - W / S
    double entropy() const { return sum == 0.0 ? 0.0 : log_sum - weighted / sum; }
    /// sum p^2 = Q / S^2
    double sum_pi_squared() const { return sum == 0.0 ? 0.0 : squares / (sum * sum); }
};

/// What softmax_row sums up beside S: nothing, or also W and Q.
struct OnlyNormaliser {};
struct WithEntropy {};

namespace detail {

/// Below every z - max of finite logits: what -inf is replaced with where it is multiplied by its probability, 0.
template <class Real>
inline constexpr Real forbidden = Real(-1e30);

inline constexpr double log2_e = 1.4426950408889634;

/// 0, 1, 2, ...: the number of each lane.
template <class V>
inline constexpr auto lane_numbers = [] {
    std::array<math::Scalar<V>, static_cast<std::size_t>(math::lanes<V>)> numbers{};
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<math::Scalar<V>>(i);
    return numbers;
}();

/// Calls body(lanes) for the row in lanes, the last ones filled up with `filler`.
template <class Real, class Body>
ROARS_INLINE void for_lanes(const Real* row, std::int64_t count, Real filler, Body&& body) {
    using V = math::Lanes<Real>;
    constexpr std::int64_t width = math::lanes<V>;
    std::int64_t i = 0;
    for (; i + width <= count; i += width) body(math::load<V>(row + i));
    if (i == count) return;
    if (count > width) {
        // The last lanes again, those already seen masked: a copy through memory would stall on short rows.
        V again = math::load<V>(row + count - width);
        V place = math::load<V>(lane_numbers<V>.data());
        body(math::select(place < V(static_cast<Real>(i - (count - width))), V(filler), again));
        return;
    }
    std::array<Real, static_cast<std::size_t>(width)> rest;
    rest.fill(filler);
    std::copy(row + i, row + count, rest.begin());
    body(math::load<V>(rest.data()));
}

/// Adds a block, small enough to stay in the cache between its two passes, to the sums of the row before it.
template <class Sums, class Real>
void add_block(SoftmaxRow<Real>& row, const Real* block, std::int64_t count, double temperature) {
    using V = math::Lanes<Real>;
    constexpr Real infinity = std::numeric_limits<Real>::infinity();
    constexpr bool with_entropy = std::is_same_v<Sums, WithEntropy>;
    V lane_max(-infinity);
    for_lanes(block, count, -infinity, [&](const V& x) { lane_max = math::max(lane_max, x); });
    Real block_max = math::largest(lane_max);
    if (block_max == -infinity) {
        bool nan = std::any_of(block, block + count, [](Real x) { return x != x; });
        if (nan) row.sum = std::numeric_limits<double>::quiet_NaN();
        return;
    }
    // In powers of two, z = y ln 2: the difference first, which is exact where it matters, then one product.
    V sum(0), weighted(0), squares(0), largest(block_max), scale(static_cast<Real>(log2_e / temperature)),
        floor(forbidden<Real>);
    const Real* ahead = block + count;  // the next block comes from memory while this one is worked on
    for_lanes(block, count, -infinity, [&](const V& x) {
        math::prefetch(ahead);
        ahead += math::lanes<V>;
        V y = (x - largest) * scale;
        V e = math::exp2(y);
        sum += e;
        if constexpr (with_entropy) {
            weighted = math::fma(e, math::max(floor, y), weighted);
            squares = math::fma(e, e, squares);
        }
    });
    SoftmaxRow<Real> other{static_cast<double>(block_max) / temperature, math::sum(sum), math::sum(weighted) / log2_e,
                           math::sum(squares)};
    // To the larger of the two maxima: e^(z - max) = e^c e^(z - old) and (z - max) = (z - old) + c.
    double max = std::max(row.max, other.max);
    auto shifted = [max](const SoftmaxRow<Real>& r) -> SoftmaxRow<Real> {
        if (r.sum == 0.0 || r.max == max) return r;
        double c = r.max - max, factor = std::exp(c);
        return {max, r.sum * factor, factor * (r.weighted + c * r.sum), r.squares * factor * factor};
    };
    SoftmaxRow<Real> a = shifted(row), b = shifted(other);
    row = {max, a.sum + b.sum, a.weighted + b.weighted, a.squares + b.squares};
}

inline void expect_temperature(double temperature) {
    expect(temperature > 0.0 && std::isfinite(temperature), [&] {
        return "temperature of a softmax is " + std::to_string(temperature) + ", expected a finite number above 0";
    });
}

}  // namespace detail

/// The sums of one row, read once: the logits come from memory for the maximum of a block and from the cache for its
/// sums. Summed in lanes of Real over a block of 4096, in double over the blocks. Sums: OnlyNormaliser or WithEntropy.
template <class Sums, class Real>
SoftmaxRow<Real> softmax_row(const Real* logits, std::int64_t vocabulary, double temperature = 1.0) {
    constexpr std::int64_t block = 4096;
    SoftmaxRow<Real> row;
    for (std::int64_t i = 0; i < vocabulary; i += block)
        detail::add_block<Sums>(row, logits + i, std::min(block, vocabulary - i), temperature);
    row.log_sum = std::log(row.sum);
    return row;
}

namespace detail {

/// x = gradient(x) for a row in lanes.
template <class Real, class Gradient>
void overwrite_row(Real* row, std::int64_t count, Gradient&& gradient) {
    using V = math::Lanes<Real>;
    constexpr std::int64_t width = math::lanes<V>;
    std::int64_t i = 0;
    for (; i + width <= count; i += width) math::store(row + i, gradient(math::load<V>(row + i)));
    if (i == count) return;
    std::array<Real, static_cast<std::size_t>(width)> rest;
    rest.fill(-std::numeric_limits<Real>::infinity());
    std::copy(row + i, row + count, rest.begin());
    math::store(rest.data(), gradient(math::load<V>(rest.data())));
    std::copy_n(rest.begin(), count - i, row + i);
}

}  // namespace detail

/// In place, logits -> their gradient:
///     (g_logp (onehot - p) - g_entropy p (log p + entropy)) / temperature, 0 at a forbidden action.
/// A row without upstream gradient gets zeros whatever it holds (masked tokens), and so does one that is all forbidden.
template <class Real>
void softmax_row_gradient(Real* logits, std::int64_t vocabulary, std::int64_t token, double temperature,
                          double log_sum_exp, double entropy, double grad_logp, double grad_entropy) {
    using V = math::Lanes<Real>;
    if ((grad_logp == 0.0 && grad_entropy == 0.0) || log_sum_exp == -std::numeric_limits<double>::infinity()) {
        std::fill_n(logits, vocabulary, Real(0));
        return;
    }
    bool allowed = logits[token] != -std::numeric_limits<Real>::infinity();
    V scale(static_cast<Real>(1.0 / temperature)), shift(static_cast<Real>(-log_sum_exp)),
        floor(detail::forbidden<Real>), to_power(static_cast<Real>(detail::log2_e));
    V constant(static_cast<Real>(-(grad_logp + grad_entropy * entropy) / temperature));
    V slope(static_cast<Real>(-grad_entropy / temperature));
    if (grad_entropy == 0.0)
        detail::overwrite_row(logits, vocabulary,
                              [&](const V& x) { return math::exp2(math::fma(x, scale, shift) * to_power) * constant; });
    else
        detail::overwrite_row(logits, vocabulary, [&](const V& x) {
            V logp = math::fma(x, scale, shift);
            return math::exp2(logp * to_power) * math::fma(slope, math::max(floor, logp), constant);
        });
    if (allowed) logits[token] += static_cast<Real>(grad_logp / temperature);
}

/// What selective_log_softmax gives of each row; an empty span is not wanted. Shapes: [rows].
template <class Real>
struct LogSoftmaxColumns {
    std::span<Real> logp;
    std::span<Real> log_sum_exp = {};
    std::span<Real> entropy = {};
    std::span<Real> sum_pi_squared = {};
};

namespace detail {

inline std::int64_t expect_rows(std::size_t logits, std::int64_t vocabulary) {
    expect(vocabulary > 0 && static_cast<std::int64_t>(logits) % vocabulary == 0, [&] {
        return std::to_string(logits) + " logits are no whole number of rows of a vocabulary of " +
               std::to_string(vocabulary);
    });
    return static_cast<std::int64_t>(logits) / vocabulary;
}

template <class Token>
void expect_tokens(std::span<Token> token, std::int64_t rows, std::int64_t vocabulary) {
    expect_size("token", token.size(), rows);
    auto wrong = std::find_if(token.begin(), token.end(), [&](auto t) {
        return static_cast<std::int64_t>(t) < 0 || static_cast<std::int64_t>(t) >= vocabulary;
    });
    expect(wrong == token.end(), [&] {
        return "token " + std::to_string(*wrong) + " of row " + std::to_string(wrong - token.begin()) +
               " is outside the vocabulary of " + std::to_string(vocabulary);
    });
}

/// body(row) for every row, in parallel, several short rows a piece.
template <class Body>
void for_each_row(backend::Host& backend, std::int64_t rows, std::int64_t vocabulary, Body&& body) {
    std::int64_t together = std::max<std::int64_t>(backend.grain / vocabulary, 1);
    parallel_for(backend, (rows + together - 1) / together, [&](std::int64_t piece) {
        std::int64_t end = std::min(rows, (piece + 1) * together);
        for (std::int64_t row = piece * together; row < end; ++row) body(row);
    });
}

/// Rows of logits with their tokens and what is asked of them, checked; the same for one row, some or all.
template <class Real, class Token>
struct SoftmaxRows {
    using Value = std::remove_const_t<Real>;
    std::span<Real> logits;
    std::int64_t vocabulary;
    std::span<Token> token;
    double temperature;
    LogSoftmaxColumns<Value> columns;
    std::int64_t rows = expect_rows(logits.size(), vocabulary);

    void check() const {
        expect_temperature(temperature);
        expect_tokens(token, rows, vocabulary);
        std::array all{columns.logp, columns.log_sum_exp, columns.entropy, columns.sum_pi_squared};
        for (auto column : all)
            if (!column.empty()) expect_size("a column of the softmax", column.size(), rows);
    }
    Real* row(std::int64_t r) const { return logits.data() + r * vocabulary; }

    /// The columns of row r, whose token and columns are the i-th.
    void read(std::int64_t r, std::int64_t i) const {
        if (columns.entropy.empty() && columns.sum_pi_squared.empty())
            read_for<OnlyNormaliser>(r, static_cast<std::size_t>(i));
        else
            read_for<WithEntropy>(r, static_cast<std::size_t>(i));
    }
    void read(std::int64_t r) const { read(r, r); }
    /// Row r becomes its gradient, from the columns and the gradients of logp and entropy; the latter empty for none.
    template <class Gradient>
    void differentiate(std::int64_t r, std::span<Gradient> grad_logp, std::span<Gradient> grad_entropy) const {
        differentiate(r, r, grad_logp, grad_entropy);
    }
    template <class Gradient>
    void differentiate(std::int64_t r, std::int64_t token_index, std::span<Gradient> grad_logp,
                       std::span<Gradient> grad_entropy) const {
        auto i = static_cast<std::size_t>(token_index);
        bool with_entropy = !grad_entropy.empty();
        softmax_row_gradient(
            row(r), vocabulary, static_cast<std::int64_t>(token[i]), temperature,
            static_cast<double>(columns.log_sum_exp[i]), with_entropy ? static_cast<double>(columns.entropy[i]) : 0.0,
            static_cast<double>(grad_logp[i]), with_entropy ? static_cast<double>(grad_entropy[i]) : 0.0);
    }
    template <class Gradient>
    void check_gradients(std::span<Gradient> grad_logp, std::span<Gradient> grad_entropy) const {
        expect_size("log_sum_exp", columns.log_sum_exp.size(), rows);
        expect_size("grad_logp", grad_logp.size(), rows);
        if (grad_entropy.empty()) return;
        expect_size("grad_entropy", grad_entropy.size(), rows);
        expect_size("entropy", columns.entropy.size(), rows);
    }

private:
    template <class Sums>
    void read_for(std::int64_t r, std::size_t i) const {
        SoftmaxRow<Value> sums = softmax_row<Sums>(static_cast<const Value*>(row(r)), vocabulary, temperature);
        double chosen = static_cast<double>(row(r)[token[i]]);
        bool forbidden = chosen == -std::numeric_limits<double>::infinity();
        double log_sum_exp = sums.log_sum_exp();
        columns.logp[i] = static_cast<Value>(
            forbidden && log_sum_exp == log_sum_exp ? chosen : (chosen / temperature - sums.max) - sums.log_sum);
        if (!columns.log_sum_exp.empty()) columns.log_sum_exp[i] = static_cast<Value>(log_sum_exp);
        if (!columns.entropy.empty()) columns.entropy[i] = static_cast<Value>(sums.entropy());
        if (!columns.sum_pi_squared.empty()) columns.sum_pi_squared[i] = static_cast<Value>(sums.sum_pi_squared());
    }
};

}  // namespace detail

/// Of each row of logits, with z = logits / temperature and p = softmax z:
///     logp = z[token] - log sum e^z, log_sum_exp, entropy = -sum p log p, sum_pi_squared = sum p^2.
/// Shapes: logits [rows x vocabulary], token [rows] -> columns [rows]. Forbidden actions (-inf): see SoftmaxRow; the
/// logp of a forbidden token is -inf. A logit of NaN or +inf makes its row's numbers NaN. Errors: temperature not above
/// 0, a token outside the vocabulary, sizes that do not fit.
template <class Real, class Token>
void selective_log_softmax(backend::Host& backend, std::span<Real> logits, std::int64_t vocabulary,
                           std::span<Token> token, double temperature,
                           LogSoftmaxColumns<std::remove_const_t<Real>> columns) {
    detail::SoftmaxRows<Real, Token> all{logits, vocabulary, token, temperature, columns};
    detail::expect_size("logp", columns.logp.size(), all.rows);
    all.check();
    detail::for_each_row(backend, all.rows, vocabulary, [&](std::int64_t row) { all.read(row); });
}

/// log sum e^(logits / temperature) of each row, -inf for a row of forbidden actions. Shapes: [rows x vocabulary] ->
/// [rows].
template <class Real>
void log_sum_exp(backend::Host& backend, std::span<Real> logits, std::int64_t vocabulary, double temperature,
                 std::span<std::remove_const_t<Real>> result) {
    detail::expect_temperature(temperature);
    std::int64_t rows = detail::expect_rows(logits.size(), vocabulary);
    detail::expect_size("log_sum_exp", result.size(), rows);
    detail::for_each_row(backend, rows, vocabulary, [&](std::int64_t r) {
        auto row = softmax_row<OnlyNormaliser>(logits.data() + r * vocabulary, vocabulary, temperature);
        result[static_cast<std::size_t>(r)] = static_cast<std::remove_const_t<Real>>(row.log_sum_exp());
    });
}

/// The backward pass of selective_log_softmax, in place: logits -> their gradient (softmax_row_gradient). `columns`
/// holds what the forward pass gave (log_sum_exp always, entropy where grad_entropy is given). Shapes: logits [rows x
/// vocabulary]; token, grad_logp, grad_entropy [rows], the last one empty for none.
template <class Real, class Token, class Gradient>
void selective_log_softmax_backward(backend::Host& backend, std::span<Real> logits, std::int64_t vocabulary,
                                    std::span<Token> token, double temperature, LogSoftmaxColumns<Real> columns,
                                    std::span<Gradient> grad_logp, std::span<Gradient> grad_entropy = {}) {
    detail::SoftmaxRows<Real, Token> all{logits, vocabulary, token, temperature, columns};
    all.check();
    all.check_gradients(grad_logp, grad_entropy);
    detail::for_each_row(backend, all.rows, vocabulary,
                         [&](std::int64_t row) { all.differentiate(row, grad_logp, grad_entropy); });
}

}  // namespace roars
