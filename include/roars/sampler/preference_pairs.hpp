#pragma once

#include <cstdint>

#include "roars/concepts.hpp"

namespace roars::sampler {

/// `pairs` pairs of answers of which one was preferred, from a data set that no policy of this run wrote: groups of
/// two, the chosen answer first. Nothing is rolled out. Asks of the source preference_pairs(run, batch, pairs).
struct PreferencePairs {
    std::int64_t pairs = 64;

    using needs = columns<col::groups>;

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, NoState&, Source& source, BatchType& batch, Score&& score) const {
        source.preference_pairs(run, batch, pairs);
        score(batch);
    }
};
ROARS_FIELDS(PreferencePairs, pairs)

/// `answers` single answers, each labelled desirable (col::chosen) or not, and as many that are put to another prompt
/// than their own (col::mismatched), by which the divergence from the reference is measured. Nothing is rolled out.
/// Asks of the source labelled_answers(run, batch, answers).
struct LabelledAnswers {
    std::int64_t answers = 64;

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, NoState&, Source& source, BatchType& batch, Score&& score) const {
        source.labelled_answers(run, batch, answers);
        score(batch);
    }
};
ROARS_FIELDS(LabelledAnswers, answers)

}  // namespace roars::sampler
