#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/columns.hpp"
#include "roars/error.hpp"
#include "roars/fields.hpp"
#include "roars/random.hpp"
#include "roars/tasks/tabular_task.hpp"

namespace roars::tasks {

struct TemptationSettings {
    std::int64_t types = 4;
    std::int64_t paths = 6;
    std::int64_t hints = 3;
    double temptation = 8;           ///< start logit of path 0, which is always wrong
    double hint_logit = -5;          ///< of each hint
    double second_temptation = 0.5;  ///< of path 0 behind a hint
};
ROARS_FIELDS(TemptationSettings, types, paths, hints, temptation, hint_logit, second_temptation)

/// A choice that own sampling hardly escapes: a path, then an answer (action 0) or a hint (action h), behind which a
/// path is chosen anew and is the answer. Right is one path of each type, never the tempting one. Each hint is one
/// token. One row for a type, for every path taken, and for every path behind a hint. Brings reopens. Source: made for
/// the measured experiment of REX-RAG, arXiv 2508.08149.
class Temptation {
public:
    using gives = columns<col::reopens>;

    explicit Temptation(const TemptationSettings& settings = {}, std::uint64_t seed = 0) : settings_(settings) {
        expect(settings.types >= 1 && settings.paths >= 2 && settings.hints >= 1, [&] {
            return "temptation: " + std::to_string(settings.types) + " types, " + std::to_string(settings.paths) +
                   " paths and " + std::to_string(settings.hints) + " hints, expected 1, 2 and 1 or more";
        });
        RandomStream draw{Random(seed, Purpose::task)};
        for (std::int64_t type = 0; type < settings.types; ++type) right_.push_back(1 + draw.below(settings.paths - 1));
        for (std::int64_t row = 0; row < rows(); ++row) {
            const std::int64_t state = row % states_with_a_choice();
            for (std::int64_t a = 0; a < actions(); ++a) logits_.push_back(start_logit(state, a));
        }
        for (std::int64_t h = 0; h < settings.hints; ++h) {
            hint_tokens_.push_back(static_cast<std::int32_t>(h + 1));
            hint_offsets_.push_back(h + 1);
        }
    }

    const TemptationSettings& settings() const { return settings_; }
    std::int64_t prompts() const { return settings_.types; }
    std::int64_t rows() const { return settings_.types * states_with_a_choice(); }
    std::int64_t actions() const { return std::max(settings_.paths, settings_.hints + 1); }
    std::int64_t states() const { return states_with_a_choice() + settings_.paths; }
    std::int64_t longest_answer() const { return 3; }
    std::span<const double> start_logits() const { return logits_; }

    // State 0: nothing chosen; 1 + p: path p; 1 + paths + p: a hint behind path p; 1 + 2 paths + p: p is the answer.
    std::int64_t start(std::int64_t) const { return 0; }
    std::int64_t row(std::int64_t prompt, std::int64_t state) const {
        return state < states_with_a_choice() ? prompt * states_with_a_choice() + state : -1;
    }
    std::int64_t next(std::int64_t, std::int64_t state, std::int64_t action) const {
        if (state == 0) return 1 + action;
        if (state > settings_.paths) return states_with_a_choice() + action;
        return action == 0 ? state + 2 * settings_.paths : state + settings_.paths;
    }
    bool truncated(std::int64_t, std::int64_t) const { return false; }
    double success(std::int64_t prompt, std::int64_t state) const {
        return state - states_with_a_choice() == right_[static_cast<std::size_t>(prompt)] ? 1.0 : 0.0;
    }
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream&) const { return success(prompt, state); }
    /// Before its answer an answer without a hint could have had one.
    double tell(col::reopens, std::int64_t, std::span<const std::int32_t> actions, std::int64_t, RandomStream&) const {
        return actions.size() == 2 ? 1.0 : 0.0;
    }
    /// The path it ends with.
    std::int32_t answer(std::int64_t, std::span<const std::int32_t> actions) const {
        return actions[actions.size() == 2 ? 0 : 2];
    }
    std::vector<std::int32_t> solution(std::int64_t prompt) const {
        return {static_cast<std::int32_t>(right_[static_cast<std::size_t>(prompt)]), 0};
    }
    std::span<const std::int32_t> hint_tokens() const { return hint_tokens_; }
    std::span<const std::int64_t> hint_offsets() const { return hint_offsets_; }

private:
    std::int64_t states_with_a_choice() const { return 1 + 2 * settings_.paths; }
    double start_logit(std::int64_t state, std::int64_t action) const {
        const bool after_path = 1 <= state && state <= settings_.paths;
        if (action >= (after_path ? settings_.hints + 1 : settings_.paths)) return forbidden_logit;
        if (after_path) return action == 0 ? 0.0 : settings_.hint_logit;
        if (action != 0) return 0.0;
        return state == 0 ? settings_.temptation : settings_.second_temptation;
    }

    TemptationSettings settings_;
    std::vector<std::int64_t> right_;
    std::vector<double> logits_;
    std::vector<std::int32_t> hint_tokens_;
    std::vector<std::int64_t> hint_offsets_{0};
};
static_assert(TabularTask<Temptation>);

}  // namespace roars::tasks
