#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/columns.hpp"
#include "roars/error.hpp"
#include "roars/fields.hpp"
#include "roars/random.hpp"
#include "roars/tasks/tabular_task.hpp"

namespace roars::tasks {

struct SubtasksSettings {
    std::int64_t prompts = 3;
    std::int64_t subtasks = 8;  ///< in their order
    std::int64_t horizon = 12;  ///< steps
    std::int64_t actions = 6;   ///< of which one does the subtask and `impossible` cannot be carried out
    std::int64_t impossible = 2;
    double right_logit = 1.0;     ///< of the right action at the start
    bool binary = false;          ///< the outcome is whether all subtasks are done; else the share of them
    bool ends_when_done = false;  ///< an answer is over with its last subtask; else it goes on without effect
};
ROARS_FIELDS(SubtasksSettings, prompts, subtasks, horizon, actions, impossible, right_logit, binary, ends_when_done)

/// Subtasks, one behind the other: the right action does the next one, any other changes nothing, and the outcome is
/// known at the end alone. Every token is a turn. One row for every (prompt, subtasks done), one value for every
/// (prompt, subtasks done, step). Success is the outcome. Brings executed. Source: the measured experiment of SPA-RL,
/// arXiv 2505.20732.
class Subtasks {
public:
    using gives = columns<col::executed>;

    explicit Subtasks(const SubtasksSettings& settings = {}, std::uint64_t seed = 0) : settings_(settings) {
        const auto& s = settings_;
        expect(
            s.prompts > 0 && s.subtasks > 0 && s.horizon >= s.subtasks && s.impossible >= 0 && s.actions > s.impossible,
            [&] {
                return "subtasks: " + std::to_string(s.prompts) + " prompts, " + std::to_string(s.subtasks) +
                       " subtasks, " + std::to_string(s.horizon) + " steps and " + std::to_string(s.actions) +
                       " actions, " + std::to_string(s.impossible) +
                       " of them impossible, expected 1 or more, as many steps as subtasks, and more actions than "
                       "impossible ones";
            });
        RandomStream stream{Random(seed, Purpose::task)};
        logits_.assign(static_cast<std::size_t>(rows() * s.actions), 0.0);
        for (std::int64_t row = 0; row < rows(); ++row) {
            std::vector<std::int64_t> order(static_cast<std::size_t>(s.actions));
            std::iota(order.begin(), order.end(), 0);
            for (std::size_t i = order.size(); i > 1; --i)
                std::swap(order[i - 1], order[static_cast<std::size_t>(stream.below(std::int64_t(i)))]);
            order_.insert(order_.end(), order.begin(), order.end());
            if (row % (s.subtasks + 1) < s.subtasks)
                logits_[static_cast<std::size_t>(row * s.actions + order.front())] = s.right_logit;
        }
    }

    const SubtasksSettings& settings() const { return settings_; }
    std::int64_t prompts() const { return settings_.prompts; }
    std::int64_t rows() const { return settings_.prompts * per_step(); }
    std::int64_t actions() const { return settings_.actions; }
    std::int64_t states() const { return (settings_.horizon + 1) * per_step(); }
    std::int64_t longest_answer() const { return settings_.horizon; }
    std::span<const double> start_logits() const { return logits_; }

    /// State: step * (subtasks + 1) + subtasks done.
    std::int64_t start(std::int64_t) const { return 0; }
    std::int64_t row(std::int64_t prompt, std::int64_t state) const {
        return ended(state) ? -1 : prompt * per_step() + done(state);
    }
    std::int64_t value_row(std::int64_t prompt, std::int64_t state) const { return prompt * states() + state; }
    std::int64_t value_rows() const { return settings_.prompts * states(); }
    std::int64_t next(std::int64_t prompt, std::int64_t state, std::int64_t action) const {
        const bool advances = done(state) < settings_.subtasks && action == right_action(prompt, done(state));
        return state + per_step() + (advances ? 1 : 0);
    }
    bool truncated(std::int64_t, std::int64_t) const { return false; }
    double success(std::int64_t, std::int64_t state) const {
        if (settings_.binary) return done(state) == settings_.subtasks ? 1.0 : 0.0;
        return double(done(state)) / double(settings_.subtasks);
    }
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream&) const { return success(prompt, state); }
    /// Whether the environment carries the action out.
    bool possible(std::int64_t prompt, std::int64_t state, std::int64_t action) const {
        auto order =
            std::span(order_).subspan(static_cast<std::size_t>((prompt * per_step() + done(state)) * settings_.actions),
                                      static_cast<std::size_t>(settings_.actions));
        return std::find(order.begin(), order.end(), action) - order.begin() < settings_.actions - settings_.impossible;
    }
    double tell(col::executed, std::int64_t prompt, std::span<const std::int32_t> actions, std::int64_t turn,
                RandomStream&) const {
        return possible(prompt, state_behind(prompt, actions.first(static_cast<std::size_t>(turn))),
                        actions[static_cast<std::size_t>(turn)])
                   ? 1.0
                   : 0.0;
    }
    /// The state where the answer ends.
    std::int32_t answer(std::int64_t prompt, std::span<const std::int32_t> actions) const {
        return static_cast<std::int32_t>(state_behind(prompt, actions));
    }
    std::vector<std::int32_t> solution(std::int64_t prompt) const {
        std::vector<std::int32_t> moves;
        for (std::int64_t state = start(prompt); !ended(state); state = next(prompt, state, moves.back()))
            moves.push_back(static_cast<std::int32_t>(right_action(prompt, done(state))));
        return moves;
    }

private:
    std::int64_t per_step() const { return settings_.subtasks + 1; }
    std::int64_t done(std::int64_t state) const { return state % per_step(); }
    bool ended(std::int64_t state) const {
        return state / per_step() == settings_.horizon ||
               (settings_.ends_when_done && done(state) == settings_.subtasks);
    }
    /// The first of an order of the actions; the impossible ones are the last.
    std::int64_t right_action(std::int64_t prompt, std::int64_t subtasks_done) const {
        return order_[static_cast<std::size_t>((prompt * per_step() + subtasks_done) * settings_.actions)];
    }
    std::int64_t state_behind(std::int64_t prompt, std::span<const std::int32_t> actions) const {
        std::int64_t state = start(prompt);
        for (std::int32_t action : actions) state = next(prompt, state, action);
        return state;
    }

    SubtasksSettings settings_;
    std::vector<std::int64_t> order_;  ///< [rows x actions]
    std::vector<double> logits_;
};
static_assert(TabularTask<Subtasks>);

}  // namespace roars::tasks
