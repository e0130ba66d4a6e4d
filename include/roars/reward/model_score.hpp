#pragma once

#include "roars/concepts.hpp"

namespace roars::reward {

/// The score of a learned reward model or of a judge: r_i = model_score_i. The model is the actor's to hold and to ask;
/// surrogate::ScorePairwise trains it. Source: InstructGPT, arXiv 2203.02155.
struct ModelScore {
    using needs = columns<col::model_score>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = true;
    template <class X>
    ROARS_FN double value(const X& x) const {
        return x[col::model_score{}];
    }
};
ROARS_FIELDS(ModelScore)

}  // namespace roars::reward
