#pragma once

#include <cstdint>

#include "roars/concepts.hpp"

namespace roars::sampler {

/// How many steps of environments a sampler has spent: the budget that comparisons state.
struct SpentSteps {
    std::int64_t steps = 0;
};
ROARS_FIELDS(SpentSteps, steps)

/// `steps` steps of every environment under the policy as it is. A sequence of the batch is one environment's stream.
struct Rollouts {
    std::int64_t steps = 2048;

    using State = SpentSteps;
    using keeps_batch = void;

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        source.roll_steps(run, batch, steps, false);
        state.steps += batch.tokens();
        score(batch);
    }
};
ROARS_FIELDS(Rollouts, steps)

}  // namespace roars::sampler
