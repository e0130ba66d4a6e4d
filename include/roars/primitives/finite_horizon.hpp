#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "roars/error.hpp"

namespace roars {

/// The shape of tables over a finite problem of `horizon` steps that differ from step to step: step h, state s, action
/// a and next state s' stand in row-major order, [horizon, states, actions, states] or a table with fewer of these.
struct FiniteHorizon {
    std::int64_t horizon = 0;
    std::int64_t states = 0;
    std::int64_t actions = 0;

    /// Errors: not three sizes.
    template <class Sizes>
    static FiniteHorizon of(const char* whose, const Sizes& sizes) {
        expect(sizes.size() == 3,
               [&] { return std::string(whose) + ": the problem's shape is horizon, states, actions"; });
        return {sizes[0], sizes[1], sizes[2]};
    }

    std::size_t step_states() const { return static_cast<std::size_t>(horizon * states); }
    std::size_t step_actions() const { return step_states() * static_cast<std::size_t>(actions); }
    std::size_t transitions() const { return step_actions() * static_cast<std::size_t>(states); }

    std::size_t at(std::int64_t h, std::int64_t s) const { return static_cast<std::size_t>(h * states + s); }
    std::size_t at(std::int64_t h, std::int64_t s, std::int64_t a) const {
        return static_cast<std::size_t>((h * states + s) * actions + a);
    }
    std::size_t at(std::int64_t h, std::int64_t s, std::int64_t a, std::int64_t next) const {
        return static_cast<std::size_t>(((h * states + s) * actions + a) * states + next);
    }

    /// Errors: a table of another size.
    void check(const char* what, std::size_t size, std::size_t expected) const {
        expect(size == expected, [&] {
            return std::string(what) + " has " + std::to_string(size) + " values, expected " +
                   std::to_string(expected) + " for " + std::to_string(horizon) + " steps, " + std::to_string(states) +
                   " states and " + std::to_string(actions) + " actions";
        });
    }
};

}  // namespace roars
