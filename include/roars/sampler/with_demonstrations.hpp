#pragma once

#include <cstdint>
#include <utility>

#include "roars/concepts.hpp"

namespace roars::sampler {

/// What Base collects and, where that is anything, `demonstrations` rows of an expert behind it: learning begins when
/// Base begins, and every batch holds both. A row is a sequence of `horizon` steps as they followed each other, fewer
/// where an episode ends; its first token alone is trainable. Source: RLPD, arXiv 2302.02948; ResFiT, arXiv 2509.19301.
template <SamplerPart Base>
struct WithDemonstrations {
    Base base{};
    std::int64_t demonstrations = 128;
    std::int64_t horizon = 1;

    using needs = needs_of<Base>;
    using gives = gives_of<Base>;
    using State = state_of<Base>;
    using keeps_batch = void;

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        base.collect(run, state, source, batch, score);
        if (batch.tokens() == 0 || demonstrations <= 0) return;
        BatchType given;
        source.demonstrate(run, given, demonstrations, horizon);
        score(given);
        // What later parts have made wide in the batch, which is kept, they have not yet in these rows.
        for_each_column(typename BatchType::Columns{}, [&]<class Column>(Column column) {
            if constexpr (Column::kind != Kind::offsets)
                if (given.width(column) != batch.width(column)) given.set_width(column, batch.width(column));
        });
        batch.append(given);
    }
    template <class RunType, class BatchType>
    void observe(RunType& run, State& state, const BatchType& batch) const {
        if constexpr (requires { base.observe(run, state, batch); }) base.observe(run, state, batch);
    }
};
template <class Base>
ROARS_FIELDS_OF((WithDemonstrations<Base>), base, demonstrations, horizon)

}  // namespace roars::sampler
