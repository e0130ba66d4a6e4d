#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "roars/advantage/action_critics.hpp"
#include "roars/fields.hpp"
#include "roars/regularizer/tuned_weight.hpp"

namespace roars::advantage::penalty {

/// Conservative under a multiplier that is learned, so that the gap of the critics, averaged over them, meets a
/// threshold tau = multiplier.target:
///     each critic's loss + alpha (gap - tau),   gap = weight (mean log sum exp - Q(s, a)) as Conservative has it,
/// alpha = e^u grows while the mean gap is above tau and shrinks below it, as TunedWeight says, one step behind each
/// step of the critics, which take alpha as a constant. The threshold is compared with the gap times its weight, as
/// d3rlpy's alpha_threshold is. Source: CQL(Lagrange), arXiv 2006.04779, eq. 30 and appendix F.
struct ConservativeLagrangian {
    Conservative gap{};
    regularizer::TunedWeight multiplier{.target = 10.0, .largest = 1e6, .step = {.learning_rate = 1e-4}};

    using needs = needs_of<Conservative>;

    struct State {
        regularizer::TunedWeight::State multiplier{};
        double gap = 0;  ///< of the last step, the mean over the critics
        ROARS_MEMBERS(State, multiplier, gap)
    };

    /// As Conservative::add. Members are asked one after another, from 0 on.
    template <class RunType, class CriticsState, class BatchType, class Real>
    double add(RunType& run, CriticsState& state, const BatchType& batch, std::int64_t member, std::span<const Real> q,
               std::vector<Real>& grad) const {
        const double alpha = multiplier.weight(state.penalty.multiplier);
        const double own = gap.weight * gap.add_gap(run, state, batch, member, q, grad, alpha * gap.weight);
        state.penalty.gap += (own - state.penalty.gap) / double(member + 1);
        return alpha * (own - multiplier.target);
    }
    void adapt(State& state) const { multiplier.tune(state.multiplier, state.gap); }
};
ROARS_FIELDS(ConservativeLagrangian, gap, multiplier)

}  // namespace roars::advantage::penalty
