#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/fields.hpp"
#include "roars/tasks/tabular_task.hpp"

namespace roars::tasks {

struct StopTimeSettings {
    std::int64_t classes = 4;   ///< of prompts; class c needs about first_difficulty + c * difficulty_step tokens
    std::int64_t limit = 16;    ///< an answer that has not stopped after as many tokens is cut
    double start_logit = -6.0;  ///< of stopping
    double first_difficulty = 3.0;
    double difficulty_step = 3.0;
    double steepness = 1.0;  ///< how sharply an answer becomes right at its difficulty
    double ceiling = 1.0;    ///< the chance of the longest thought to be right
};
ROARS_FIELDS(StopTimeSettings, classes, limit, start_logit, first_difficulty, difficulty_step, steepness, ceiling)

/// How long to think: at every position the policy goes on (action 0) or stops (action 1). An answer of n tokens, the
/// stopping one among them, is right with probability ceiling sigmoid(steepness (n - difficulty of its class)); a cut
/// one never. One row for every (class, position). Both logits of a row learn, so that their difference moves as fast
/// again as one.
class StopTime {
public:
    explicit StopTime(const StopTimeSettings& settings = {}, std::uint64_t = 0) : settings_(settings) {
        expect(settings_.classes > 0 && settings_.limit > 0, [&] {
            return "stop time: " + std::to_string(settings_.classes) + " classes and a limit of " +
                   std::to_string(settings_.limit) + " tokens, expected 1 or more of each";
        });
        expect(settings_.ceiling > 0 && settings_.ceiling <= 1, [&] {
            return "stop time: ceiling " + std::to_string(settings_.ceiling) +
                   ", expected a probability above 0: an answer must be able to be right";
        });
        for (std::int64_t row = 0; row < rows(); ++row) logits_.insert(logits_.end(), {0.0, settings_.start_logit});
    }

    const StopTimeSettings& settings() const { return settings_; }
    double difficulty(std::int64_t prompt) const {
        return settings_.first_difficulty + settings_.difficulty_step * double(prompt);
    }

    std::int64_t prompts() const { return settings_.classes; }
    std::int64_t rows() const { return settings_.classes * settings_.limit; }
    std::int64_t actions() const { return 2; }
    std::int64_t states() const { return 2 * settings_.limit + 1; }
    std::int64_t longest_answer() const { return settings_.limit; }
    std::span<const double> start_logits() const { return logits_; }

    /// State t < limit: t tokens so far; limit + t: stopped at token t, counted from 0; 2 limit: cut.
    std::int64_t start(std::int64_t) const { return 0; }
    std::int64_t row(std::int64_t prompt, std::int64_t state) const {
        return state < settings_.limit ? prompt * settings_.limit + state : -1;
    }
    std::int64_t next(std::int64_t, std::int64_t state, std::int64_t action) const {
        if (action == 1) return settings_.limit + state;
        return state + 1 < settings_.limit ? state + 1 : 2 * settings_.limit;
    }
    bool truncated(std::int64_t, std::int64_t state) const { return state == 2 * settings_.limit; }
    double success(std::int64_t prompt, std::int64_t state) const {
        if (truncated(prompt, state)) return 0.0;
        double length = double(state - settings_.limit + 1);
        return settings_.ceiling / (1.0 + std::exp(settings_.steepness * (difficulty(prompt) - length)));
    }
    /// Drawn: 1 with probability success.
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream& noise) const {
        return noise.uniform() < success(prompt, state) ? 1.0 : 0.0;
    }
    /// The length; one more than the limit where the answer was cut.
    std::int32_t answer(std::int64_t, std::span<const std::int32_t> actions) const {
        return static_cast<std::int32_t>(actions.size()) + (actions.back() == 1 ? 0 : 1);
    }
    /// As long as may be: the surest answer.
    std::vector<std::int32_t> solution(std::int64_t) const {
        std::vector<std::int32_t> actions(static_cast<std::size_t>(settings_.limit), 0);
        actions.back() = 1;
        return actions;
    }

private:
    StopTimeSettings settings_;
    std::vector<double> logits_;
};
static_assert(TabularTask<StopTime>);

}  // namespace roars::tasks
