#pragma once

#include <cstdint>

#include "roars/concepts.hpp"

namespace roars::sampler {

/// `episodes` whole episodes of the policy as it is; none while there is no policy yet. With `explore` each leaves it
/// at one step, for the action that is known least (sampler::WidestGap).
struct Episodes {
    std::int64_t episodes = 1;
    bool explore = false;

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, NoState&, Source& source, BatchType& batch, Score&& score) const {
        source.play(run, batch, episodes, explore);
        score(batch);
    }
};
ROARS_FIELDS(Episodes, episodes, explore)

}  // namespace roars::sampler
