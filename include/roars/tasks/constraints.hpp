#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/columns.hpp"
#include "roars/fields.hpp"
#include "roars/tasks/tabular_task.hpp"

namespace roars::tasks {

struct ConstraintsSettings {
    std::int64_t prompts = 1;
    std::int64_t constraints = 8;
    std::int64_t symbols = 12;
    std::int64_t satisfying = 3;  ///< of the symbols, for each constraint others
};
ROARS_FIELDS(ConstraintsSettings, prompts, constraints, symbols, satisfying)

/// Instructions of many constraints: token k of an answer meets constraint k or does not, and an answer is right if it
/// meets all, which the uniform start does with probability (satisfying / symbols)^constraints. One row for every
/// (prompt, constraint). Brings constraints, each exact and worth 0.05, 0.1 or 0.2. Source: the measured experiment of
/// Light-IF, arXiv 2508.03178.
class Constraints {
public:
    using gives = columns<col::constraints>;

    explicit Constraints(const ConstraintsSettings& settings = {}, std::uint64_t seed = 0) : settings_(settings) {
        check();
        logits_.resize(static_cast<std::size_t>(rows() * actions()));
        meets_.resize(logits_.size());
        std::vector<std::int64_t> order(static_cast<std::size_t>(actions()));
        for (std::int64_t row = 0; row < rows(); ++row) {
            RandomStream stream(Random(seed, Purpose::task).at(static_cast<std::uint32_t>(row)));
            for (std::int64_t a = 0; a < actions(); ++a) order[std::size_t(a)] = a;
            for (std::int64_t k = 0; k < settings.satisfying; ++k) {
                std::swap(order[std::size_t(k)], order[std::size_t(k + stream.below(actions() - k))]);
                meets_[static_cast<std::size_t>(row * actions() + order[std::size_t(k)])] = 1;
            }
            points_.push_back(std::array{0.05, 0.1, 0.2}[static_cast<std::size_t>(stream.below(3))]);
        }
    }

    const ConstraintsSettings& settings() const { return settings_; }
    bool meets(std::int64_t row, std::int64_t symbol) const {
        return meets_[static_cast<std::size_t>(row * actions() + symbol)] != 0;
    }

    std::int64_t prompts() const { return settings_.prompts; }
    std::int64_t rows() const { return settings_.prompts * settings_.constraints; }
    std::int64_t actions() const { return settings_.symbols; }
    std::int64_t states() const { return 2 * (settings_.constraints + 1); }
    std::int64_t longest_answer() const { return settings_.constraints; }
    std::span<const double> start_logits() const { return logits_; }

    /// State: 2 * tokens so far + [all of them meet their constraint].
    std::int64_t start(std::int64_t) const { return 1; }
    std::int64_t row(std::int64_t prompt, std::int64_t state) const {
        return state / 2 < settings_.constraints ? prompt * settings_.constraints + state / 2 : -1;
    }
    std::int64_t next(std::int64_t prompt, std::int64_t state, std::int64_t action) const {
        const bool all = state % 2 == 1 && meets(row(prompt, state), action);
        return 2 * (state / 2 + 1) + (all ? 1 : 0);
    }
    bool truncated(std::int64_t, std::int64_t) const { return false; }
    double success(std::int64_t, std::int64_t state) const { return state % 2 == 1 ? 1.0 : 0.0; }
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream&) const { return success(prompt, state); }

    std::int64_t width(col::constraints) const { return 4 * settings_.constraints; }
    /// Count, low, high and points, constraint by constraint.
    double tell(col::constraints, std::int64_t prompt, std::span<const std::int32_t> actions, std::int64_t k,
                RandomStream&) const {
        const std::int64_t row = prompt * settings_.constraints + k / 4;
        if (k % 4 == 0) return meets(row, actions[static_cast<std::size_t>(k / 4)]) ? 1.0 : 0.0;
        return k % 4 == 3 ? points_[static_cast<std::size_t>(row)] : 1.0;
    }
    /// The tokens as the digits of a number.
    std::int32_t answer(std::int64_t, std::span<const std::int32_t> actions) const {
        std::int32_t number = 0;
        for (std::int32_t action : actions) number = number * static_cast<std::int32_t>(settings_.symbols) + action;
        return number;
    }
    std::vector<std::int32_t> solution(std::int64_t prompt) const {
        std::vector<std::int32_t> symbols;
        for (std::int64_t k = 0; k < settings_.constraints; ++k) {
            std::int32_t symbol = 0;
            while (!meets(prompt * settings_.constraints + k, symbol)) ++symbol;
            symbols.push_back(symbol);
        }
        return symbols;
    }

private:
    void check() const {
        const auto& s = settings_;
        expect(s.prompts > 0 && s.constraints > 0 && s.satisfying > 0 && s.satisfying <= s.symbols, [&] {
            return "constraints: " + std::to_string(s.prompts) + " prompts of " + std::to_string(s.constraints) +
                   " constraints, met by " + std::to_string(s.satisfying) + " of " + std::to_string(s.symbols) +
                   " symbols, expected 1 or more of each, and not more than there are";
        });
        const double answers = std::pow(double(s.symbols), double(s.constraints));
        expect(answers <= double(std::numeric_limits<std::int32_t>::max()), [&] {
            return "constraints: " + std::to_string(answers) +
                   " different answers, expected at most 2147483647: each has a number";
        });
    }

    ConstraintsSettings settings_;
    std::vector<char> meets_;     ///< [rows x actions]
    std::vector<double> points_;  ///< [rows]
    std::vector<double> logits_;  ///< [rows x actions]
};
static_assert(TabularTask<Constraints>);

}  // namespace roars::tasks
