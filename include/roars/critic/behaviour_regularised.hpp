#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "roars/critic/rows.hpp"
#include "roars/critic/steps.hpp"
#include "roars/fields.hpp"

namespace roars::critic {

/// y = r + gamma (1 - terminated) (min(q1, q2) - beta sum over dimensions of (a' - next_action)^2): TwinDelayed's
/// target with a price for a policy's next action a' that is away from the one that the data took next. Beside it the
/// policy's loss is surrogate::NormalisedClimb (alpha = 1) + regularizer::BehaviourCloning, whose mean over dimensions
/// times their number is the paper's sum. Shapes: q1, q2, reward, terminated, target [rows], policy_action, next_action
/// [rows, width]. Source: ReBRAC, arXiv 2305.09836.
struct BehaviourRegularised {
    double gamma = 0.99;
    double beta = 0.01;

    template <class Real>
    void target(backend::Host& backend, std::span<const Real> reward, std::span<const Real> terminated,
                std::span<const Real> q1, std::span<const Real> q2, Rows<const Real> policy_action,
                Rows<const Real> next_action, std::span<Real> target) const {
        parallel_for(backend, std::ssize(target), [&](std::int64_t row) {
            auto i = static_cast<std::size_t>(row);
            bool ends = terminated[i] != Real(0);
            double next = 0.0;
            if (!ends) {
                auto policy = policy_action[row], taken = next_action[row];
                double away = 0.0;
                for (std::size_t j = 0; j < policy.size(); ++j) {
                    double apart = double(policy[j]) - double(taken[j]);
                    away += apart * apart;
                }
                next = std::min(double(q1[i]), double(q2[i])) - beta * away;
            }
            target[i] = static_cast<Real>(one_step_target(double(reward[i]), gamma, ends, next));
        });
    }
};
ROARS_FIELDS(BehaviourRegularised, gamma, beta)

}  // namespace roars::critic
