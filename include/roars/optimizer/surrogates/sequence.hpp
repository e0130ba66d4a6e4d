#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "roars/units.hpp"

/// What a term finds out about whole sequences. A micro-batch holds whole sequences, so none of this needs a second
/// phase.
namespace roars::detail {

/// prepare(count) with the number of trainable tokens, then body(t, place) for each of them, in parallel; `place`
/// counts them in order.
template <class BatchType, class Prepare, class Body>
void for_each_trainable(backend::Host& backend, const BatchType& batch, Prepare&& prepare, Body&& body) {
    std::vector<std::int64_t> place = trainable_lengths<col::mask>(backend, batch);
    std::int64_t all = 0;
    for (std::int64_t& each : place) all += std::exchange(each, all);
    prepare(static_cast<std::size_t>(all));
    Offsets offsets = batch.token_offsets();
    parallel_for(backend, batch.sequences(), [&](std::int64_t sequence) {
        auto i = static_cast<std::size_t>(sequence), to = static_cast<std::size_t>(place[i]);
        for (std::int64_t t = offsets[i]; t < offsets[i + 1]; ++t)
            if (trainable<col::mask>(batch, t)) body(static_cast<std::size_t>(t), to++);
    });
}

using LogRatio = ColumnDifference<col::logp, col::logp_old>;
/// The same held within +-20.
struct HeldLogRatio {
    using needs = columns<col::logp, col::logp_old>;
    template <class X>
    ROARS_FN value_t<X> operator()(const X& x) const {
        return log_ratio<value_t<X>>(x[col::logp{}], x[col::logp_old{}]).value;
    }
};

}  // namespace roars::detail
