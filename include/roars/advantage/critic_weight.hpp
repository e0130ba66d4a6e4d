#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "roars/advantage/action_critics.hpp"
#include "roars/advantage/exponential_weight.hpp"

namespace roars::advantage {

/// What a state is worth to the policy: the value of one action of its own there, or the mean or the largest of those
/// of several.
namespace state_value {

struct OneAction {
    using Actions = col::policy_action;
    template <class Real>
    static double of(std::span<const Real> q) {
        return double(q.front());
    }
};
struct MeanOfActions {
    using Actions = col::policy_samples;
    template <class Real>
    static double of(std::span<const Real> q) {
        return std::accumulate(q.begin(), q.end(), 0.0) / double(q.size());
    }
};
struct LargestOfActions {
    using Actions = col::policy_samples;
    template <class Real>
    static double of(std::span<const Real> q) {
        return double(*std::max_element(q.begin(), q.end()));
    }
};

}  // namespace state_value

/// The advantage of the action taken over the policy's own, by the critics of (state, action), as a weight: Weight of
/// Q(s, a) and of Value's Q(s, policy's actions), for -weight log pi(a|s). Q is the least of the critics, the first or
/// their mean, as `among` says. Masked rows get 0. Shapes: as ActionCritics; policy_samples [rows, samples width],
/// advantage [rows]. Sources: AWAC, arXiv 2006.09359, eq. 6 (ExponentialWeight, the least, one action); CRR, arXiv
/// 2006.15134 (ExponentialWeight or BinaryWeight, the mean, the mean or the largest of several actions).
template <class Weight, class Value = state_value::OneAction, critic::PolicyValue among = critic::PolicyValue::least>
struct CriticWeightOf {
    ActionCritics<critic::PolicyActionTarget> critics{};
    Weight weight{};

    using needs = unite_t<needs_of<ActionCritics<critic::PolicyActionTarget>>, columns<typename Value::Actions>>;
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
        judge<col::action>(state, read, state.least);
        judge<typename Value::Actions>(state, read, state.y);
        critic::Rows<const Real> own{state.y, std::ssize(state.y) / batch.tokens()};
        auto advantage = batch[col::advantage{}];
        for (std::int64_t t = 0; t < batch.tokens(); ++t) {
            auto i = static_cast<std::size_t>(t);
            bool counts = roars::detail::trainable<col::mask>(batch, t);
            advantage[i] = static_cast<Real>(counts ? weight.of(double(state.least[i]), Value::of(own[t])) : 0.0);
        }
    }

private:
    /// q = that of every action of the column, state by state.
    template <class Actions, class Real, class BatchType>
    static void judge(ActionCriticsState<Real>& state, const BatchType& batch, std::vector<Real>& q) {
        const std::int64_t states = batch.width(col::state{}), width = batch.width(col::action{});
        auto seen =
            critic::repeat_rows<Real>(batch[col::state{}], states, batch.width(Actions{}) / width, state.next_seen);
        auto rows = critic::join_rows<Real>(seen, states, batch[Actions{}], width, state.rows);
        const std::int64_t members = among == critic::PolicyValue::first ? 1 : state.networks.members();
        for (std::int64_t k = 0; k < members; ++k)
            critic::take_member<among>(k, members, state.networks.forward(k, rows), q);
    }
};
template <class Weight, class Value, critic::PolicyValue among>
ROARS_FIELDS_OF((CriticWeightOf<Weight, Value, among>), critics, weight)

using CriticWeight = CriticWeightOf<ExponentialWeight<>>;

}  // namespace roars::advantage
