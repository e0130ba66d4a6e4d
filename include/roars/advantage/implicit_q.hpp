#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "roars/advantage/exponential_weight.hpp"
#include "roars/concepts.hpp"
#include "roars/critic/ensemble.hpp"
#include "roars/critic/steps.hpp"
#include "roars/critic/value_loss.hpp"

namespace roars::advantage {

template <class Real>
struct ImplicitQState {
    critic::Ensemble<Real> action_values, values;
    double loss = 0;  ///< of the critics' last step

    ROARS_MEMBERS(ImplicitQState, action_values, values, loss)

    std::vector<Real> rows, q, next, grad;
};

/// Implicit Q-learning: a value of the actions that the data holds, no others. With q = min_k Q_k(s, a) of the target
/// networks
///     V learns from q by ValueLoss: the expectile, or f-DVL's implicit maximisers,
///     Q_k learn r + gamma (1 - terminated) V(s') by ActionLoss, mean over the trainable rows,
/// and the advantage is what Weight makes of q and V(s), for -advantage log pi(a|s). Shapes: state, next_state, action
/// wide, others [rows]. Sources: IQL, arXiv 2110.06169, eqs. 5 to 7; Dual RL, arXiv 2302.08560; FamO2O, arXiv
/// 2310.17966.
template <class ValueLoss = critic::Expectile, class ActionLoss = critic::SquaredErrorOf<col::q>,
          class Weight = ExponentialWeight<>>
struct ImplicitQ {
    double gamma = 0.99;
    ValueLoss value_loss{};
    ActionLoss action_loss = {.coefficient = 2.0};
    Weight weight{};
    critic::NetworkSettings network{};
    step::AdamW step{.learning_rate = 3e-4};
    critic::Polyak polyak{};

    using needs = unite_t<columns<col::state, col::action, col::next_state, col::token_reward, col::terminated>,
                          minus_t<needs_of<Weight>, columns<col::q, col::value>>>;
    using gives = columns<col::advantage>;
    template <class Real>
    using StateOf = ImplicitQState<Real>;
    using State = StateOf<float>;

    template <class RunType, class Real, class BatchType>
    void learn(RunType& run, ImplicitQState<Real>& state, BatchType& batch) const {
        if (batch.tokens() == 0) return;
        const std::int64_t states = batch.width(col::state{}), actions = batch.width(col::action{});
        state.action_values.open(network, 2, states + actions, 1, run.random.seed(), 1000);
        state.values.open(network, 1, states, 1, run.random.seed(), 2000);
        const auto& read = std::as_const(batch);
        auto rows = critic::join_rows<Real>(read[col::state{}], states, read[col::action{}], actions, state.rows);
        const double count = trainable_rows(batch);
        if constexpr (requires { value_loss.prepare(run, batch); }) value_loss.prepare(run, batch);
        state.loss = learn_value(state, read, rows, count);

        auto next = state.values.forward(0, read[col::next_state{}]);
        state.next.assign(next.begin(), next.end());
        state.action_values.zero_gradients();
        for (std::int64_t k = 0; k < 2; ++k) {
            auto q = state.action_values.forward(k, rows);
            state.grad.assign(q.size(), Real(0));
            for_each_trainable(read, [&](std::size_t t) {
                double y = critic::one_step_target(double(read[col::token_reward{}][t]), gamma,
                                                   read[col::terminated{}][t] != Real(0), double(state.next[t]));
                auto said = action_loss.token(Token<double, columns<col::q, col::returns>>{{double(q[t])}, {y}});
                state.loss += said.loss / count;
                state.grad[t] = static_cast<Real>(said.slope[0] / count);
            });
            state.action_values.backward(k, state.grad);
        }
        state.action_values.step(step);
        state.action_values.follow(run.backend, polyak);
    }

    template <class RunType, class Real, class BatchType>
    void estimate(RunType&, ImplicitQState<Real>& state, BatchType& batch) const {
        if (batch.tokens() == 0) return;
        const auto& read = std::as_const(batch);
        auto rows = critic::join_rows<Real>(read[col::state{}], batch.width(col::state{}), read[col::action{}],
                                            batch.width(col::action{}), state.rows);
        find_least(state, rows);
        auto value = state.values.forward(0, read[col::state{}]);
        auto advantage = batch[col::advantage{}];
        std::fill(advantage.begin(), advantage.end(), Real(0));
        for_each_trainable(read, [&](std::size_t t) {
            advantage[t] = static_cast<Real>(weigh(read, t, double(state.q[t]), double(value[t])));
        });
    }

private:
    template <class BatchType>
    double weigh(const BatchType& batch, std::size_t t, double q, double value) const {
        if constexpr (contains_v<col::balance, needs_of<Weight>>)
            return weight.of(q, value, double(batch[col::balance{}][t]));
        else
            return weight.of(q, value);
    }
    template <class BatchType, class Use>
    static void for_each_trainable(const BatchType& batch, Use&& use) {
        for (std::int64_t t = 0; t < batch.tokens(); ++t)
            if (roars::detail::trainable<col::mask>(batch, t)) use(static_cast<std::size_t>(t));
    }
    template <class BatchType>
    static double trainable_rows(const BatchType& batch) {
        double count = 0;
        for_each_trainable(batch, [&](std::size_t) { ++count; });
        return count;
    }
    template <class Real>
    static void find_least(ImplicitQState<Real>& state, std::span<const Real> rows) {
        auto first = state.action_values.forward_target(0, rows);
        state.q.assign(first.begin(), first.end());
        auto second = state.action_values.forward_target(1, rows);
        for (std::size_t t = 0; t < state.q.size(); ++t) state.q[t] = std::min(state.q[t], second[t]);
    }
    template <class Real, class BatchType>
    double learn_value(ImplicitQState<Real>& state, const BatchType& batch, std::span<const Real> rows,
                       double count) const {
        find_least(state, rows);
        auto value = state.values.forward(0, batch[col::state{}]);
        state.grad.assign(value.size(), Real(0));
        double loss = 0;
        for_each_trainable(batch, [&](std::size_t t) {
            auto said =
                value_loss.token(Token<double, columns<col::value, col::q>>{{double(value[t])}, {double(state.q[t])}});
            loss += said.loss / count;
            state.grad[t] = static_cast<Real>(said.slope[0] / count);
        });
        state.values.zero_gradients();
        state.values.backward(0, state.grad);
        state.values.step(step);
        return loss;
    }
};
template <class ValueLoss, class ActionLoss, class Weight>
ROARS_FIELDS_OF((ImplicitQ<ValueLoss, ActionLoss, Weight>), gamma, value_loss, action_loss, weight, network, step,
                polyak)

}  // namespace roars::advantage
