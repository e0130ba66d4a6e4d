#pragma once

#include <cstdint>

#include "measure.hpp"
#include "roars/batch.hpp"

namespace bench {

/// A batch as a language model's training step has it: `sequences` answers of `length` tokens in groups of 8, nine
/// tokens of ten trainable, a policy a little away from the one that drew the tokens and from the reference. Every
/// column that the batch has and a term reads is filled.
template <class BatchType>
BatchType rollouts(std::int64_t sequences, std::int64_t length) {
    using namespace roars;
    BatchType batch(equal_segments(sequences, length));
    if constexpr (BatchType::template has<col::groups>)
        batch.set_offsets(col::groups{}, equal_segments(sequences / 8, 8));
    auto normal = [&]<class Column>(Column column, std::uint32_t which, double mean, double spread) {
        if constexpr (BatchType::template has<Column>) fill_normal(batch[column], which, mean, spread);
    };
    auto flags = [&]<class Column>(Column column, std::uint32_t which, double probability) {
        if constexpr (BatchType::template has<Column>) fill_flags(batch[column], which, probability);
    };
    normal(col::logp{}, 1, -1.0, 0.1);
    normal(col::logp_old{}, 2, -1.0, 0.1);
    normal(col::logp_ref{}, 3, -1.0, 0.1);
    normal(col::advantage{}, 4, 0.0, 1.0);
    normal(col::value{}, 5, 0.0, 1.0);
    normal(col::next_value{}, 6, 0.0, 1.0);
    normal(col::token_reward{}, 7, 0.0, 1.0);
    normal(col::reward{}, 8, 0.0, 1.0);
    normal(col::entropy{}, 9, 1.0, 0.1);
    flags(col::mask{}, 10, 0.9);
    flags(col::outcome{}, 11, 0.5);
    flags(col::terminated{}, 12, 0.01);
    if constexpr (BatchType::template has<col::done>) {
        flags(col::done{}, 13, 0.01);
        auto terminated = batch[col::terminated{}];
        for (std::size_t t = 0; t < terminated.size(); ++t)
            if (terminated[t] != 0) batch[col::done{}][t] = 1;
    }
    return batch;
}

}  // namespace bench
