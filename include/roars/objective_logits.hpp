#pragma once

#include <cstdint>
#include <span>
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

/// The objective from logits: reads them twice, overwrites them with d loss / d logits, stores no probabilities. The
/// formulas are those of the parts: one copy serves log-probabilities and logits. Shapes: logits [tokens x vocabulary],
/// row t for token t of the batch.
template <class A, class RunType, class BatchType, class TotalsType>
auto objective_from_logits(const A& algorithm, RunType& run, const typename A::State& state, BatchType& batch,
                           const TotalsType& totals, std::span<typename BatchType::Real> logits,
                           std::int64_t vocabulary, double temperature = 1.0) {
    using Real = typename BatchType::Real;
    std::vector<Real> log_sum_exp(static_cast<std::size_t>(batch.tokens()));
    read_logits(run, batch, std::span<const Real>(logits), vocabulary, temperature, std::span<Real>(log_sum_exp));
    auto result = algorithm.objective(run, state, batch, totals);
    std::span<const std::int32_t> token = batch[col::token{}];
    selective_log_softmax_backward(run.backend, logits, vocabulary, token, temperature,
                                   {.logp = batch[col::logp{}],
                                    .log_sum_exp = std::span<Real>(log_sum_exp),
                                    .entropy = detail::optional_column<col::entropy>(batch)},
                                   detail::optional_column<col::grad<col::logp>>(batch),
                                   detail::optional_column<col::grad<col::entropy>>(batch));
    return result;
}

}  // namespace roars
