#pragma once

#include "roars/concepts.hpp"
#include "roars/everywhere.hpp"

namespace roars::reward {

/// token_reward = scale * step_reward + shift, in units of the environment. Shapes: [steps].
struct ScaledStep {
    double scale = 1.0;
    double shift = 0.0;

    using needs = columns<col::step_reward>;
    using gives = columns<col::token_reward>;

    static constexpr bool everywhere = true;

    template <class X>
    struct OfStep {
        X x;
        double scale, shift;
        ROARS_FN void operator()(std::int64_t t) const {
            x[col::token_reward{}][t] =
                static_cast<typename X::Real>(scale * static_cast<double>(x[col::step_reward{}][t]) + shift);
        }
    };
    template <class RunType, BatchWith<col::step_reward, col::token_reward> BatchType>
    void score(RunType& run, BatchType& batch) const {
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.tokens(),
                                                       OfStep<decltype(x)>{x, scale, shift});
    }
};
ROARS_FIELDS(ScaledStep, scale, shift)

}  // namespace roars::reward
