#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/fields.hpp"
#include "roars/tasks/tabular_task.hpp"

namespace roars::tasks {

/// Prompts [0, easy_prompts) are easy: the right symbols start with easy_logit, in the others with hard_logit, all
/// other symbols with 0.
struct FactorisedSettings {
    std::int64_t prompts = 32;
    std::int64_t length = 4;
    std::int64_t symbols = 10;
    std::int64_t easy_prompts = 16;
    double easy_logit = 2.5;
    double hard_logit = -0.5;
    std::int64_t strategies = 0;        ///< symbols of a planning token before the target; 0: there is none
    std::int64_t valid_strategies = 2;  ///< of them right, in each prompt others
    bool shared = false;  ///< one target, and one table of its logits, for all prompts (as if all were easy)
};
ROARS_FIELDS(FactorisedSettings, prompts, length, symbols, easy_prompts, easy_logit, hard_logit, strategies,
             valid_strategies, shared)

/// A target of several tokens with independent logits for every (prompt, position): right if every token is. With
/// `strategies` a planning token comes first, of which several are right, with logits for every prompt; with `shared`
/// the target's tokens are a skill that all prompts have in common.
class FactorisedTargets {
public:
    explicit FactorisedTargets(const FactorisedSettings& settings = {}, std::uint64_t seed = 0) : settings_(settings) {
        check();
        logits_.resize(static_cast<std::size_t>(rows() * actions()), forbidden_logit);
        right_.resize(logits_.size());
        for (std::int64_t row = 0; row < rows(); ++row) {
            RandomStream stream(Random(seed, Purpose::task).at(static_cast<std::uint32_t>(row)));
            draw(row, stream);
        }
    }

    const FactorisedSettings& settings() const { return settings_; }
    bool is_right(std::int64_t row, std::int64_t symbol) const {
        return right_[static_cast<std::size_t>(row * actions() + symbol)] != 0;
    }

    std::int64_t prompts() const { return settings_.prompts; }
    std::int64_t rows() const {
        return planning_rows() + (settings_.shared ? 1 : settings_.prompts) * settings_.length;
    }
    std::int64_t actions() const { return std::max(settings_.symbols, settings_.strategies); }
    std::int64_t states() const { return 2 * (longest_answer() + 1); }
    std::int64_t longest_answer() const { return settings_.length + (settings_.strategies > 0 ? 1 : 0); }
    std::span<const double> start_logits() const { return logits_; }

    /// State: 2 * tokens so far + [all of them right].
    std::int64_t start(std::int64_t) const { return 1; }
    std::int64_t row(std::int64_t prompt, std::int64_t state) const {
        std::int64_t position = state / 2;
        if (position == longest_answer()) return -1;
        if (settings_.strategies > 0 && position-- == 0) return prompt;
        return planning_rows() + (settings_.shared ? 0 : prompt * settings_.length) + position;
    }
    std::int64_t next(std::int64_t prompt, std::int64_t state, std::int64_t action) const {
        bool right = state % 2 == 1 && is_right(row(prompt, state), action);
        return 2 * (state / 2 + 1) + (right ? 1 : 0);
    }
    bool truncated(std::int64_t, std::int64_t) const { return false; }
    double success(std::int64_t, std::int64_t state) const { return state % 2 == 1 ? 1.0 : 0.0; }
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream&) const { return success(prompt, state); }
    /// The tokens as the digits of a number.
    std::int32_t answer(std::int64_t, std::span<const std::int32_t> actions) const {
        std::int32_t number = 0;
        for (std::size_t i = 0; i < actions.size(); ++i)
            number = number * static_cast<std::int32_t>(choices(static_cast<std::int64_t>(i))) + actions[i];
        return number;
    }
    std::vector<std::int32_t> solution(std::int64_t prompt) const {
        std::vector<std::int32_t> symbols;
        for (std::int64_t state = start(prompt); row(prompt, state) >= 0; state += 2) {
            std::int32_t symbol = 0;
            while (!is_right(row(prompt, state), symbol)) ++symbol;
            symbols.push_back(symbol);
        }
        return symbols;
    }

private:
    std::int64_t planning_rows() const { return settings_.strategies > 0 ? settings_.prompts : 0; }
    std::int64_t choices(std::int64_t position) const {
        return settings_.strategies > 0 && position == 0 ? settings_.strategies : settings_.symbols;
    }

    void check() const {
        const auto& s = settings_;
        expect(s.prompts > 0 && s.length > 0 && s.symbols > 0, [&] {
            return "factorised targets: " + std::to_string(s.prompts) + " prompts, " + std::to_string(s.length) +
                   " tokens of " + std::to_string(s.symbols) + " symbols, expected 1 or more of each";
        });
        expect(s.easy_prompts >= 0 && s.easy_prompts <= s.prompts, [&] {
            return "factorised targets: " + std::to_string(s.easy_prompts) + " easy prompts, expected 0 to " +
                   std::to_string(s.prompts);
        });
        expect(
            s.strategies >= 0 && (s.strategies == 0 || (s.valid_strategies > 0 && s.valid_strategies <= s.strategies)),
            [&] {
                return "factorised targets: " + std::to_string(s.valid_strategies) + " valid strategies of " +
                       std::to_string(s.strategies) + ", expected 1 or more, and not more than there are";
            });
        double answers = 1;
        for (std::int64_t position = 0; position < longest_answer(); ++position) answers *= double(choices(position));
        expect(answers <= double(std::numeric_limits<std::int32_t>::max()), [&] {
            return "factorised targets: " + std::to_string(answers) +
                   " different answers, expected at most 2147483647: each has a number";
        });
    }

    void draw(std::int64_t row, RandomStream& stream) {
        const auto& s = settings_;
        const bool plans = row < planning_rows();
        const std::int64_t count = plans ? s.strategies : s.symbols, first = row * actions();
        std::fill_n(logits_.begin() + first, count, 0.0);
        std::vector<std::int64_t> order(static_cast<std::size_t>(count));
        for (std::int64_t a = 0; a < count; ++a) order[std::size_t(a)] = a;
        const bool easy = s.shared || (row - planning_rows()) / s.length < s.easy_prompts;
        for (std::int64_t k = 0; k < (plans ? s.valid_strategies : 1); ++k) {
            std::swap(order[std::size_t(k)], order[std::size_t(k + stream.below(count - k))]);
            const auto place = static_cast<std::size_t>(first + order[std::size_t(k)]);
            right_[place] = 1;
            if (!plans) logits_[place] = easy ? s.easy_logit : s.hard_logit;
        }
    }

    FactorisedSettings settings_;
    std::vector<char> right_;     ///< [rows x actions]
    std::vector<double> logits_;  ///< [rows x actions]
};
static_assert(TabularTask<FactorisedTargets>);

}  // namespace roars::tasks
