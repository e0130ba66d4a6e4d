#pragma once

#include <cstdint>

#include "roars/concepts.hpp"

namespace roars::sampler {

/// `batch_size` transitions of the source's data set, each drawn with the same probability. Nothing is rolled out. With
/// `standardise` the source shows all states, those of the data and those that are met later, as Standardise says.
struct DataRows {
    std::int64_t batch_size = 256;
    bool standardise = false;

    using keeps_batch = void;

    /// Before anything is collected. Errors: a source that cannot standardise what it shows.
    template <class Source>
    void prepare(Source& source) const {
        if (!standardise) return;
        if constexpr (requires { source.standardise(); })
            source.standardise();
        else
            throw Error("data rows: this source does not standardise its states, expected standardise = false");
    }
    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, NoState&, Source& source, BatchType& batch, Score&& score) const {
        source.draw_rows(run, batch, batch_size);
        score(batch);
    }
};
ROARS_FIELDS(DataRows, batch_size, standardise)

}  // namespace roars::sampler
