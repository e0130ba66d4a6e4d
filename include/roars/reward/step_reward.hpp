#pragma once

#include <algorithm>

#include "roars/concepts.hpp"

namespace roars::reward {

/// What the environment pays for every step, as it is. Shapes: step_reward -> token_reward [steps].
struct StepReward {
    using needs = columns<col::step_reward>;
    using gives = columns<col::token_reward>;

    template <class RunType, BatchWith<col::step_reward, col::token_reward> BatchType>
    void score(RunType&, BatchType& batch) const {
        std::copy(batch[col::step_reward{}].begin(), batch[col::step_reward{}].end(),
                  batch[col::token_reward{}].begin());
    }
};
ROARS_FIELDS(StepReward)

}  // namespace roars::reward
