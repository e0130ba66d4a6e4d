#pragma once

#include <cstdint>

#include "roars/concepts.hpp"

namespace roars::sampler {

/// `batch_size` transitions of the source's data set, each drawn with the same probability. Nothing is rolled out.
struct DataRows {
    std::int64_t batch_size = 256;

    using keeps_batch = void;

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, NoState&, Source& source, BatchType& batch, Score&& score) const {
        source.draw_rows(run, batch, batch_size);
        score(batch);
    }
};
ROARS_FIELDS(DataRows, batch_size)

}  // namespace roars::sampler
