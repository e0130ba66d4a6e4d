#pragma once

#include <cstdint>

#include "roars/concepts.hpp"

namespace roars::regularizer {

/// The token that decides whether to reason is not learnt, so that a stage of skewed prompts cannot move the boundary
/// that an earlier one drew: keep_t = [trainable and no decision], the mask of surrogate::Over<Base, col::keep>. It
/// leaves numerator and denominator alike; a critic's loss counts it as before. Shapes: decision, keep [tokens].
/// Source: selective loss masking of AdaCoT, arXiv 2505.11896.
struct SelectiveLossMask {
    using needs = columns<col::decision>;
    using gives = columns<col::keep>;

    static constexpr bool everywhere = true;

    template <class X>
    struct OfToken {
        X x;
        ROARS_FN void operator()(std::int64_t t) const {
            x[col::keep{}][t] = x.trainable(t) && x[col::decision{}][t] == 0 ? 1 : 0;
        }
    };
    template <class RunType, BatchWith<col::decision, col::keep> BatchType>
    void shape(RunType& run, BatchType& batch) const {
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.tokens(), OfToken<decltype(x)>{x});
    }
};
ROARS_FIELDS(SelectiveLossMask)

}  // namespace roars::regularizer
