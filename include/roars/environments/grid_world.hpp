#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "roars/environments/environment.hpp"
#include "roars/environments/tabular_mdp.hpp"
#include "roars/error.hpp"
#include "roars/fields.hpp"

namespace roars::env {

/// A walk on a map of letters, row by row: S a start, G a goal and H a hole, which end the world, C a cliff, from which
/// one goes on at a start, # a wall, any other letter ground. Who walks off the map or into a wall stays. With
/// probability (1 - success_rate) / 2 each the step goes to one of the two sides instead. The reward is that of the
/// cell one comes to. Action k moves to where moves[k] says: U, R, D, L. Observation: the cell, as a row of zeros with
/// a one. Errors (at reset): a map of another size or without a start, moves that are not four of those letters.
template <int rows, int columns, int limit = 100>
struct GridWorld {
    std::string map;
    std::string moves = "URDL";
    double goal_reward = 1.0;
    double hole_reward = 0.0;
    double cliff_reward = -100.0;
    double step_reward = 0.0;
    double success_rate = 1.0;

    static constexpr int state_count = rows * columns;
    static constexpr int observation_size = state_count;
    static constexpr int action_count = 4;
    static constexpr int max_steps = limit;
    using State = detail::NumberedState;

    void reset(State& state, RandomStream& random) const {
        check();
        state.number = start(random);
    }
    StepResult step(State& state, std::int32_t action, RandomStream& random) const {
        std::int32_t direction = action;
        if (success_rate < 1) {
            std::array<double, 3> chance = chances();
            direction = (action + static_cast<std::int32_t>(detail::draw(chance, random.uniform())) + 3) % 4;
        }
        auto arrived = arrive(state.number, direction);
        state.number = arrived.restart ? start(random) : arrived.cell;
        return {arrived.reward, arrived.terminated};
    }
    template <class Real>
    void observe(const State& state, std::span<Real> to) const {
        detail::one_hot(state.number, to);
    }
    std::int32_t index(const State& state) const { return state.number; }

    void check() const {
        auto fourth = [&](char letter) { return std::count(moves.begin(), moves.end(), letter) == 1; };
        expect(map.size() == std::size_t(state_count) && map.find('S') != std::string::npos, [&] {
            return "grid world: the map '" + map + "' is no " + std::to_string(rows) + " rows of " +
                   std::to_string(columns) + " letters with an S";
        });
        expect(moves.size() == 4 && fourth('U') && fourth('R') && fourth('D') && fourth('L'),
               [&] { return "grid world: moves '" + moves + "', expected U, R, D and L in some order"; });
        expect(success_rate >= 0 && success_rate <= 1,
               [&] { return "grid world: success_rate " + std::to_string(success_rate) + ", expected a probability"; });
    }

    /// The same world as tables, for what is solved exactly.
    TabularMdp<state_count, 4, limit> table() const {
        check();
        TabularMdp<state_count, 4, limit> mdp;
        const double starts = static_cast<double>(std::count(map.begin(), map.end(), 'S'));
        for (char letter : map) mdp.start.push_back(letter == 'S' ? 1 / starts : 0.0);
        mdp.offsets.push_back(0);
        const std::array<double, 3> chance = chances();
        for (std::int32_t cell = 0; cell < state_count; ++cell)
            for (std::int32_t action = 0; action < 4; ++action) {
                for (std::int32_t side = 0; side < 3; ++side) {
                    double p = chance[static_cast<std::size_t>(side)];
                    if (p == 0) continue;
                    auto arrived = arrive(cell, (action + side + 3) % 4);
                    if (!arrived.restart) mdp.add(p, arrived.cell, arrived.reward, arrived.terminated);
                    for (std::int32_t to = 0; arrived.restart && to < state_count; ++to)
                        if (letter(to) == 'S') mdp.add(p / starts, to, arrived.reward, false);
                }
                mdp.offsets.push_back(std::ssize(mdp.probability));
            }
        return mdp;
    }

private:
    struct Arrival {
        std::int32_t cell;
        double reward;
        bool terminated, restart;
    };
    char letter(std::int32_t cell) const { return map[static_cast<std::size_t>(cell)]; }
    static bool is_end(char letter) { return letter == 'G' || letter == 'H'; }
    /// Of the moves before, at and after the action's own.
    std::array<double, 3> chances() const { return {(1 - success_rate) / 2, success_rate, (1 - success_rate) / 2}; }

    Arrival arrive(std::int32_t cell, std::int32_t direction) const {
        if (is_end(letter(cell))) return {cell, 0.0, true, false};
        std::int32_t row = cell / columns, column = cell % columns;
        switch (moves[static_cast<std::size_t>(direction)]) {
            case 'U':
                row = std::max(row - 1, 0);
                break;
            case 'R':
                column = std::min(column + 1, columns - 1);
                break;
            case 'D':
                row = std::min(row + 1, rows - 1);
                break;
            default:
                column = std::max(column - 1, 0);
                break;
        }
        std::int32_t to = row * columns + column;
        if (letter(to) == '#') to = cell;
        switch (letter(to)) {
            case 'G':
                return {to, goal_reward, true, false};
            case 'H':
                return {to, hole_reward, true, false};
            case 'C':
                return {to, cliff_reward, false, true};
            default:
                return {to, step_reward, false, false};
        }
    }
    std::int32_t start(RandomStream& random) const {
        std::int64_t which = std::count(map.begin(), map.end(), 'S');
        which = which > 1 ? random.below(which) : 0;
        std::int32_t cell = 0;
        while (letter(cell) != 'S' || which-- > 0) ++cell;
        return cell;
    }
};
template <int rows, int columns, int limit>
ROARS_FIELDS_OF((GridWorld<rows, columns, limit>), map, moves, goal_reward, hole_reward, cliff_reward, step_reward,
                success_rate)
static_assert(TabularEnvironment<GridWorld<2, 2>>);

/// FrozenLake-v1 and FrozenLake8x8-v1 (Gymnasium's definition): two steps of three go aside.
using FrozenLake = GridWorld<4, 4, 100>;
using FrozenLake8x8 = GridWorld<8, 8, 200>;
inline FrozenLake frozen_lake() { return {.map = "SFFFFHFHFFFHHFFG", .moves = "LDRU", .success_rate = 1.0 / 3.0}; }
inline FrozenLake8x8 frozen_lake_8x8() {
    return {.map = "SFFFFFFFFFFFFFFFFFFHFFFFFFFFFHFFFFFHFFFFFHHFFFHFFHFFHFHFFFFHFFFG",
            .moves = "LDRU",
            .success_rate = 1.0 / 3.0};
}
/// CliffWalking-v1 (Sutton and Barto, example 6.6; Gymnasium's definition): -1 a step, -100 and back for the cliff. No
/// time limit.
using CliffWalking = GridWorld<4, 12, 0>;
inline CliffWalking cliff_walking() {
    return {.map = "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFSCCCCCCCCCCG", .goal_reward = -1.0, .step_reward = -1.0};
}

}  // namespace roars::env
