#pragma once

#include <cstdint>
#include <string>

#include "roars/concepts.hpp"

namespace roars::reward {

/// What the environment pays for every step, as it is. Shapes: step_reward -> token_reward [steps], or rows of as many
/// responses.
struct StepReward {
    using needs = columns<col::step_reward>;
    using gives = columns<col::token_reward>;
    static constexpr bool everywhere = true;

    template <class X>
    struct Copy {
        X x;
        ROARS_FN void operator()(std::int64_t i) const { x[col::token_reward{}][i] = x[col::step_reward{}][i]; }
    };
    template <class RunType, BatchWith<col::step_reward, col::token_reward> BatchType>
    void score(RunType& run, BatchType& batch) const {
        const std::int64_t width = batch.width(col::step_reward{});
        if (batch.width(col::token_reward{}) != width) batch.set_width(col::token_reward{}, width);
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.tokens() * width, Copy<decltype(x)>{x});
    }
};
ROARS_FIELDS(StepReward)

/// One of the several responses that the environment pays for every step: the `index`-th, from 0. Shapes: step_reward
/// [steps, responses] -> token_reward [steps]. Errors: there is no such response.
struct Response {
    std::int64_t index = 0;

    using needs = columns<col::step_reward>;
    using gives = columns<col::token_reward>;
    static constexpr bool everywhere = true;

    template <class X>
    struct OfStep {
        X x;
        std::int64_t width, index;
        ROARS_FN void operator()(std::int64_t t) const {
            x[col::token_reward{}][t] = x[col::step_reward{}][t * width + index];
        }
    };
    template <class RunType, BatchWith<col::step_reward, col::token_reward> BatchType>
    void score(RunType& run, BatchType& batch) const {
        std::int64_t width = batch.width(col::step_reward{});
        expect(index >= 0 && index < width, [&] {
            return "response: index is " + std::to_string(index) + ", expected one of " + std::to_string(width);
        });
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.tokens(),
                                                       OfStep<decltype(x)>{x, width, index});
    }
};
ROARS_FIELDS(Response, index)

}  // namespace roars::reward
