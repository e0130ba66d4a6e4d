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

    static constexpr bool everywhere = true;

    template <class X>
    struct OfStep {
        double gamma;
        X x;
        ROARS_FN void operator()(std::int64_t t) const {
            x[col::returns{}][t] = static_cast<typename X::Real>(
                critic::one_step_target(double(x[col::token_reward{}][t]), gamma, x[col::terminated{}][t] != 0,
                                        double(x[col::next_value{}][t])));
        }
    };
    template <class RunType, BatchWith<col::token_reward, col::next_value, col::terminated, col::returns> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.tokens(), OfStep<decltype(x)>{gamma, x});
    }
};
ROARS_FIELDS(OneStepTarget, gamma)

}  // namespace roars::advantage
