#pragma once

#include "roars/concepts.hpp"

namespace roars::sampler {

/// What Base collects, each row with what the advantage draws for its state, a constant from there on: the source asks
/// it, choose(batch, Column). The balance of each row is the balance policy's (FamO2O, arXiv 2310.17966), its task is
/// mixed from the model's own representations (zero-shot RL, arXiv 2508.16496).
template <SamplerPart Base, class Column>
struct Chosen {
    Base base{};

    using needs = needs_of<Base>;
    using gives = unite_t<gives_of<Base>, columns<Column>>;
    using State = state_of<Base>;
    template <class RunType, class Source, class BatchType>
    static constexpr bool draws_from = requires(Source& source, BatchType& batch) {
        source.choose(batch, Column{});
    };

    template <class Source>
    void prepare(Source& source) const {
        prepare_source(base, source);
    }
    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        base.collect(run, state, source, batch, score);
        if (batch.tokens() > 0) source.choose(batch, Column{});
    }
    template <class RunType, class BatchType>
    void observe(RunType& run, State& state, const BatchType& batch) const {
        if constexpr (requires { base.observe(run, state, batch); }) base.observe(run, state, batch);
    }
};
template <class Base, class Column>
ROARS_FIELDS_OF((Chosen<Base, Column>), base)

}  // namespace roars::sampler
