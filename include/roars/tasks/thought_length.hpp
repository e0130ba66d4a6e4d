#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/fields.hpp"
#include "roars/tasks/tabular_task.hpp"

namespace roars::tasks {

struct ThoughtLengthSettings {
    std::int64_t classes = 4;      ///< of problems; class c, from 0, needs c + 1 units of thought
    std::int64_t lengths = 8;      ///< thoughts of 0 to lengths - 1 units, all as likely at the start
    std::int64_t conclusions = 8;  ///< of which one is right
    double skill = 1.0;            ///< class 0 concludes rightly with probability sigmoid(skill) at the start
    double skill_step = -1.0;      ///< the skill of a class, less that of the one before
};
ROARS_FIELDS(ThoughtLengthSettings, classes, lengths, conclusions, skill, skill_step)

/// How long to think before concluding: the first token says how many units of thought follow, then those are written,
/// a token each, then one of several conclusions. Right: the right conclusion behind at least as much thought as the
/// class needs. An answer has 2 tokens more than its thought. One row for every (class, length or conclusion); a unit
/// of thought has no choice. There are many wrong conclusions, so that the right one's logit learns nearly alone.
/// Source: the measured experiment of Observe-R1, arXiv 2505.12432.
class ThoughtLength {
public:
    explicit ThoughtLength(const ThoughtLengthSettings& settings = {}, std::uint64_t seed = 0) : settings_(settings) {
        expect(settings_.classes > 0 && settings_.lengths > settings_.classes && settings_.conclusions > 1, [&] {
            return "thought length: " + std::to_string(settings_.classes) + " classes, " +
                   std::to_string(settings_.lengths) + " lengths and " + std::to_string(settings_.conclusions) +
                   " conclusions, expected a class or more, more lengths than classes, and 2 conclusions or more";
        });
        RandomStream stream{Random(seed, Purpose::task)};
        logits_.assign(static_cast<std::size_t>(rows() * actions()), forbidden_logit);
        for (std::int64_t prompt = 0; prompt < settings_.classes; ++prompt) {
            right_.push_back(static_cast<std::int32_t>(stream.below(settings_.conclusions)));
            auto at = [&](std::int64_t which) {
                return logits_.begin() + (rows_of_class * prompt + which) * actions();
            };
            std::fill_n(at(choosing), settings_.lengths, 0.0);
            *at(thinking) = 0.0;
            std::fill_n(at(concluding), settings_.conclusions, 0.0);
            at(concluding)[right_.back()] =
                settings_.skill + settings_.skill_step * double(prompt) + std::log(double(settings_.conclusions - 1));
        }
    }

    const ThoughtLengthSettings& settings() const { return settings_; }

    std::int64_t prompts() const { return settings_.classes; }
    std::int64_t rows() const { return rows_of_class * settings_.classes; }
    std::int64_t actions() const { return std::max(settings_.lengths, settings_.conclusions); }
    std::int64_t states() const { return first_ending() + 2 * settings_.lengths; }
    std::int64_t longest_answer() const { return settings_.lengths + 1; }
    std::span<const double> start_logits() const { return logits_; }

    /// State 0: nothing said; 1 + lengths l + k: k of l units thought; first_ending + 2 l + 1 or 0: concluded rightly
    /// or not behind l units.
    std::int64_t start(std::int64_t) const { return 0; }
    std::int64_t row(std::int64_t prompt, std::int64_t state) const {
        if (state >= first_ending()) return -1;
        const auto which = state == 0 ? choosing : units(state) < thought(state) ? thinking : concluding;
        return rows_of_class * prompt + which;
    }
    std::int64_t next(std::int64_t prompt, std::int64_t state, std::int64_t action) const {
        if (state == 0) return 1 + settings_.lengths * action;
        if (units(state) < thought(state)) return state + 1;
        return first_ending() + 2 * thought(state) + (action == right_[static_cast<std::size_t>(prompt)] ? 1 : 0);
    }
    bool truncated(std::int64_t, std::int64_t) const { return false; }
    double success(std::int64_t prompt, std::int64_t state) const {
        const std::int64_t ending = state - first_ending();
        return ending % 2 == 1 && ending / 2 > prompt ? 1.0 : 0.0;
    }
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream&) const { return success(prompt, state); }
    /// The thought's length and the conclusion.
    std::int32_t answer(std::int64_t, std::span<const std::int32_t> actions_taken) const {
        return actions_taken.front() * static_cast<std::int32_t>(actions()) + actions_taken.back();
    }
    /// As short as may be.
    std::vector<std::int32_t> solution(std::int64_t prompt) const {
        std::vector<std::int32_t> taken(static_cast<std::size_t>(prompt + 3), 0);
        taken.front() = static_cast<std::int32_t>(prompt + 1);
        taken.back() = right_[static_cast<std::size_t>(prompt)];
        return taken;
    }

private:
    static constexpr std::int64_t rows_of_class = 3, choosing = 0, thinking = 1, concluding = 2;

    std::int64_t first_ending() const { return 1 + settings_.lengths * settings_.lengths; }
    std::int64_t thought(std::int64_t state) const { return (state - 1) / settings_.lengths; }
    std::int64_t units(std::int64_t state) const { return (state - 1) % settings_.lengths; }

    ThoughtLengthSettings settings_;
    std::vector<std::int32_t> right_;  ///< conclusion of each class
    std::vector<double> logits_;
};
static_assert(TabularTask<ThoughtLength>);

}  // namespace roars::tasks
