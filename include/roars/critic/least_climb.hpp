#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/critic/ensemble.hpp"

namespace roars::critic {

/// Memory of LeastClimb between two calls.
template <class Real>
struct LeastClimbMemory {
    std::vector<Real> rows, grad, grad_rows;
    std::vector<std::int64_t> chosen;
};

/// q = min_k Q_k(state, action) of an ensemble's networks, and dq / daction, of equal ones the first's. Shapes: state
/// [rows x states], action, q_by_action [rows x actions], q [rows].
template <class Real>
void least_climb(Ensemble<Real>& networks, std::span<const Real> state, std::int64_t states,
                 std::span<const Real> action, std::int64_t actions, std::span<Real> q, std::span<Real> q_by_action,
                 LeastClimbMemory<Real>& memory) {
    auto rows = join_rows<Real>(state, states, action, actions, memory.rows);
    memory.chosen.assign(q.size(), 0);
    for (std::int64_t k = 0; k < networks.members(); ++k) {
        auto own = networks.forward(k, rows);
        for (std::size_t t = 0; t < q.size(); ++t)
            if (k == 0 || own[t] < q[t]) {
                q[t] = own[t];
                memory.chosen[t] = k;
            }
    }
    std::fill(q_by_action.begin(), q_by_action.end(), Real(0));
    memory.grad_rows.resize(rows.size());
    for (std::int64_t k = 0; k < networks.members(); ++k) {
        memory.grad.resize(q.size());
        for (std::size_t t = 0; t < q.size(); ++t) memory.grad[t] = Real(memory.chosen[t] == k);
        networks.backward_inputs(k, memory.grad, memory.grad_rows);
        const auto width = static_cast<std::size_t>(states + actions), own = static_cast<std::size_t>(actions);
        for (std::size_t t = 0; t < q.size(); ++t)
            for (std::size_t j = 0; j < own; ++j)
                q_by_action[t * own + j] += memory.grad_rows[t * width + static_cast<std::size_t>(states) + j];
    }
}

}  // namespace roars::critic
