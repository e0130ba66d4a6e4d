#pragma once

#include <cstdint>

#include "roars/concepts.hpp"

namespace roars::reward {

/// What a well-formed answer of outcome 0 gets.
namespace wrong {
/// Nothing, however cheap it was.
struct Nothing {
    ROARS_FN static double of(double) { return 0.0; }
};
/// Its share of the cost's reward, as the equation is printed.
struct ItsShare {
    ROARS_FN static double of(double share) { return share; }
};
ROARS_FIELDS(Nothing)
ROARS_FIELDS(ItsShare)
}  // namespace wrong

/// Three ranks, the form, the outcome, the cost; R is the cost's reward, which stands in col::reward:
///     r = malformed                           where the form is not what was asked for,
///     r = Wrong of alpha R                    where the outcome is 0,
///     r = (1 - alpha) outcome + alpha R       otherwise.
/// For Then, behind a WindowedCost. Shapes: [sequences]. Source: Router-R1, arXiv 2506.09033; Wrong = Nothing is its
/// code, ItsShare its equation.
template <class Wrong>
struct OutcomeBeforeCost {
    double alpha = 0.6;
    double malformed = -1.0;

    using needs = columns<col::format, col::outcome>;
    static constexpr bool everywhere = true;

    ROARS_FN double of(bool well_formed, double outcome, double cost_reward) const {
        if (!well_formed) return malformed;
        return outcome == 0 ? Wrong::of(alpha * cost_reward) : (1.0 - alpha) * outcome + alpha * cost_reward;
    }

    template <class X>
    struct OfSequence {
        OutcomeBeforeCost part;
        X x;
        ROARS_FN void operator()(std::int64_t i) const {
            auto& reward = x[col::reward{}][i];
            reward = static_cast<typename X::Real>(part.of(
                x[col::format{}][i] != 0, static_cast<double>(x[col::outcome{}][i]), static_cast<double>(reward)));
        }
    };
    template <class RunType, class State, BatchWith<col::format, col::outcome, col::reward> BatchType>
    void amend(RunType& run, State&, BatchType& batch) const {
        auto x = view_of<unite_t<needs, columns<col::reward>>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.sequences(),
                                                       OfSequence<decltype(x)>{*this, x});
    }
};
template <class Wrong>
ROARS_FIELDS_OF((OutcomeBeforeCost<Wrong>), alpha, malformed)

}  // namespace roars::reward
