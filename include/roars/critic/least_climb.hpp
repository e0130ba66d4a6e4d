#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/critic/ensemble.hpp"

namespace roars::critic {

/// q = min_k Q_k of rows that an ensemble's networks are shown, of equal ones the first's. Then climb(k) for every
/// member: `grad` is 1 for the rows where it is the least, 0 for the others. Shapes: q, chosen, grad [rows].
template <class Real, class Climb>
void climb_least(Ensemble<Real>& networks, std::span<const Real> rows, std::span<Real> q,
                 std::vector<std::int64_t>& chosen, std::vector<Real>& grad, Climb&& climb) {
    chosen.assign(q.size(), 0);
    for (std::int64_t k = 0; k < networks.members(); ++k) {
        auto own = networks.forward(k, rows);
        for (std::size_t t = 0; t < q.size(); ++t)
            if (k == 0 || own[t] < q[t]) {
                q[t] = own[t];
                chosen[t] = k;
            }
    }
    grad.resize(q.size());
    for (std::int64_t k = 0; k < networks.members(); ++k) {
        for (std::size_t t = 0; t < q.size(); ++t) grad[t] = Real(chosen[t] == k);
        climb(k);
    }
}

/// Memory of least_climb between two calls.
template <class Real>
struct LeastClimbMemory {
    std::vector<Real> rows, grad, grad_rows;
    std::vector<std::int64_t> chosen;
};

/// q = min_k Q_k(state, action), and dq / daction. Shapes: state [rows x states], action, q_by_action [rows x actions],
/// q [rows].
template <class Real>
void least_climb(Ensemble<Real>& networks, std::span<const Real> state, std::int64_t states,
                 std::span<const Real> action, std::int64_t actions, std::span<Real> q, std::span<Real> q_by_action,
                 LeastClimbMemory<Real>& memory) {
    auto rows = join_rows<Real>(state, states, action, actions, memory.rows);
    std::fill(q_by_action.begin(), q_by_action.end(), Real(0));
    memory.grad_rows.resize(rows.size());
    climb_least<Real>(networks, rows, q, memory.chosen, memory.grad, [&](std::int64_t k) {
        networks.backward_inputs(k, memory.grad, memory.grad_rows);
        const auto width = static_cast<std::size_t>(states + actions), own = static_cast<std::size_t>(actions);
        for (std::size_t t = 0; t < q.size(); ++t)
            for (std::size_t j = 0; j < own; ++j)
                q_by_action[t * own + j] += memory.grad_rows[t * width + static_cast<std::size_t>(states) + j];
    });
}

}  // namespace roars::critic
