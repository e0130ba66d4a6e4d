#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "roars/concepts.hpp"
#include "roars/sampler/keep.hpp"

namespace roars::sampler {

/// Something done to a batch that was collected and scored: amend(run, state, batch).
template <class P>
concept AmendPart = Part<P> &&
    requires(const P& part, archetype::AnyRun& run, state_of<P>& state, archetype::AnyBatch& batch) {
    part.amend(run, state, batch);
};

template <class FirstState, class SecondState>
struct ThenState {
    FirstState first;
    SecondState second;

    ROARS_MEMBERS(ThenState, first, second)
};

/// First collects; Second amends what was collected, or collects more, which goes behind it. Chains nest to the left:
/// Then<Then<Groups, FilterGroups<keep::Band>>, MaskTruncated>.
template <SamplerPart First, class Second>
requires AmendPart<Second> || SamplerPart<Second>
struct Then {
    First first{};
    Second second{};

    using needs = unite_t<needs_of<First>, needs_of<Second>>;
    using gives = unite_t<gives_of<First>, gives_of<Second>>;
    using State = ThenState<state_of<First>, state_of<Second>>;

    template <class Source>
    void prepare(Source& source) const {
        prepare_source(first, source);
        prepare_source(second, source);
    }
    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        first.collect(run, state.first, source, batch, score);
        if constexpr (AmendPart<Second>) {
            second.amend(run, state.second, batch);
        } else {
            BatchType more;
            second.collect(run, state.second, source, more, score);
            batch.append(more);
        }
    }
    template <class RunType, class BatchType>
    void observe(RunType& run, State& state, const BatchType& batch) const {
        if constexpr (requires { first.observe(run, state.first, batch); }) first.observe(run, state.first, batch);
        if constexpr (requires { second.observe(run, state.second, batch); }) second.observe(run, state.second, batch);
    }
};
template <class First, class Second>
ROARS_FIELDS_OF((Then<First, Second>), first, second)

/// Groups that are not worth an update leave the batch, and none is drawn in their place.
template <class Keep>
struct FilterGroups {
    Keep keep{};

    using needs = columns<col::groups, col::outcome>;

    template <class RunType, class State, BatchWith<col::groups, col::outcome> BatchType>
    void amend(RunType& run, State&, BatchType& batch) const {
        using Real = typename BatchType::Real;
        auto outcome = std::span<const Real>(batch[col::outcome{}]);
        batch = batch.select_groups(groups_to_keep(run.backend, batch[col::groups{}], outcome, keep));
    }
};
template <class Keep>
ROARS_FIELDS_OF((FilterGroups<Keep>), keep)

/// The tokens of a sequence that the length limit cut get mask 0: its verdict says nothing of where it was going. Its
/// reward stays in the statistics of its group. Shapes: truncated [sequences] -> mask [tokens]. The mask is the task's,
/// and only amended, so it is not among what this gives. Source: DAPO, arXiv 2503.14476, section 3.4.
struct MaskTruncated {
    using needs = columns<col::truncated, col::mask>;

    template <class RunType, class State, BatchWith<col::truncated, col::mask> BatchType>
    void amend(RunType&, State&, BatchType& batch) const {
        auto mask = batch[col::mask{}];
        auto offsets = batch.token_offsets();
        for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
            if (batch[col::truncated{}][i] != 0)
                std::fill(mask.begin() + offsets[i], mask.begin() + offsets[i + 1], typename BatchType::Real(0));
    }
};
ROARS_FIELDS(MaskTruncated)

}  // namespace roars::sampler
