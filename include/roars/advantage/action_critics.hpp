#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/critic/action_targets.hpp"
#include "roars/critic/conservative.hpp"
#include "roars/critic/ensemble.hpp"
#include "roars/critic/least_climb.hpp"
#include "roars/critic/shown.hpp"

namespace roars::advantage {

/// What critics of (state, action) and their penalty have learnt, and their memory between two batches, which is not
/// saved.
template <class Real, class PenaltyState = NoState>
struct ActionCriticsState {
    critic::Ensemble<Real> networks;
    double loss = 0;  ///< of the last step
    [[no_unique_address]] PenaltyState penalty;

    ROARS_MEMBERS(ActionCriticsState, networks, loss, penalty)

    std::vector<Real> next_action, next_seen, next_rows, next_q, rows, least, y, grad, grad_rows, sampled_rows,
        sampled_q, sampled_grad;
    std::vector<std::int64_t> asked, chosen;
};

/// What is added to a critic's loss beside the temporal difference.
namespace penalty {

struct None {};
ROARS_FIELDS(None)

/// weight * (mean over rows of t log sum_j exp(Q(s, a_j) / t - log density_j) - Q(s, a)) for the sampled actions a_j of
/// each row: values of actions that the data does not hold are pushed down. Source: CQL(H), arXiv 2006.04779, eq. 4.
struct Conservative {
    double weight = 5.0;
    double temperature = 1.0;

    using needs = columns<col::sampled_action, col::sampled_logp>;

    /// Adds its slopes: of the sampled actions to the member's gradients, of the data's to `grad`. Returns the penalty.
    template <class RunType, class State, class BatchType, class Real>
    double add(RunType& run, State& state, const BatchType& batch, std::int64_t member, std::span<const Real> q,
               std::vector<Real>& grad) const {
        return weight * add_gap(run, state, batch, member, q, grad, weight);
    }
    /// The same with `scale` in the place of the weight; returns what the weight multiplies.
    template <class RunType, class State, class BatchType, class Real>
    double add_gap(RunType& run, State& state, const BatchType& batch, std::int64_t member, std::span<const Real> q,
                   std::vector<Real>& grad, double scale) const {
        const std::int64_t samples = batch.width(col::sampled_logp{}), states = batch.width(col::state{}),
                           width = batch.width(col::sampled_action{}) / samples;
        state.sampled_rows.resize(static_cast<std::size_t>(batch.tokens() * samples * (states + width)));
        auto to = state.sampled_rows.begin();
        for (std::int64_t t = 0; t < batch.tokens(); ++t)
            for (std::int64_t j = 0; j < samples; ++j) {
                to = std::copy_n(batch[col::state{}].begin() + t * states, states, to);
                to = std::copy_n(batch[col::sampled_action{}].begin() + (t * samples + j) * width, width, to);
            }
        auto sampled = state.networks.forward(member, state.sampled_rows);
        state.sampled_q.assign(sampled.begin(), sampled.end());
        state.sampled_grad.resize(state.sampled_q.size());
        critic::SampledConservative rule{.temperature = temperature};
        double gap = rule.penalty(run.backend, critic::Rows<const Real>{state.sampled_q, samples},
                                  critic::Rows<const Real>{batch[col::sampled_logp{}], samples}, q,
                                  critic::Rows<Real>{state.sampled_grad, samples});
        for (Real& each : state.sampled_grad) each *= static_cast<Real>(scale);
        state.networks.backward(member, state.sampled_grad);
        for (Real& each : grad) each -= static_cast<Real>(scale / double(batch.tokens()));
        return gap;
    }
};
ROARS_FIELDS(Conservative, weight, temperature)

}  // namespace penalty

/// Critics Q_k(state, action) with target networks, trained here by temporal difference, one step a batch:
///     loss = sum_k mean over trainable rows of (Q_k(s, a) - y)^2 + Penalty,   y by Target;
///     theta_target = (1 - tau) theta_target + tau theta.
/// Behind it q = Q(state, policy_action) and q_gradient = dQ/da there: the least of the critics, the first or their
/// mean, as Target says, for the surrogate Climb. What of state and action the critics see is Shown's. Shapes: state,
/// next_state, action, policy_action wide, everything else [rows].
template <class Target, class Penalty = penalty::None, class Shown = critic::shown::StateAndAction>
struct ActionCritics {
    static_assert(std::is_same_v<Penalty, penalty::None> || std::is_same_v<Shown, critic::shown::StateAndAction>,
                  "roars: a penalty of sampled actions shows them to the critics as they are");

    critic::NetworkSettings network{};
    std::int64_t critics = 2;
    step::AdamW step{.learning_rate = 3e-4};
    critic::Polyak polyak{};
    Target target{};
    Penalty penalty{};
    Shown shown{};

    using needs = unite_t<
        columns<col::state, col::action, col::next_state, col::token_reward, col::terminated, col::policy_action>,
        needs_of<Target>, needs_of<Penalty>>;
    using gives = columns<col::q, col::q_gradient>;
    template <class Real>
    using StateOf = ActionCriticsState<Real, state_of<Penalty>>;
    using State = StateOf<float>;

    /// The critics' own step, and behind it the penalty's.
    template <class RunType, class Real, class BatchType>
    void learn(RunType& run, StateOf<Real>& state, BatchType& batch) const {
        if (batch.tokens() == 0) return;
        open(run, state, batch);
        find_target(run, state, batch);
        const auto& wide = std::as_const(batch);
        auto rows = shown.template rows<Real>(wide[col::state{}], batch.width(col::state{}), wide[col::action{}],
                                              batch.width(col::action{}), state.rows);
        state.networks.zero_gradients();
        state.loss = 0;
        for (std::int64_t k = 0; k < critics; ++k) {
            auto q = state.networks.forward(k, rows);
            state.loss += squared_error(batch, q, state.y, state.grad);
            if constexpr (!std::is_same_v<Penalty, penalty::None>) {
                // The network goes over the sampled actions in between.
                state.next_action.assign(q.begin(), q.end());
                state.loss += penalty.add(run, state, wide, k, std::span<const Real>(state.next_action), state.grad);
                state.networks.forward(k, rows);
            }
            state.networks.backward(k, state.grad);
        }
        state.networks.step(step);
        if constexpr (!std::is_same_v<state_of<Penalty>, NoState>) penalty.adapt(state.penalty);
        if constexpr (!Target::follows_with_policy) state.networks.follow(run.backend, polyak);
    }

    template <class RunType, class Real, class BatchType>
    void estimate(RunType& run, StateOf<Real>& state, BatchType& batch) const {
        const std::int64_t width = batch.width(col::policy_action{});
        if (batch.width(col::q_gradient{}) != width) batch.set_width(col::q_gradient{}, width);
        if (batch.tokens() == 0) return;
        open(run, state, batch);
        const auto& wide = std::as_const(batch);
        auto rows = shown.template rows<Real>(wide[col::state{}], batch.width(col::state{}), wide[col::policy_action{}],
                                              width, state.rows);
        if constexpr (Target::policy_value == critic::PolicyValue::first)
            climb_first(state, batch, rows);
        else if constexpr (Target::policy_value == critic::PolicyValue::least)
            climb_least(state, batch, rows);
        else
            climb_mean(state, batch, rows);
        if constexpr (Target::follows_with_policy) state.networks.follow(run.backend, polyak);
    }

private:
    template <class RunType, class Real, class BatchType>
    void open(RunType& run, StateOf<Real>& state, const BatchType& batch) const {
        state.networks.open(network, critics, shown.inputs(batch.width(col::state{}), batch.width(col::action{})), 1,
                            run.random.seed(), 1000);
    }

    template <class RunType, class Real, class BatchType>
    void find_target(RunType& run, StateOf<Real>& state, const BatchType& batch) const {
        const std::int64_t states = batch.width(col::next_state{}), width = batch.width(col::action{});
        auto action = target.next_action(run, batch, state.next_action);
        const std::int64_t samples = std::ssize(action) / (batch.tokens() * width);
        auto seen = critic::repeat_rows<Real>(batch[col::next_state{}], states, samples, state.next_seen);
        auto rows = shown.template rows<Real>(seen, states, action, width, state.next_rows);
        target.members(run, critics, state.asked);
        const std::int64_t each = batch.tokens() * samples;
        state.next_q.resize(state.asked.size() * static_cast<std::size_t>(each));
        critic::Rows<Real> values{state.next_q, each};
        for (std::size_t k = 0; k < state.asked.size(); ++k) {
            auto q = state.networks.forward_target(state.asked[k], rows);
            std::copy(q.begin(), q.end(), values[std::int64_t(k)].begin());
        }
        state.least.resize(static_cast<std::size_t>(batch.tokens()));
        find_next(run, values, std::span<Real>(state.least));
        state.y.resize(state.least.size());
        target.target(run.backend, batch, std::span<const Real>(state.least), std::span<Real>(state.y));
    }
    template <class RunType, class Real>
    void find_next(RunType& run, critic::Rows<Real> values, std::span<Real> next) const {
        critic::Rows<const Real> q{values.values, values.width};
        if constexpr (requires { target.value(run.backend, q, next); }) {
            target.value(run.backend, q, next);
        } else {
            std::fill(next.begin(), next.end(), std::numeric_limits<Real>::infinity());
            for (std::int64_t k = 0; k < q.count(); ++k)
                for (std::size_t i = 0; i < next.size(); ++i) next[i] = std::min(next[i], q[k][i]);
        }
    }

    /// The mean over trainable rows; grad = its derivative by q.
    template <class BatchType, class Real>
    static double squared_error(const BatchType& batch, std::span<const Real> q, std::span<const Real> y,
                                std::vector<Real>& grad) {
        std::int64_t count = 0;
        for (std::int64_t t = 0; t < batch.tokens(); ++t) count += roars::detail::trainable<col::mask>(batch, t);
        grad.assign(q.size(), Real(0));
        double loss = 0;
        for (std::size_t t = 0; t < q.size(); ++t) {
            if (!roars::detail::trainable<col::mask>(batch, std::int64_t(t))) continue;
            double error = double(q[t]) - double(y[t]);
            loss += error * error / double(count);
            grad[t] = static_cast<Real>(2.0 * error / double(count));
        }
        return loss;
    }
    template <class BatchType, class Real>
    static double squared_error(const BatchType& batch, std::span<Real> q, const std::vector<Real>& y,
                                std::vector<Real>& grad) {
        return squared_error(batch, std::span<const Real>(q), std::span<const Real>(y), grad);
    }

    /// Adds dQ / d policy_action to q_gradient, or sets it.
    template <bool add, class Real, class BatchType>
    void take_action_part(const StateOf<Real>& state, BatchType& batch, std::int64_t inputs) const {
        const std::int64_t width = batch.width(col::q_gradient{});
        Real* to = batch[col::q_gradient{}].data();
        for (std::int64_t t = 0; t < batch.tokens(); ++t) {
            std::span<const Real> seen = batch.row(col::state{}, t), action = batch.row(col::policy_action{}, t);
            auto by_shown = std::span<const Real>(state.grad_rows)
                                .subspan(static_cast<std::size_t>(t * inputs), static_cast<std::size_t>(inputs));
            for (std::int64_t j = 0; j < width; ++j) {
                Real slope = shown.by_action(seen, action, by_shown, static_cast<std::size_t>(j));
                to[t * width + j] = add ? to[t * width + j] + slope : slope;
            }
        }
    }
    template <bool add, class Real, class BatchType>
    void climb_member(StateOf<Real>& state, BatchType& batch, std::int64_t member, std::span<const Real> rows) const {
        state.grad_rows.resize(rows.size());
        state.networks.backward_inputs(member, state.grad, state.grad_rows);
        take_action_part<add>(state, batch, std::ssize(rows) / batch.tokens());
    }

    template <class Real, class BatchType>
    void climb_first(StateOf<Real>& state, BatchType& batch, std::span<const Real> rows) const {
        auto q = state.networks.forward(0, rows);
        std::copy(q.begin(), q.end(), batch[col::q{}].begin());
        state.grad.assign(q.size(), Real(1));
        climb_member<false>(state, batch, 0, rows);
    }
    /// Of equal ones the first.
    template <class Real, class BatchType>
    void climb_least(StateOf<Real>& state, BatchType& batch, std::span<const Real> rows) const {
        critic::climb_least<Real>(state.networks, rows, batch[col::q{}], state.chosen, state.grad, [&](std::int64_t k) {
            if (k == 0)
                climb_member<false>(state, batch, k, rows);
            else
                climb_member<true>(state, batch, k, rows);
        });
    }
    template <class Real, class BatchType>
    void climb_mean(StateOf<Real>& state, BatchType& batch, std::span<const Real> rows) const {
        auto mean = batch[col::q{}];
        const Real share = Real(1) / static_cast<Real>(state.networks.members());
        for (std::int64_t k = 0; k < state.networks.members(); ++k) {
            auto q = state.networks.forward(k, rows);
            for (std::size_t t = 0; t < q.size(); ++t) mean[t] = (k == 0 ? Real(0) : mean[t]) + share * q[t];
            state.grad.assign(q.size(), share);
            if (k == 0)
                climb_member<false>(state, batch, k, rows);
            else
                climb_member<true>(state, batch, k, rows);
        }
    }
};
template <class Target, class Penalty, class Shown>
ROARS_FIELDS_OF((ActionCritics<Target, Penalty, Shown>), network, critics, step, polyak, target, penalty, shown)

}  // namespace roars::advantage
