#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include "roars/algorithm.hpp"
#include "roars/primitives/log_softmax.hpp"

namespace roars {

namespace detail {
template <class Column, class BatchType>
auto optional_column(BatchType& batch) {
    using Real = typename BatchType::Real;
    if constexpr (BatchType::template has<Column>)
        return std::span<Real>(batch[Column{}]);
    else
        return std::span<Real>();
}
}  // namespace detail

/// What the actor says of its tokens, from its logits: logp always, entropy and the sum of squared probabilities only
/// where the batch has a column for them. Probabilities are never stored. Shapes: logits [tokens x vocabulary].
/// `log_sum_exp` [tokens] receives what the gradient needs.
template <class RunType, class BatchType>
void read_logits(RunType& run, BatchType& batch, std::span<const typename BatchType::Real> logits,
                 std::int64_t vocabulary, double temperature, std::span<typename BatchType::Real> log_sum_exp) {
    std::span<const std::int32_t> token = batch[col::token{}];
    selective_log_softmax(run.backend, logits, vocabulary, token, temperature,
                          {.logp = batch[col::logp{}],
                           .log_sum_exp = log_sum_exp,
                           .entropy = detail::optional_column<col::entropy>(batch),
                           .sum_pi_squared = detail::optional_column<col::sum_pi_squared>(batch)});
}

namespace detail {

/// A term that says of a token what it says from the token alone, once counts are known.
template <class Term>
inline constexpr bool token_by_token = !prepares<Term>;

/// The terms of an algorithm, each with its aggregation, as they are before anything is prepared.
template <class A>
auto weighed_terms(const A& algorithm, const typename A::State& state) {
    using Default = std::remove_cvref_t<decltype(algorithm.optimizer.aggregate)>;
    auto weighed = [&]<class T>(const T& term) {
        using Aggregate = detail::aggregate<T, Default>;
        return Weighed<T, typename Aggregate::type>{term, Aggregate::of(term, algorithm.optimizer.aggregate)};
    };
    return std::apply([&](const auto&... term) { return std::tuple(weighed(term)...); }, A::terms(algorithm, state));
}

/// Rows of logits whose gradient is wanted: about as many as stay in a core's second-level cache from being read to
/// being overwritten, one if there is no room for more.
template <class Real>
std::int64_t rows_in_cache(std::int64_t vocabulary) {
    constexpr std::int64_t bytes = 512 * 1024;
    return std::max<std::int64_t>(1, bytes / (vocabulary * std::int64_t(sizeof(Real))));
}

}  // namespace detail

/// The objective from logits: overwrites them with d loss / d logits, stores no probabilities. The formulas are those
/// of the parts: one copy serves log-probabilities and logits. Where every term needs nothing but its token, the logits
/// come from memory once, some rows at a time: read, judged, overwritten; else they are read twice, because a term
/// wants every log-probability of a sequence first. After an Error the logits are of no use. Shapes: logits [tokens x
/// vocabulary], row t for token t of the batch.
template <class A, class RunType, class BatchType, class... Term>
auto objective_from_logits(const A& algorithm, RunType& run, const typename A::State& state, BatchType& batch,
                           const Totals<Term...>& totals, std::span<typename BatchType::Real> logits,
                           std::int64_t vocabulary, double temperature = 1.0) {
    using Real = typename BatchType::Real;
    static_assert(BatchType::template has<col::grad<col::logp>>,
                  "roars: no term of this algorithm has a slope by logp, so none reaches the logits");
    std::vector<Real> log_sum_exp(static_cast<std::size_t>(batch.tokens()));
    std::span<const std::int32_t> token = batch[col::token{}];
    detail::SoftmaxRows<Real, const std::int32_t> rows{
        logits,
        vocabulary,
        token,
        temperature,
        {.logp = batch[col::logp{}],
         .log_sum_exp = std::span<Real>(log_sum_exp),
         .entropy = detail::optional_column<col::entropy>(batch),
         .sum_pi_squared = detail::optional_column<col::sum_pi_squared>(batch)}};
    auto grad_logp = detail::optional_column<col::grad<col::logp>>(batch);
    auto grad_entropy = detail::optional_column<col::grad<col::entropy>>(batch);
    rows.check();
    rows.check_gradients(grad_logp, grad_entropy);
    auto read = [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) rows.read(row);
    };
    auto differentiate = [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) rows.differentiate(row, grad_logp, grad_entropy);
    };
    std::int64_t together = detail::rows_in_cache<Real>(vocabulary);
    if constexpr ((detail::token_by_token<Term> && ...)) {
        return std::apply(
            [&](const auto&... term) {
                return detail::evaluate_around(run.backend, batch, totals.counts, together, read, differentiate,
                                               term...);
            },
            detail::weighed_terms(algorithm, state));
    } else {
        auto all = [&](auto&& work) {
            parallel_for(run.backend, (rows.rows + together - 1) / together, [&](std::int64_t piece) {
                work(piece * together, std::min(rows.rows, (piece + 1) * together));
            });
        };
        all(read);
        auto result = algorithm.objective(run, state, batch, totals);
        all(differentiate);
        return result;
    }
}

}  // namespace roars
