#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/critic/balance_policy.hpp"
#include "roars/critic/ensemble.hpp"
#include "roars/critic/least_climb.hpp"

namespace roars::advantage {

/// What the critics have learnt, and the balance policy beside them.
template <class Base, class Real>
struct StateBalanceState {
    typename Base::template StateOf<Real> base;
    critic::Ensemble<Real> chooser;  ///< state -> mean and log_std of x
    double log_temperature = 0.0;
    step::AdamW::StateOf<double> temperature_moments;
    double loss = 0.0;  ///< of the critics' last step

    ROARS_MEMBERS(StateBalanceState, base, chooser, log_temperature, temperature_moments, loss)

    std::vector<Real> mean, log_std, noise, x_logp, balance, q, q_by_action, q_by_balance, by_mean, by_log_std, grad;
    critic::LeastClimbMemory<Real> climb;
};

/// The critics of Base, and beside them a policy that chooses the balance of each state:
///     critic::BalancePolicy on q = min_k Q_k(s, a(b)), a(b) = balanced_action, dq / db = dq/da . action_by_balance,
/// the policy of the actions a constant; its temperature learns too, from e^0 = initial_temperature. It learns in every
/// iteration, offline and online. To the learner it says by `draw` the balance of each row of a batch, and by `guide`
/// the balance to act by, x = tanh(mean). Shapes: balanced_action, action_by_balance [rows, width]. Source: FamO2O,
/// arXiv 2310.17966, sections 4.2 and 4.3; the order V, Q, balance, T, policy is ours (the code's: Q last).
template <class Base>
struct StateBalance {
    Base base{};
    critic::BalancePolicy balance{};
    critic::NetworkSettings network{};
    step::AdamW step{.learning_rate = 3e-4};
    double initial_temperature = 1.0;  ///< 0: the paper's form, without an entropy
    step::AdamW temperature_step{.learning_rate = 3e-4};

    using needs = unite_t<needs_of<Base>, columns<col::balanced_action, col::action_by_balance>>;
    using gives = gives_of<Base>;
    template <class Real>
    using StateOf = StateBalanceState<Base, Real>;
    using State = StateOf<float>;

    template <class RunType, class Real, class BatchType>
    void learn(RunType& run, StateBalanceState<Base, Real>& own, BatchType& batch) const {
        base.learn(run, own.base, batch);
        own.loss = own.base.loss;
        if (batch.tokens() == 0) return;
        const auto& read = std::as_const(batch);
        const auto rows = static_cast<std::size_t>(batch.tokens());
        own.q.resize(rows);
        own.q_by_action.resize(rows * static_cast<std::size_t>(batch.width(col::balanced_action{})));
        critic::least_climb<Real>(networks(own.base), read[col::state{}], batch.width(col::state{}),
                                  read[col::balanced_action{}], batch.width(col::balanced_action{}), own.q,
                                  own.q_by_action, own.climb);
        own.q_by_balance.assign(rows, Real(0));
        const std::size_t width = own.q_by_action.size() / rows;
        for (std::size_t i = 0; i < own.q_by_action.size(); ++i)
            own.q_by_balance[i / width] += own.q_by_action[i] * read[col::action_by_balance{}][i];
        own.balance.resize(rows);
        draw(run, own, std::span<const Real>(read[col::state{}]), batch.width(col::state{}), std::span(own.balance));
        choose(run, own);
    }
    template <class RunType, class Real, class BatchType>
    void estimate(RunType& run, StateBalanceState<Base, Real>& own, BatchType& batch) const {
        base.estimate(run, own.base, batch);
    }

    /// b = range(tanh(mean + e^log_std noise)) of each state, with the noise of the run's iteration: asked twice, the
    /// same. Shapes: state [rows x width], balance [rows].
    template <class RunType, class Real>
    void draw(RunType& run, StateBalanceState<Base, Real>& own, std::span<const Real> state, std::int64_t width,
              std::span<Real> balances) const {
        ask(own, state, width, run.random.seed());
        own.noise.resize(balances.size());
        own.x_logp.resize(balances.size());
        const Random normal = run.random.of(Purpose::user);
        for (std::size_t i = 0; i < own.noise.size(); ++i)
            own.noise[i] = normal.template normal<Real>(7, static_cast<std::uint32_t>(i));
        balance.template draw<Real>(run.backend, own.mean, own.log_std, own.noise, balances, own.x_logp);
    }
    /// The balance to act by. Shapes: state [rows x width], balance [rows].
    template <class Real>
    void guide(StateBalanceState<Base, Real>& own, std::uint64_t seed, std::span<const Real> state, std::int64_t width,
               std::span<Real> balances) const {
        ask(own, state, width, seed);
        for (std::size_t i = 0; i < balances.size(); ++i)
            balances[i] = static_cast<Real>(balance.range.from_action(std::tanh(double(own.mean[i]))));
    }
    template <class Real>
    double temperature(const StateBalanceState<Base, Real>& own) const {
        return initial_temperature * std::exp(own.log_temperature);
    }

private:
    static constexpr double least_log_std = -20.0, largest_log_std = 2.0;

    template <class BaseState>
    static auto& networks(BaseState& state) {
        if constexpr (requires { state.action_values; })
            return state.action_values;
        else
            return state.networks;
    }
    /// mean and log_std of each state, log_std held within its bounds.
    template <class Real>
    void ask(StateBalanceState<Base, Real>& own, std::span<const Real> state, std::int64_t width,
             std::uint64_t seed) const {
        own.chooser.open(network, 1, width, 2, seed, 6000);
        auto said = own.chooser.forward(0, state);
        own.mean.resize(said.size() / 2);
        own.log_std.resize(said.size() / 2);
        for (std::size_t i = 0; i < own.mean.size(); ++i) {
            own.mean[i] = said[2 * i];
            own.log_std[i] = std::clamp(said[2 * i + 1], Real(least_log_std), Real(largest_log_std));
        }
    }
    /// A step of the balance policy and one of its temperature.
    template <class RunType, class Real>
    void choose(RunType& run, StateBalanceState<Base, Real>& own) const {
        const double t = temperature(own);
        own.by_mean.resize(own.mean.size());
        own.by_log_std.resize(own.mean.size());
        balance.template loss<Real>(run.backend, t, own.mean, own.log_std, own.noise, own.q, own.q_by_balance,
                                    own.by_mean, own.by_log_std);
        own.grad.resize(2 * own.mean.size());
        for (std::size_t i = 0; i < own.mean.size(); ++i) {
            const bool inside = own.log_std[i] > Real(least_log_std) && own.log_std[i] < Real(largest_log_std);
            own.grad[2 * i] = own.by_mean[i];
            own.grad[2 * i + 1] = inside ? own.by_log_std[i] : Real(0);
        }
        own.chooser.zero_gradients();
        own.chooser.backward(0, own.grad);
        own.chooser.step(step);
        double slope = balance.temperature_loss(t, balance.template entropy<Real>(run.backend, own.x_logp));
        temperature_step.step(own.temperature_moments, std::span(&own.log_temperature, 1), std::span(&slope, 1));
    }
};
template <class Base>
ROARS_FIELDS_OF((StateBalance<Base>), base, balance, network, step, initial_temperature, temperature_step)

}  // namespace roars::advantage
