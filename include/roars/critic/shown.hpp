#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/critic/ensemble.hpp"
#include "roars/fields.hpp"

/// What a critic of (state, action) is shown:
///     inputs(states, actions)                 how many numbers, of so many of each
///     rows(state, states, action, actions, memory)      what is shown, row by row, in `memory`
///     by_action(state, action, by_shown, j)   d q / d action_j of one row from d q / d (what was shown)
namespace roars::critic::shown {

/// [state | action], as it is.
struct StateAndAction {
    std::int64_t inputs(std::int64_t states, std::int64_t actions) const { return states + actions; }
    template <class Real>
    std::span<const Real> rows(std::span<const Real> state, std::int64_t states, std::span<const Real> action,
                               std::int64_t actions, std::vector<Real>& memory) const {
        return join_rows<Real>(state, states, action, actions, memory);
    }
    template <class Real>
    Real by_action(std::span<const Real> state, std::span<const Real>, std::span<const Real> by_shown,
                   std::size_t j) const {
        return by_shown[state.size() + j];
    }
};
ROARS_FIELDS(StateAndAction)

/// The state ends with a base policy's action b, and the action a is a correction of it. The critic is shown the state
/// without b, and what is executed, clip(b + action_scale a, -1, 1); the clip passes a gradient only where the sum is
/// within its bounds. Source: ResFiT, arXiv 2509.19301.
struct CorrectedAction {
    double action_scale = 0.2;

    using needs_base_policy = void;
    std::int64_t inputs(std::int64_t states, std::int64_t) const { return states; }
    template <class Real>
    std::span<const Real> rows(std::span<const Real> state, std::int64_t states, std::span<const Real> action,
                               std::int64_t actions, std::vector<Real>& memory) const {
        memory.assign(state.begin(), state.end());
        for (std::size_t i = 0; i < action.size(); ++i) {
            auto row = i / static_cast<std::size_t>(actions), j = i % static_cast<std::size_t>(actions);
            Real& base =
                memory[row * static_cast<std::size_t>(states) + static_cast<std::size_t>(states - actions) + j];
            base = executed(base, action[i]);
        }
        return memory;
    }
    template <class Real>
    Real executed(Real base, Real action) const {
        return static_cast<Real>(std::clamp(double(base) + action_scale * double(action), -1.0, 1.0));
    }
    template <class Real>
    Real by_action(std::span<const Real> state, std::span<const Real> action, std::span<const Real> by_shown,
                   std::size_t j) const {
        std::size_t at = state.size() - action.size() + j;
        double sum = double(state[at]) + action_scale * double(action[j]);
        return sum >= -1.0 && sum <= 1.0 ? static_cast<Real>(action_scale * double(by_shown[at])) : Real(0);
    }
};
ROARS_FIELDS(CorrectedAction, action_scale)

}  // namespace roars::critic::shown
