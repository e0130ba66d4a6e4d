#pragma once

#include <cstdint>

#include "roars/sampler/groups.hpp"

namespace roars::sampler {

template <class BaseState>
struct ExploreState {
    BaseState base;
    std::int64_t explored = -1;  ///< in which iteration
    std::int64_t rollouts = 0;   ///< spent on it

    ROARS_MEMBERS(ExploreState, base, explored, rollouts)
};

/// Before the first batch of Base, and of every `every`-th iteration behind, `rollouts` rollouts of the policy as it is
/// are scored and not learnt from: what a reward that is fitted on what it scores first is fitted on.
template <SamplerPart Base>
struct ExploreFirst {
    Base base{};
    std::int64_t rollouts = 2000;
    std::int64_t every = 0;
    Generation generation{};

    using needs = needs_of<Base>;
    using gives = gives_of<Base>;
    using State = ExploreState<state_of<Base>>;

    template <class Source>
    void prepare(Source& source) const {
        prepare_source(base, source);
    }
    bool due(const State& state, std::int64_t iteration) const {
        return state.explored < 0 || (every > 0 && iteration >= state.explored + every);
    }
    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        if (due(state, run.progress.iteration)) {
            BatchType seen;
            source.roll_out(run, seen, rollouts, 1, generation);
            score(seen);
            state.explored = run.progress.iteration;
            state.rollouts += seen.sequences();
        }
        base.collect(run, state.base, source, batch, score);
    }
    template <class RunType, class BatchType>
    void observe(RunType& run, State& state, const BatchType& batch) const {
        if constexpr (requires { base.observe(run, state.base, batch); }) base.observe(run, state.base, batch);
    }
};
template <class Base>
ROARS_FIELDS_OF((ExploreFirst<Base>), base, rollouts, every, generation)

}  // namespace roars::sampler
