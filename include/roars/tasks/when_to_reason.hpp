#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/columns.hpp"
#include "roars/fields.hpp"
#include "roars/tasks/tabular_task.hpp"

namespace roars::tasks {

struct WhenToReasonSettings {
    std::int64_t first = 0;  ///< of the ten levels of difficulty, the easiest that is asked
    std::int64_t last = 10;  ///< one behind the hardest that is asked
    bool frozen = false;     ///< how well it answers is fixed; else the second token says it, and learns
    double needed = 1.0;     ///< logit of reasoning at the start where it is needed: level 5 and above
    double needless = -2.0;  ///< the same below
};
ROARS_FIELDS(WhenToReasonSettings, first, last, frozen, needed, needless)

/// Whether to reason before an answer: the first token decides it (1 = reason) from a logit of the question's level
/// plus one that all levels share, so that a policy that is trained on hard questions alone forgets when not to. The
/// second one is right (1) or wrong; at the start with log odds that fall with the level, for direct answers from 2.5
/// to -4, behind a reasoning from 3 to 0. Frozen: right with probability 0.97 to 0.03 and 0.98 to 0.75. The table has
/// all ten levels, whichever are asked. Brings reasoned, needs_reasoning, decision. Source: AdaCoT's measured
/// experiments, arXiv 2505.11896.
class WhenToReason {
public:
    static constexpr std::int64_t levels = 10;
    using gives = columns<col::reasoned, col::needs_reasoning, col::decision>;

    explicit WhenToReason(const WhenToReasonSettings& settings = {}, std::uint64_t = 0) : settings_(settings) {
        expect(settings.first >= 0 && settings.first < settings.last && settings.last <= levels, [&] {
            return "when to reason: levels " + std::to_string(settings.first) + " to " + std::to_string(settings.last) +
                   ", expected some of 0 to " + std::to_string(levels);
        });
        logits_.resize(static_cast<std::size_t>(rows() * actions()));
        for (std::int64_t level = 0; level < levels; ++level) {
            logits_[odds_of(level)] = needs_reasoning(level) ? settings.needed : settings.needless;
            logits_[odds_of(levels + level)] = between(level, 2.5, -4.0);
            logits_[odds_of(2 * levels + level)] = between(level, 3.0, 0.0);
        }
    }

    const WhenToReasonSettings& settings() const { return settings_; }
    std::int64_t level(std::int64_t prompt) const { return settings_.first + prompt; }
    static bool needs_reasoning(std::int64_t level) { return 2 * level >= levels; }

    std::int64_t prompts() const { return settings_.last - settings_.first; }
    /// The decision, a direct answer, one behind a reasoning, of each level; and the decision of all.
    std::int64_t rows() const { return 3 * levels + 1; }
    std::int64_t actions() const { return 2; }
    std::int64_t states() const { return 7; }
    std::int64_t longest_answer() const { return settings_.frozen ? 1 : 2; }
    std::span<const double> start_logits() const { return logits_; }

    /// State 0: nothing said; 1 and 2: to answer directly, behind a reasoning; 3 and 4: answered so, wrong; 5 and 6:
    /// right. Frozen: 3 and 4 are right with a probability.
    std::int64_t start(std::int64_t) const { return 0; }
    std::int64_t row(std::int64_t prompt, std::int64_t state) const {
        return state < 3 ? state * levels + level(prompt) : -1;
    }
    std::int64_t shared_row(std::int64_t, std::int64_t state) const { return state == 0 ? 3 * levels : -1; }
    std::int64_t next(std::int64_t, std::int64_t state, std::int64_t action) const {
        if (state == 0) return action + (settings_.frozen ? 3 : 1);
        return state + 2 + 2 * action;
    }
    bool truncated(std::int64_t, std::int64_t) const { return false; }
    double success(std::int64_t prompt, std::int64_t state) const {
        if (!settings_.frozen) return state > 4 ? 1.0 : 0.0;
        return state == 4 ? between(level(prompt), 0.98, 0.75) : between(level(prompt), 0.97, 0.03);
    }
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream& noise) const {
        return noise.uniform() < success(prompt, state) ? 1.0 : 0.0;
    }
    double tell(col::reasoned, std::int64_t, std::span<const std::int32_t> actions, std::int64_t, RandomStream&) const {
        return actions[0];
    }
    double tell(col::needs_reasoning, std::int64_t prompt, std::span<const std::int32_t>, std::int64_t,
                RandomStream&) const {
        return needs_reasoning(level(prompt)) ? 1.0 : 0.0;
    }
    double tell(col::decision, std::int64_t, std::span<const std::int32_t>, std::int64_t token, RandomStream&) const {
        return token == 0 ? 1.0 : 0.0;
    }
    std::int32_t answer(std::int64_t, std::span<const std::int32_t> actions) const {
        return actions[0] + 2 * actions.back();
    }
    std::vector<std::int32_t> solution(std::int64_t) const {
        return std::vector<std::int32_t>(static_cast<std::size_t>(longest_answer()), 1);
    }

private:
    static double between(std::int64_t level, double easiest, double hardest) {
        return easiest + (hardest - easiest) * double(level) / double(levels - 1);
    }
    /// Where the logit of action 1 is; that of action 0 begins at 0.
    static std::size_t odds_of(std::int64_t row) { return static_cast<std::size_t>(2 * row + 1); }

    WhenToReasonSettings settings_;
    std::vector<double> logits_;
};
static_assert(TabularTask<WhenToReason>);

}  // namespace roars::tasks
