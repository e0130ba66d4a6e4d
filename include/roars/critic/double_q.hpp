#pragma once

#include <cstdint>
#include <span>

#include "roars/critic/rows.hpp"
#include "roars/critic/steps.hpp"
#include "roars/fields.hpp"

namespace roars::critic {

/// The first of the largest values. Shapes: q [actions], one or more.
template <class Real>
ROARS_FN std::size_t greedy_action(std::span<const Real> q) {
    std::size_t best = 0;
    for (std::size_t a = 1; a < q.size(); ++a)
        if (q[best] < q[a]) best = a;
    return best;
}

/// y = r + gamma (1 - terminated) q_target[arg max_a q_online], the first of equal actions. With q_online = q_target it
/// is DQN's target. Shapes: reward, terminated, target [rows], q_online, q_target [rows, actions]. Source: arXiv
/// 1509.06461.
struct DoubleQ {
    double gamma = 0.99;

    template <class Real>
    void target(backend::Host& backend, std::span<const Real> reward, std::span<const Real> terminated,
                Rows<const Real> q_online, Rows<const Real> q_target, std::span<Real> target) const {
        parallel_for(backend, std::ssize(target), [&](std::int64_t row) {
            auto i = static_cast<std::size_t>(row);
            double next = double(q_target[row][greedy_action(q_online[row])]);
            target[i] = static_cast<Real>(one_step_target(double(reward[i]), gamma, terminated[i] != Real(0), next));
        });
    }
};
ROARS_FIELDS(DoubleQ, gamma)

}  // namespace roars::critic
