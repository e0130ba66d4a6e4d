#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "roars/concepts.hpp"

namespace roars::reward {

/// What the environment pays for every step, as it is. Shapes: step_reward -> token_reward [steps], or rows of as many
/// responses.
struct StepReward {
    using needs = columns<col::step_reward>;
    using gives = columns<col::token_reward>;

    template <class RunType, BatchWith<col::step_reward, col::token_reward> BatchType>
    void score(RunType&, BatchType& batch) const {
        if (batch.width(col::step_reward{}) != batch.width(col::token_reward{}))
            batch.set_width(col::token_reward{}, batch.width(col::step_reward{}));
        std::copy(batch[col::step_reward{}].begin(), batch[col::step_reward{}].end(),
                  batch[col::token_reward{}].begin());
    }
};
ROARS_FIELDS(StepReward)

/// One of the several responses that the environment pays for every step: the `index`-th, from 0. Shapes: step_reward
/// [steps, responses] -> token_reward [steps]. Errors: there is no such response.
struct Response {
    std::int64_t index = 0;

    using needs = columns<col::step_reward>;
    using gives = columns<col::token_reward>;

    template <class RunType, BatchWith<col::step_reward, col::token_reward> BatchType>
    void score(RunType& run, BatchType& batch) const {
        std::int64_t width = batch.width(col::step_reward{});
        expect(index >= 0 && index < width, [&] {
            return "response: index is " + std::to_string(index) + ", expected one of " + std::to_string(width);
        });
        parallel_for(run.backend, batch.tokens(), [&](std::int64_t t) {
            batch[col::token_reward{}][static_cast<std::size_t>(t)] =
                batch[col::step_reward{}][static_cast<std::size_t>(t * width + index)];
        });
    }
};
ROARS_FIELDS(Response, index)

}  // namespace roars::reward
