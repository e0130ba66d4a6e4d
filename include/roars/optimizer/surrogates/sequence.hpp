#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "roars/objective.hpp"
#include "roars/primitives/segmented_reduce.hpp"

/// What a term's `prepare` finds out about whole sequences. A micro-batch holds whole sequences, so none of this needs
/// a second phase.
namespace roars::detail {

/// result_i = sum of value(t) over the trainable tokens t of sequence i; 0 where there are none. Nothing of any other
/// token is read.
template <class Mask = col::mask, class BackendType, class BatchType, class Value>
std::vector<double> sequence_sums(BackendType& backend, const BatchType& batch, Value&& value) {
    std::vector<double> sums(static_cast<std::size_t>(batch.sequences()));
    segmented_sum(
        backend, batch.token_offsets(),
        [&](std::int64_t t) { return trainable<Mask>(batch, t) ? double(value(static_cast<std::size_t>(t))) : 0.0; },
        std::span(sums));
    return sums;
}

/// The mean over the same tokens; 0 where there are none.
template <class Mask = col::mask, class BackendType, class BatchType, class Value>
std::vector<double> sequence_means(BackendType& backend, const BatchType& batch, Value&& value) {
    std::vector<double> means = sequence_sums<Mask>(backend, batch, value);
    std::vector<std::int64_t> lengths = trainable_lengths<Mask>(backend, batch);
    for (std::size_t i = 0; i < means.size(); ++i)
        if (lengths[i] > 0) means[i] /= double(lengths[i]);
    return means;
}

template <class Column, class BatchType>
void write(BatchType& batch, const std::vector<double>& values) {
    auto to = batch[Column{}];
    for (std::size_t i = 0; i < values.size(); ++i) to[i] = static_cast<typename BatchType::Real>(values[i]);
}

/// t -> logp_t - logp_old_t.
template <class BatchType>
auto log_ratios(const BatchType& batch) {
    return [now = batch[col::logp{}], then = batch[col::logp_old{}]](std::size_t t) {
        return double(now[t]) - double(then[t]);
    };
}
/// The same held within +-20, as `log_ratio` holds it for a token.
template <class BatchType>
auto held_log_ratios(const BatchType& batch) {
    return [now = batch[col::logp{}], then = batch[col::logp_old{}]](std::size_t t) {
        return log_ratio(double(now[t]), double(then[t])).value;
    };
}

}  // namespace roars::detail
