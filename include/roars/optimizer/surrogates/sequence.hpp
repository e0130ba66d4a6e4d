#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "roars/objective.hpp"
#include "roars/primitives/segmented_reduce.hpp"
#include "roars/run.hpp"

/// What surrogates know of a whole sequence. Every micro-batch holds whole sequences, so these need no second phase.
namespace roars::detail {

/// sums_i = sum of value(t) over the trainable tokens t of sequence i. Nothing of the other tokens is read.
template <class Mask = col::mask, class BatchType, class Value, class Out>
void sequence_sums(auto& backend, const BatchType& batch, Value&& value, std::span<Out> sums) {
    segmented_sum(
        backend, batch.token_offsets(),
        [&](std::int64_t t) { return trainable<Mask>(batch, t) ? double(value(static_cast<std::size_t>(t))) : 0.0; }, sums);
}

/// sequence_log_ratio_i = sum (or mean) of difference(logp, logp_old) over the trainable tokens; 0 where there are none.
template <class BatchType, class Difference>
void write_log_ratios(auto& backend, BatchType& batch, bool mean, Difference&& difference) {
    const auto& read = batch;
    auto now = read[col::logp{}], then = read[col::logp_old{}];
    auto ratio = batch[col::sequence_log_ratio{}];
    std::vector<double> sums(ratio.size());
    sequence_sums(backend, read, [&](std::size_t t) { return difference(double(now[t]), double(then[t])); },
                  std::span(sums));
    std::vector<std::int64_t> lengths;
    if (mean) lengths = trainable_lengths<col::mask>(backend, read);
    for (std::size_t i = 0; i < ratio.size(); ++i)
        ratio[i] = static_cast<typename BatchType::Real>(mean && lengths[i] > 0 ? sums[i] / double(lengths[i]) : sums[i]);
}

}  // namespace roars::detail
