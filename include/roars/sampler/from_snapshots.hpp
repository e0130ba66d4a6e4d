#pragma once

#include <cstdint>

#include "roars/concepts.hpp"
#include "roars/sampler/snapshots.hpp"

namespace roars::sampler {

/// What Base collects, in episodes that for a while begin at snapshots: `episodes` of a teacher's are played before
/// training, `rows` says which of their states are kept, `classes` how they are sorted for the draw, `phases` when an
/// episode begins at one and is cut. The source acts in such a world (train::SnapshotStarts). Source: SnapshotRL, arXiv
/// 2403.00673.
template <SamplerPart Base, class Classes = ByValue>
struct FromSnapshots {
    Base base{};
    std::int64_t episodes = 10;
    SnapshotRows rows{};
    Classes classes{};
    SnapshotPhases phases{};

    using needs = needs_of<Base>;
    using gives = gives_of<Base>;
    using State = state_of<Base>;
    using keeps_batch = void;
    using needs_teacher = void;
    template <class RunType, class Source, class BatchType>
    static constexpr bool draws_from = requires(const Source& source) {
        source.environment().store;
    };

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        base.collect(run, state, source, batch, score);
    }
    template <class RunType, class BatchType>
    void observe(RunType& run, State& state, const BatchType& batch) const {
        if constexpr (requires { base.observe(run, state, batch); }) base.observe(run, state, batch);
    }
};
template <class Base, class Classes>
ROARS_FIELDS_OF((FromSnapshots<Base, Classes>), base, episodes, rows, classes, phases)

}  // namespace roars::sampler
