#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "roars/advantage/action_critics.hpp"
#include "roars/algorithm.hpp"
#include "roars/critic/cautious_value.hpp"
#include "roars/networks/variational.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogates/variational.hpp"

namespace roars::advantage {

/// What the model of good actions is made of.
struct ActionModelSettings {
    std::int64_t width = 750;  ///< units of a hidden layer
    std::int64_t layers = 2;   ///< hidden layers of encoder and decoder each
    surrogate::Variational loss{};
    step::AdamW step{.learning_rate = 1e-3};
};
ROARS_FIELDS(ActionModelSettings, width, layers, loss, step)

/// A variational model, its parameters and moments; its memory between two batches is not saved.
template <class Real>
struct ActionModel {
    std::vector<Real> parameters;
    step::AdamW::StateOf<Real> moments;

    friend constexpr auto roars_fields(const ActionModel*) {
        return std::make_tuple(Field{"parameters", &ActionModel::parameters}, Field{"moments", &ActionModel::moments});
    }

    using Loss = surrogate::Variational;
    using Rows = Batch<Real, unite_t<needs_of<Loss>, columns<col::mask>,
                                     decltype(roars::detail::gradients_of(typename Loss::differentiates{}))>>;
    network::Variational<Real> network;
    Rows rows;
    std::vector<Real> gradients, noise;
};

/// What GuidedCritics have learnt.
template <class Real>
struct GuidedCriticsState {
    ActionCriticsState<Real> critics;
    critic::Ensemble<Real> value;
    ActionModel<Real> model;

    friend constexpr auto roars_fields(const GuidedCriticsState*) {
        return std::make_tuple(Field{"critics", &GuidedCriticsState::critics},
                               Field{"value", &GuidedCriticsState::value}, Field{"model", &GuidedCriticsState::model});
    }

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
    ActionModelSettings model{};

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
        draw_noise(run, state.model, batch.tokens(), 3);
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
        ActionModel<Real>& own = state.model;
        if (own.network.parameters() == 0) {
            network::VariationalSettings settings;
            settings.state_width = seen;
            settings.action_width = acted;
            settings.hidden.assign(static_cast<std::size_t>(model.layers), model.width);
            own.network = network::Variational<Real>(settings);
        }
        const auto count = static_cast<std::size_t>(own.network.parameters());
        if (own.parameters.empty()) {
            own.parameters.resize(count);
            own.network.initialise(std::span<Real>(own.parameters), run.random.seed(), 3000);
        }
        expect(own.parameters.size() == count, [&] {
            return "model of actions: " + std::to_string(own.parameters.size()) + " parameters, expected " +
                   std::to_string(count);
        });
        own.gradients.resize(count);
    }

    template <class Real, class BatchType>
    static std::span<const Real> first_critic(GuidedCriticsState<Real>& state, std::span<const Real> seen,
                                              std::span<const Real> action, const BatchType& batch) {
        return state.critics.networks.forward(0, critic::join_rows<Real>(seen, batch.width(col::state{}), action,
                                                                         batch.width(col::action{}), state.joined));
    }
    template <class RunType, class Real>
    static void draw_noise(RunType& run, ActionModel<Real>& own, std::int64_t rows, std::uint32_t which) {
        own.noise.resize(static_cast<std::size_t>(rows * own.network.settings().code_width));
        fill_normal(run.random.of(Purpose::user), which, std::span<Real>(own.noise));
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
        ActionModel<Real>& own = state.model;
        draw_noise(run, own, batch.tokens(), 2);
        own.network.forward(own.parameters, batch[col::state{}], batch[col::action{}], own.noise);
        auto& rows = own.rows;
        const std::array<std::int64_t, 2> whole{0, batch.tokens()};
        rows.reshape(whole);
        fill(rows, col::reconstruction{}, own.network.reconstruction(), batch.width(col::action{}));
        fill(rows, col::action{}, batch[col::action{}], batch.width(col::action{}));
        fill(rows, col::latent_mean{}, own.network.mean(), own.network.settings().code_width);
        fill(rows, col::latent_deviation{}, own.network.deviation(), own.network.settings().code_width);
        fill(rows, col::taken_q{}, first_critic(state, batch[col::state{}], batch[col::action{}], batch), 1);
        fill(rows, col::value{}, state.value.forward(0, batch[col::state{}]), 1);
        for (std::int64_t i = 0; i < batch.tokens(); ++i)
            rows[col::mask{}][static_cast<std::size_t>(i)] =
                static_cast<Real>(roars::detail::trainable<col::mask>(batch, i));
        evaluate(run.backend, rows, {count(run.backend, rows)},
                 Weighed<surrogate::Variational, aggregate::TokenMean>{model.loss, {}});
        std::fill(own.gradients.begin(), own.gradients.end(), Real(0));
        const auto& slopes = std::as_const(rows);
        own.network.backward(own.parameters, slopes[col::grad<col::reconstruction>{}],
                             slopes[col::grad<col::latent_mean>{}], slopes[col::grad<col::latent_deviation>{}],
                             own.gradients);
        model.step.step(own.moments, std::span<Real>(own.parameters), std::span<Real>(own.gradients));
    }
    template <class Rows, class Column, class Values>
    static void fill(Rows& rows, Column column, const Values& values, std::int64_t width) {
        if (rows.width(column) != width) rows.set_width(column, width);
        say(values, rows[column]);
    }
};
ROARS_FIELDS(GuidedCritics, critics, value_network, value_step, model)

}  // namespace roars::advantage
