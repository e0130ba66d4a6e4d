#pragma once

#include "roars/concepts.hpp"

namespace roars::reward {

/// token_reward = scale * step_reward + shift, in units of the environment. Shapes: [steps].
struct ScaledStep {
    double scale = 1.0;
    double shift = 0.0;

    using needs = columns<col::step_reward>;
    using gives = columns<col::token_reward>;

    template <class RunType, BatchWith<col::step_reward, col::token_reward> BatchType>
    void score(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        parallel_for(run.backend, batch.tokens(), [&](std::int64_t step) {
            auto t = static_cast<std::size_t>(step);
            batch[col::token_reward{}][t] =
                static_cast<Real>(scale * static_cast<double>(batch[col::step_reward{}][t]) + shift);
        });
    }
};
ROARS_FIELDS(ScaledStep, scale, shift)

}  // namespace roars::reward
