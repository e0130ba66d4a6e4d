#pragma once

#include "roars/concepts.hpp"
#include "roars/critic/steps.hpp"

namespace roars::advantage {

/// returns_t = r_t + gamma (1 - terminated_t) next_value_t: the target of temporal-difference learning. Q-learning's
/// next_value is the largest action value of the next state under the target network. Shapes: all [steps]. Sources:
/// Watkins 1989; DQN, doi 10.1038/nature14236.
struct OneStepTarget {
    double gamma = 0.99;

    using needs = columns<col::token_reward, col::next_value, col::terminated>;
    using gives = columns<col::returns>;

    template <class RunType, BatchWith<col::token_reward, col::next_value, col::terminated, col::returns> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        parallel_for(run.backend, batch.tokens(), [&](std::int64_t step) {
            auto t = static_cast<std::size_t>(step);
            batch[col::returns{}][t] = static_cast<Real>(
                critic::one_step_target(double(batch[col::token_reward{}][t]), gamma, batch[col::terminated{}][t] != 0,
                                        double(batch[col::next_value{}][t])));
        });
    }
};
ROARS_FIELDS(OneStepTarget, gamma)

}  // namespace roars::advantage
