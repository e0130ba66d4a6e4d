#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "roars/advantage/action_critics.hpp"
#include "roars/algorithm.hpp"
#include "roars/critic/action_model.hpp"
#include "roars/critic/cautious_value.hpp"

namespace roars::advantage {

/// What GuidedCritics have learnt.
template <class Real>
struct GuidedCriticsState {
    ActionCriticsState<Real> critics;
    critic::Ensemble<Real> value;
    critic::ActionModel<Real> model;

    ROARS_MEMBERS(GuidedCriticsState, critics, value, model)

    std::vector<Real> least, target, grad, joined;
};

/// TD3's critics and, a step a batch each,
///     a state's value V by the mean squared distance to critic::CautiousValue,
///     a variational model of the data's actions, of those with Q_1(s, a) > V(s): surrogate::Variational.
/// For the policy: q and q_gradient of ActionCritics; of the first critic taken_q = Q_1(s, a), value = V(s),
/// model_action = the model's reconstruction of the policy's action with fresh noise, model_q = Q_1(s, model_action).
/// Actions are in
/// [-1, 1]. Shapes: as ActionCritics. Source: A2PR, arXiv 2405.19909.
struct GuidedCritics {
    ActionCritics<critic::SmoothedTarget> critics{};
    critic::NetworkSettings value_network{};
    step::AdamW value_step{.learning_rate = 3e-4};
    critic::ActionModelSettings model{};

    using needs = needs_of<ActionCritics<critic::SmoothedTarget>>;
    using gives = columns<col::q, col::q_gradient, col::taken_q, col::value, col::model_action, col::model_q>;
    template <class Real>
    using StateOf = GuidedCriticsState<Real>;
    using State = StateOf<float>;

    template <class RunType, class Real, class BatchType>
    void learn(RunType& run, GuidedCriticsState<Real>& state, BatchType& batch) const {
        if (batch.tokens() == 0) return;
        critics.learn(run, state.critics, batch);
        learn_value(run, state, batch);
        learn_model(run, state, batch);
    }

    template <class RunType, class Real, class BatchType>
    void estimate(RunType& run, GuidedCriticsState<Real>& state, BatchType& batch) const {
        critics.estimate(run, state.critics, batch);
        const std::int64_t width = batch.width(col::action{});
        if (batch.width(col::model_action{}) != width) batch.set_width(col::model_action{}, width);
        if (batch.tokens() == 0) return;
        open(run, state, batch);
        const auto& read = std::as_const(batch);
        say(first_critic(state, read[col::state{}], read[col::action{}], batch), batch[col::taken_q{}]);
        say(state.value.forward(0, read[col::state{}]), batch[col::value{}]);
        auto& network = state.model.network;
        state.model.draw_noise(run.random, 3, batch.tokens());
        network.forward(state.model.parameters, read[col::state{}], read[col::policy_action{}], state.model.noise);
        say(network.reconstruction(), batch[col::model_action{}]);
        say(first_critic(state, read[col::state{}], read[col::model_action{}], batch), batch[col::model_q{}]);
    }

private:
    template <class From, class To>
    static void say(From&& from, To&& to) {
        std::copy(from.begin(), from.end(), to.begin());
    }

    template <class RunType, class Real, class BatchType>
    void open(RunType& run, GuidedCriticsState<Real>& state, const BatchType& batch) const {
        const std::int64_t seen = batch.width(col::state{}), acted = batch.width(col::action{});
        state.value.open(value_network, 1, seen, 1, run.random.seed(), 2000);
        state.model.open(model, seen, acted, run.random.seed(), 3000);
    }

    template <class Real, class BatchType>
    static std::span<const Real> first_critic(GuidedCriticsState<Real>& state, std::span<const Real> seen,
                                              std::span<const Real> action, const BatchType& batch) {
        return state.critics.networks.forward(0, critic::join_rows<Real>(seen, batch.width(col::state{}), action,
                                                                         batch.width(col::action{}), state.joined));
    }
    /// Behind the critics' step: their targets y and the rows of the next states are still there.
    template <class RunType, class Real, class BatchType>
    void learn_value(RunType& run, GuidedCriticsState<Real>& state, const BatchType& batch) const {
        open(run, state, batch);
        auto& critics_now = state.critics.networks;
        std::span<const Real> first = critics_now.forward(0, state.critics.next_rows);
        state.least.assign(first.begin(), first.end());
        for (std::int64_t k = 1; k < critics_now.members(); ++k) {
            std::span<const Real> q = critics_now.forward(k, state.critics.next_rows);
            for (std::size_t i = 0; i < q.size(); ++i) state.least[i] = std::min(state.least[i], q[i]);
        }
        state.target.resize(state.least.size());
        const std::span<const Real> least(state.least);
        critic::CautiousValue{critics.target.rule.gamma}.target<Real>(run.backend, batch[col::token_reward{}],
                                                                      batch[col::terminated{}], state.critics.y, least,
                                                                      least, state.target);
        std::span<const Real> value = state.value.forward(0, batch[col::state{}]);
        state.grad.assign(value.size(), Real(0));
        const double rows = double(count(run.backend, batch).tokens);
        for (std::size_t i = 0; i < value.size(); ++i)
            if (roars::detail::trainable<col::mask>(batch, std::int64_t(i)))
                state.grad[i] = static_cast<Real>(2.0 * (double(value[i]) - double(state.target[i])) / rows);
        state.value.zero_gradients();
        state.value.backward(0, state.grad);
        state.value.step(value_step);
    }

    template <class RunType, class Real, class BatchType>
    void learn_model(RunType& run, GuidedCriticsState<Real>& state, const BatchType& batch) const {
        state.model.learn(run, model, batch, 2, [&](auto&& taken_q, auto&& value) {
            say(first_critic(state, batch[col::state{}], batch[col::action{}], batch), taken_q);
            say(state.value.forward(0, batch[col::state{}]), value);
        });
    }
};
ROARS_FIELDS(GuidedCritics, critics, value_network, value_step, model)

}  // namespace roars::advantage
