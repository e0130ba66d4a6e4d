#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "roars/critic/rows.hpp"
#include "roars/critic/steps.hpp"
#include "roars/fields.hpp"

namespace roars::critic {

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
            auto online = q_online[row];
            auto best = static_cast<std::size_t>(std::max_element(online.begin(), online.end()) - online.begin());
            bool ends = terminated[i] != Real(0);
            target[i] = static_cast<Real>(
                one_step_target(double(reward[i]), gamma, ends, ends ? 0.0 : double(q_target[row][best])));
        });
    }
};
ROARS_FIELDS(DoubleQ, gamma)

}  // namespace roars::critic
