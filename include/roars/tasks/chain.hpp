#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/fields.hpp"
#include "roars/tasks/tabular_task.hpp"

namespace roars::tasks {

struct ChainSettings {
    std::int64_t steps = 8;
    std::int64_t places = 6;
    std::int64_t actions = 4;
};
ROARS_FIELDS(ChainSettings, steps, places, actions)

/// A walk of `steps` moves between places: action a leads from place p to a random, fixed place; the answer is right
/// if it ends in the goal. One prompt a starting place, from each of which the goal can be reached. The policy has a
/// row for every (step, place), shared by all prompts; all start logits are 0.
class Chain {
public:
    explicit Chain(const ChainSettings& settings = {}, std::uint64_t seed = 0) : settings_(settings) {
        const auto& s = settings_;
        expect(s.steps > 0 && s.places > 0 && s.actions > 0, [&] {
            return "chain: " + std::to_string(s.steps) + " steps, " + std::to_string(s.places) + " places and " +
                   std::to_string(s.actions) + " actions, expected 1 or more of each";
        });
        logits_.resize(static_cast<std::size_t>(rows() * actions()));
        RandomStream stream{Random(seed, Purpose::task)};
        constexpr int patience = 10000;
        int draws = 0;
        do {
            expect(draws++ < patience, [&] {
                return "chain: the goal was not to be reached from every place in any of " + std::to_string(patience) +
                       " drawings, expected more steps or actions, or fewer places";
            });
            draw(stream);
        } while (!std::all_of(solvable_.begin(), solvable_.begin() + s.places, [](char each) { return each != 0; }));
    }

    /// What a state is worth does not depend on where the walk began.
    static constexpr bool states_are_shared = true;

    const ChainSettings& settings() const { return settings_; }
    std::int64_t goal() const { return goal_; }

    std::int64_t prompts() const { return settings_.places; }
    std::int64_t rows() const { return settings_.steps * settings_.places; }
    std::int64_t actions() const { return settings_.actions; }
    std::int64_t states() const { return rows() + settings_.places; }
    std::int64_t longest_answer() const { return settings_.steps; }
    std::span<const double> start_logits() const { return logits_; }

    /// State: step * places + place.
    std::int64_t start(std::int64_t prompt) const { return prompt; }
    std::int64_t row(std::int64_t, std::int64_t state) const { return state < rows() ? state : -1; }
    std::int64_t next(std::int64_t, std::int64_t state, std::int64_t action) const {
        return (state / settings_.places + 1) * settings_.places + move(state % settings_.places, action);
    }
    bool truncated(std::int64_t, std::int64_t) const { return false; }
    double success(std::int64_t, std::int64_t state) const { return state == rows() + goal_ ? 1.0 : 0.0; }
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream&) const { return success(prompt, state); }
    /// The place where the walk ends.
    std::int32_t answer(std::int64_t prompt, std::span<const std::int32_t> actions) const {
        std::int64_t place = prompt;
        for (std::int32_t action : actions) place = move(place, action);
        return static_cast<std::int32_t>(place);
    }
    /// In every place the lowest action from which the goal can still be reached.
    std::vector<std::int32_t> solution(std::int64_t prompt) const {
        std::vector<std::int32_t> moves;
        for (std::int64_t state = start(prompt); row(prompt, state) >= 0;) {
            std::int32_t action = 0;
            while (!solvable_[static_cast<std::size_t>(next(prompt, state, action))]) ++action;
            moves.push_back(action);
            state = next(prompt, state, action);
        }
        return moves;
    }

private:
    std::int64_t move(std::int64_t place, std::int64_t action) const {
        return moves_[static_cast<std::size_t>(place * settings_.actions + action)];
    }

    void draw(RandomStream& stream) {
        moves_.resize(static_cast<std::size_t>(settings_.places * settings_.actions));
        for (auto& place : moves_) place = stream.below(settings_.places);
        goal_ = stream.below(settings_.places);
        solvable_.assign(static_cast<std::size_t>(states()), 0);
        solvable_[static_cast<std::size_t>(rows() + goal_)] = 1;
        for (std::int64_t state = rows() - 1; state >= 0; --state)
            for (std::int64_t action = 0; action < settings_.actions; ++action)
                if (solvable_[static_cast<std::size_t>(next(0, state, action))])
                    solvable_[static_cast<std::size_t>(state)] = 1;
    }

    ChainSettings settings_;
    std::int64_t goal_ = 0;
    std::vector<std::int64_t> moves_;  ///< [places x actions]
    std::vector<char> solvable_;       ///< [states]
    std::vector<double> logits_;
};
static_assert(TabularTask<Chain>);

}  // namespace roars::tasks
