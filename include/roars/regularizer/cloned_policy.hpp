#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/primitives/finite_horizon.hpp"

namespace roars::regularizer {

/// A reference policy cloned from demonstrations of `horizon` steps, with the logarithmic regulariser that keeps it
/// from ever excluding an action:
///     reference_h(a|s) = (n_h(s, a) + weight) / (n_h(s) + weight A),
/// the minimiser of sum over demonstrations ln 1 / pi_h(a|s) + weight sum_{s,a} ln 1 / pi_h(a|s). Uniform in a state
/// that no demonstration visits. As the regularizer of an algorithm it counts the data's episodes once, and says the
/// reference to whoever plans against it: the divergence is paid there, exactly. Shapes: data of sequences of `horizon`
/// tokens, state, token [tokens]; problem_shape [3] -> reference_policy [horizon, states, actions]. Source: arXiv
/// 2310.17303, eq. 1 (weight 1).
struct ClonedPolicy {
    double weight = 1.0;

    using needs = columns<col::problem_shape>;
    using gives = columns<col::reference_policy>;
    struct State {
        std::vector<double> policy;
        ROARS_MEMBERS(State, policy)
    };

    template <class RunType, class BatchType>
    void on_dataset(RunType&, State& own, const BatchType& data) const {
        const FiniteHorizon shape = shape_of(data);
        std::vector<std::int64_t> state(data[col::state{}].begin(), data[col::state{}].end()),
            action(data[col::token{}].begin(), data[col::token{}].end());
        auto offsets = data.token_offsets();
        for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
            expect(offsets[i + 1] - offsets[i] == shape.horizon, [&] {
                return "demonstrations: demonstration " + std::to_string(i) + " has " +
                       std::to_string(offsets[i + 1] - offsets[i]) + " steps, expected " +
                       std::to_string(shape.horizon);
            });
        own.policy = clone(shape, state, action);
    }
    template <class RunType, class BatchType>
    void shape(RunType&, State& own, BatchType& batch) const {
        if (own.policy.empty()) own.policy = clone(shape_of(batch), {}, {});
        if (batch.width(col::reference_policy{}) != std::ssize(own.policy))
            batch.set_width(col::reference_policy{}, std::ssize(own.policy));
        auto to = batch[col::reference_policy{}];
        for (std::size_t i = 0; i < to.size(); ++i) to[i] = static_cast<typename BatchType::Real>(own.policy[i]);
    }

    /// Shapes: state, action [demonstrations, horizon] -> [horizon, states, actions]. Errors: a weight that is not
    /// above 0, a demonstration of another length, a state or an action that does not exist.
    std::vector<double> clone(const FiniteHorizon& shape, std::span<const std::int64_t> state,
                              std::span<const std::int64_t> action) const {
        expect(weight > 0.0,
               [&] { return "cloned policy: weight is " + std::to_string(weight) + ", expected above 0"; });
        check(shape, state, action);
        std::vector<double> policy(shape.step_actions(), weight);
        for (std::size_t i = 0; i < state.size(); ++i) policy[place(shape, state, action, i)] += 1.0;
        for (std::int64_t h = 0; h < shape.horizon; ++h)
            for (std::int64_t s = 0; s < shape.states; ++s) {
                double sum = 0.0;
                for (std::int64_t a = 0; a < shape.actions; ++a) sum += policy[shape.at(h, s, a)];
                for (std::int64_t a = 0; a < shape.actions; ++a) policy[shape.at(h, s, a)] /= sum;
            }
        return policy;
    }

    /// sum over demonstrations and steps of ln policy_h(a|s). Shapes as above.
    static double log_likelihood(const FiniteHorizon& shape, std::span<const std::int64_t> state,
                                 std::span<const std::int64_t> action, std::span<const double> policy) {
        check(shape, state, action);
        shape.check("policy", policy.size(), shape.step_actions());
        double sum = 0.0;
        for (std::size_t i = 0; i < state.size(); ++i) sum += std::log(policy[place(shape, state, action, i)]);
        return sum;
    }

private:
    template <class BatchType>
    static FiniteHorizon shape_of(const BatchType& batch) {
        return FiniteHorizon::of("cloned policy", batch[col::problem_shape{}]);
    }
    static std::size_t place(const FiniteHorizon& shape, std::span<const std::int64_t> state,
                             std::span<const std::int64_t> action, std::size_t i) {
        return shape.at(static_cast<std::int64_t>(i) % shape.horizon, state[i], action[i]);
    }
    static void check(const FiniteHorizon& shape, std::span<const std::int64_t> state,
                      std::span<const std::int64_t> action) {
        expect(state.size() == action.size() &&
                   (state.empty() || (shape.horizon > 0 && std::ssize(state) % shape.horizon == 0)),
               [&] {
                   return "demonstrations: " + std::to_string(state.size()) + " states and " +
                          std::to_string(action.size()) + " actions, expected as many of each, " +
                          std::to_string(shape.horizon) + " a demonstration";
               });
        for (std::size_t i = 0; i < state.size(); ++i)
            expect(state[i] >= 0 && state[i] < shape.states && action[i] >= 0 && action[i] < shape.actions, [&] {
                return "demonstrations: demonstration " + std::to_string(std::int64_t(i) / shape.horizon) + ", step " +
                       std::to_string(std::int64_t(i) % shape.horizon) + " is state " + std::to_string(state[i]) +
                       ", action " + std::to_string(action[i]) + ", expected states below " +
                       std::to_string(shape.states) + " and actions below " + std::to_string(shape.actions);
            });
    }
};
ROARS_FIELDS(ClonedPolicy, weight)

}  // namespace roars::regularizer
