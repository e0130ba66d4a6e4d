#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "roars/advantage/action_critics.hpp"
#include "roars/advantage/exponential_weight.hpp"

namespace roars::advantage {

/// The advantage of the action taken over the policy's own, by the critics of (state, action), as a weight: Weight of
/// Q(s, a) and Q(s, policy_action), Q the least of the critics, for -weight log pi(a|s). Masked rows get 0. Shapes: as
/// ActionCritics; advantage [rows]. Sources, the value by one action of the policy: AWAC, arXiv 2006.09359, eq. 6
/// (ExponentialWeight); CRR, arXiv 2006.15134 (ExponentialWeight, or BinaryWeight).
template <class Weight>
struct CriticWeightOf {
    ActionCritics<critic::PolicyActionTarget> critics{};
    Weight weight{};

    using needs = needs_of<ActionCritics<critic::PolicyActionTarget>>;
    using gives = columns<col::advantage>;
    template <class Real>
    using StateOf = ActionCriticsState<Real>;
    using State = StateOf<float>;

    template <class RunType, class Real, class BatchType>
    void learn(RunType& run, ActionCriticsState<Real>& state, BatchType& batch) const {
        critics.learn(run, state, batch);
    }
    template <class RunType, class Real, class BatchType>
    void estimate(RunType&, ActionCriticsState<Real>& state, BatchType& batch) const {
        if (batch.tokens() == 0) return;
        const auto& read = std::as_const(batch);
        find_least<col::action>(state, read, state.least);
        find_least<col::policy_action>(state, read, state.y);
        auto advantage = batch[col::advantage{}];
        for (std::int64_t t = 0; t < batch.tokens(); ++t) {
            auto i = static_cast<std::size_t>(t);
            bool counts = roars::detail::trainable<col::mask>(batch, t);
            advantage[i] = static_cast<Real>(counts ? weight.of(double(state.least[i]), double(state.y[i])) : 0.0);
        }
    }

private:
    template <class Action, class Real, class BatchType>
    static void find_least(ActionCriticsState<Real>& state, const BatchType& batch, std::vector<Real>& least) {
        auto rows = critic::join_rows<Real>(batch[col::state{}], batch.width(col::state{}), batch[Action{}],
                                            batch.width(Action{}), state.rows);
        for (std::int64_t k = 0; k < state.networks.members(); ++k) {
            auto q = state.networks.forward(k, rows);
            if (k == 0)
                least.assign(q.begin(), q.end());
            else
                for (std::size_t t = 0; t < q.size(); ++t) least[t] = std::min(least[t], q[t]);
        }
    }
};
template <class Weight>
ROARS_FIELDS_OF((CriticWeightOf<Weight>), critics, weight)

using CriticWeight = CriticWeightOf<ExponentialWeight<>>;

}  // namespace roars::advantage
