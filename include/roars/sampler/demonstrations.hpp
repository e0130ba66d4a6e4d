#pragma once

#include <cstdint>

#include "roars/concepts.hpp"

namespace roars::sampler {

/// `batch_size` demonstrations of the source, which no policy drew: nothing is rolled out.
struct Demonstrations {
    std::int64_t batch_size = 256;

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, NoState&, Source& source, BatchType& batch, Score&& score) const {
        source.demonstrate(run, batch, batch_size);
        score(batch);
    }
};
ROARS_FIELDS(Demonstrations, batch_size)

}  // namespace roars::sampler
