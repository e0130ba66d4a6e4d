#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "roars/advantage/exponential_weight.hpp"
#include "roars/concepts.hpp"
#include "roars/critic/ensemble.hpp"
#include "roars/critic/implicit_maximiser.hpp"
#include "roars/critic/recoil.hpp"

namespace roars::advantage {

template <class Real>
struct ContrastiveQState {
    critic::Ensemble<Real> action_values, values;
    double loss = 0;  ///< of the critics' last step

    ROARS_MEMBERS(ContrastiveQState, action_values, values, loss)

    std::vector<Real> rows, mixture, policy_rows, least, q, q_expert, q_policy, next, done, grad, by_expert, by_policy,
        by_mixture, grad_rows;
    std::vector<std::size_t> order;  ///< the batch's rows, those of the expert first
};

/// Imitation without a reward: critics that are raised where the expert acted and lowered where the policy would act,
/// and a value between them. With q = min_k Q_k(s, a) of the target networks
///     V learns from q by ValueLoss, on all rows,
///     Q_k learn by critic::Recoil (or RecoilStabilised), V(s') a constant,
/// and the advantage is exp(temperature (q - V(s))), at most the cap, for -advantage log pi(a|s). Rows with external 1
/// are the expert's; the others are offline rows. Shapes: state, next_state, action, policy_action wide, others [rows].
/// Source: ReCOIL, arXiv 2302.08560, section 4.
template <class Loss = critic::Recoil, class ValueLoss = critic::ImplicitMaximiser<f_divergence::ChiSquare>>
struct ContrastiveQ {
    Loss action_loss{};
    ValueLoss value_loss{};
    ExponentialWeight<> weight{};
    critic::NetworkSettings network{};
    step::AdamW step{.learning_rate = 3e-4};
    critic::Polyak polyak{};

    using needs = columns<col::state, col::action, col::next_state, col::terminated, col::policy_action, col::external>;
    using gives = columns<col::advantage>;
    template <class Real>
    using StateOf = ContrastiveQState<Real>;
    using State = StateOf<float>;

    template <class RunType, class Real, class BatchType>
    void learn(RunType& run, ContrastiveQState<Real>& state, BatchType& batch) const {
        if (batch.tokens() == 0) return;
        const std::int64_t states = batch.width(col::state{}), actions = batch.width(col::action{});
        state.action_values.open(network, 2, states + actions, 1, run.random.seed(), 1000);
        state.values.open(network, 1, states, 1, run.random.seed(), 2000);
        const auto& read = std::as_const(batch);
        const std::size_t experts = sort_rows(state, read);
        if constexpr (requires { value_loss.prepare(run, batch); }) value_loss.prepare(run, batch);
        state.loss = learn_value(state, read);

        auto next = state.values.forward(0, read[col::next_state{}]);
        gather(state.order, next, state.next);
        gather(state.order, read[col::terminated{}], state.done);
        // Rows of data, the expert's first, and the offline rows' states with the policy's action.
        auto all = critic::join_rows<Real>(read[col::state{}], states, read[col::action{}], actions, state.rows);
        gather_rows(std::span(state.order), all, states + actions, state.mixture);
        all = critic::join_rows<Real>(read[col::state{}], states, read[col::policy_action{}], actions, state.rows);
        gather_rows(std::span(state.order).subspan(experts), all, states + actions, state.policy_rows);
        state.action_values.zero_gradients();
        for (std::int64_t k = 0; k < 2; ++k) learn_member(run.backend, state, k, experts);
        state.action_values.step(step);
        state.action_values.follow(run.backend, polyak);
    }

    template <class RunType, class Real, class BatchType>
    void estimate(RunType&, ContrastiveQState<Real>& state, BatchType& batch) const {
        if (batch.tokens() == 0) return;
        const auto& read = std::as_const(batch);
        find_least(state, read);
        auto value = state.values.forward(0, read[col::state{}]);
        for (std::int64_t t = 0; t < batch.tokens(); ++t) {
            auto i = static_cast<std::size_t>(t);
            bool counts = roars::detail::trainable<col::mask>(batch, t);
            batch[col::advantage{}][i] =
                static_cast<Real>(counts ? weight.of(double(state.least[i]), double(value[i])) : 0.0);
        }
    }

private:
    template <class Real, class BatchType>
    static std::size_t sort_rows(ContrastiveQState<Real>& state, const BatchType& batch) {
        state.order.clear();
        std::size_t experts = 0;
        for (bool of_expert : {true, false}) {
            for (std::int64_t t = 0; t < batch.tokens(); ++t) {
                auto i = static_cast<std::size_t>(t);
                if (roars::detail::trainable<col::mask>(batch, t) &&
                    (batch[col::external{}][i] != Real(0)) == of_expert)
                    state.order.push_back(i);
            }
            if (of_expert) experts = state.order.size();
        }
        return experts;
    }
    template <class From, class Real>
    static void gather(const std::vector<std::size_t>& order, const From& from, std::vector<Real>& to) {
        to.clear();
        for (std::size_t i : order) to.push_back(from[i]);
    }
    template <class Real>
    static void gather_rows(std::span<const std::size_t> order, std::span<const Real> from, std::int64_t width,
                            std::vector<Real>& to) {
        to.clear();
        for (std::size_t i : order) {
            auto row = from.begin() + static_cast<std::ptrdiff_t>(i) * width;
            to.insert(to.end(), row, row + width);
        }
    }
    /// The smaller target value of the data's actions, row by row.
    template <class Real, class BatchType>
    static void find_least(ContrastiveQState<Real>& state, const BatchType& batch) {
        auto rows = critic::join_rows<Real>(batch[col::state{}], batch.width(col::state{}), batch[col::action{}],
                                            batch.width(col::action{}), state.rows);
        auto first = state.action_values.forward_target(0, rows);
        state.least.assign(first.begin(), first.end());
        auto second = state.action_values.forward_target(1, rows);
        for (std::size_t t = 0; t < state.least.size(); ++t) state.least[t] = std::min(state.least[t], second[t]);
    }
    template <class Real, class BatchType>
    double learn_value(ContrastiveQState<Real>& state, const BatchType& batch) const {
        find_least(state, batch);
        auto value = state.values.forward(0, batch[col::state{}]);
        state.grad.assign(value.size(), Real(0));
        double loss = 0, count = double(state.order.size());
        for (std::size_t t : state.order) {
            auto said = value_loss.token(
                Token<double, columns<col::value, col::q>>{{double(value[t])}, {double(state.least[t])}});
            loss += said.loss / count;
            state.grad[t] = static_cast<Real>(said.slope[0] / count);
        }
        state.values.zero_gradients();
        state.values.backward(0, state.grad);
        state.values.step(step);
        return loss;
    }
    /// Adds to the member's gradients. A network goes back over its last rows alone, so the rows of data come twice.
    template <class Real>
    void learn_member(backend::Host& backend, ContrastiveQState<Real>& state, std::int64_t member,
                      std::size_t experts) const {
        auto q = state.action_values.forward(member, state.mixture);
        state.q.assign(q.begin(), q.end());
        state.q_expert.assign(state.q.begin(), state.q.begin() + std::ptrdiff_t(experts));
        auto of_policy = state.action_values.forward(member, state.policy_rows);
        state.q_policy.assign(of_policy.begin(), of_policy.end());
        state.by_expert.assign(state.q_expert.size(), Real(0));
        state.by_policy.assign(state.q_policy.size(), Real(0));
        state.by_mixture.assign(state.q.size(), Real(0));
        state.loss +=
            action_loss.template loss<Real>(backend, {state.q_expert, state.q_policy, state.q, state.next, state.done},
                                            {state.by_expert, state.by_policy, state.by_mixture});
        if (!state.by_policy.empty()) state.action_values.backward(member, state.by_policy);
        for (std::size_t i = 0; i < experts; ++i) state.by_mixture[i] += state.by_expert[i];
        state.action_values.forward(member, state.mixture);
        state.action_values.backward(member, state.by_mixture);
    }
};
template <class Loss, class ValueLoss>
ROARS_FIELDS_OF((ContrastiveQ<Loss, ValueLoss>), action_loss, value_loss, weight, network, step, polyak)

}  // namespace roars::advantage
