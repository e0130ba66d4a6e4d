#pragma once

#include <cstdint>

#include "roars/concepts.hpp"

namespace roars::sampler {

/// `batch_size` windows of the source's data set, a sequence each: up to `length` steps of one episode in their order,
/// as many as follow the first, which is any row with the same probability. Nothing is rolled out.
struct DataWindows {
    std::int64_t batch_size = 64;
    std::int64_t length = 20;

    template <class RunType, class Learner, class BatchType>
    static constexpr bool draws_from = requires(Learner& source, RunType& run, BatchType& batch) {
        source.draw_windows(run, batch, std::int64_t{1}, std::int64_t{1});
    };
    using keeps_batch = void;

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, NoState&, Source& source, BatchType& batch, Score&& score) const {
        source.draw_windows(run, batch, batch_size, length);
        score(batch);
    }
};
ROARS_FIELDS(DataWindows, batch_size, length)

}  // namespace roars::sampler
