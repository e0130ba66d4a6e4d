#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "roars/critic/rows.hpp"
#include "roars/critic/steps.hpp"
#include "roars/fields.hpp"

/// One-step targets from all action values of the next state. Shapes: reward, terminated, target [rows], action values
/// and probabilities [rows, actions]. Behind a termination nothing is read.
namespace roars::critic {

/// sum_a probability_a q_a; an action of probability 0 has no part, whatever its value. Shapes: [actions].
template <class Real>
double expected_value(std::span<Real> probability, std::span<Real> q) {
    double sum = 0.0;
    for (std::size_t a = 0; a < q.size(); ++a)
        if (probability[a] != Real(0)) sum += double(probability[a]) * double(q[a]);
    return sum;
}

/// y = r + gamma (1 - terminated) sum_a pi(a|s') q(s', a): the value of a policy whose probabilities are known, without
/// the noise of a drawn action. With the policy under evaluation it is fitted Q evaluation (FQE, arXiv 1903.08738);
/// with the greedy policy it is Q-learning. Source: Sutton and Barto, eq. 6.9.
struct ExpectedSarsa {
    double gamma = 0.99;

    template <class Real>
    void target(backend::Host& backend, std::span<const Real> reward, std::span<const Real> terminated,
                Rows<const Real> next_probability, Rows<const Real> next_q, std::span<Real> target) const {
        parallel_for(backend, std::ssize(target), [&](std::int64_t row) {
            auto i = static_cast<std::size_t>(row);
            bool ends = terminated[i] != Real(0);
            double next = ends ? 0.0 : expected_value(next_probability[row], next_q[row]);
            target[i] = static_cast<Real>(one_step_target(double(reward[i]), gamma, ends, next));
        });
    }
};
ROARS_FIELDS(ExpectedSarsa, gamma)

/// y = r + gamma (1 - terminated) ((1 - persistence) max_a q(s', a) + persistence q(s', action)), action that of this
/// row: what was chosen is worth more where it is kept, so that values of actions lie farther apart. Shapes: action
/// [rows]. Source: persistent advantage learning, arXiv 1512.04860. Errors: an action that does not exist.
struct PersistentQ {
    double gamma = 0.99;
    double persistence = 0.1;

    template <class Real, class Index>
    void target(backend::Host& backend, std::span<const Real> reward, std::span<const Real> terminated,
                std::span<Index> action, Rows<const Real> next_q, std::span<Real> target) const {
        for (Index each : action)
            expect(each >= 0 && std::int64_t(each) < next_q.width, [&] {
                return "persistent Q: action " + std::to_string(each) + " of " + std::to_string(next_q.width);
            });
        parallel_for(backend, std::ssize(target), [&](std::int64_t row) {
            auto i = static_cast<std::size_t>(row);
            bool ends = terminated[i] != Real(0);
            double next = 0.0;
            if (!ends) {
                auto q = next_q[row];
                next = (1.0 - persistence) * double(*std::max_element(q.begin(), q.end())) +
                       persistence * double(q[static_cast<std::size_t>(action[i])]);
            }
            target[i] = static_cast<Real>(one_step_target(double(reward[i]), gamma, ends, next));
        });
    }
};
ROARS_FIELDS(PersistentQ, gamma, persistence)

}  // namespace roars::critic
