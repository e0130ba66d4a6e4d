#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/columns.hpp"
#include "roars/fields.hpp"
#include "roars/tasks/tabular_task.hpp"

namespace roars::tasks {

struct ToolQuestionsSettings {
    double call_logit = 1.5;  ///< of calling the tool at the start: a policy that hands its thinking over
};
ROARS_FIELDS(ToolQuestionsSettings, call_logit)

/// When to ask a tool: at every turn the policy answers (action 0) or calls the tool (action 1), at most four times. A
/// question is of one of four kinds, and each call may make the answer better: an easy one needs none, a medium one
/// one, a hard one two, and an open one is never sure. One row for every (kind, calls so far). Brings tool_calls.
/// Source: the measured experiment of OTC, arXiv 2504.14870.
class ToolQuestions {
public:
    static constexpr std::int64_t kinds = 4, most_calls = 4;
    using gives = columns<col::tool_calls>;

    explicit ToolQuestions(const ToolQuestionsSettings& settings = {}, std::uint64_t = 0) : settings_(settings) {
        for (std::int64_t row = 0; row < rows(); ++row) {
            const bool may_call = row % (most_calls + 1) < most_calls;
            logits_.insert(logits_.end(), {0.0, may_call ? settings_.call_logit : forbidden_logit});
        }
    }

    const ToolQuestionsSettings& settings() const { return settings_; }
    /// Probability that a question of this kind is answered rightly behind so many calls.
    static double right_after(std::int64_t kind, std::int64_t calls) {
        constexpr std::array<std::array<double, most_calls + 1>, kinds> table{{{0.92, 0.93, 0.93, 0.93, 0.93},
                                                                               {0.10, 0.92, 0.93, 0.93, 0.93},
                                                                               {0.05, 0.15, 0.92, 0.93, 0.93},
                                                                               {0.02, 0.05, 0.10, 0.15, 0.30}}};
        return table[static_cast<std::size_t>(kind)][static_cast<std::size_t>(calls)];
    }

    std::int64_t prompts() const { return kinds; }
    std::int64_t rows() const { return kinds * (most_calls + 1); }
    std::int64_t actions() const { return 2; }
    std::int64_t states() const { return 2 * (most_calls + 1); }
    std::int64_t longest_answer() const { return most_calls + 1; }
    std::span<const double> start_logits() const { return logits_; }

    /// State n <= most_calls: n calls so far; most_calls + 1 + n: answered behind n calls.
    std::int64_t start(std::int64_t) const { return 0; }
    std::int64_t row(std::int64_t prompt, std::int64_t state) const {
        return state <= most_calls ? prompt * (most_calls + 1) + state : -1;
    }
    std::int64_t next(std::int64_t, std::int64_t state, std::int64_t action) const {
        return action == 1 && state < most_calls ? state + 1 : most_calls + 1 + state;
    }
    bool truncated(std::int64_t, std::int64_t) const { return false; }
    double success(std::int64_t prompt, std::int64_t state) const {
        return right_after(prompt, state - most_calls - 1);
    }
    /// Drawn: 1 with probability success.
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream& noise) const {
        return noise.uniform() < success(prompt, state) ? 1.0 : 0.0;
    }
    double tell(col::tool_calls, std::int64_t, std::span<const std::int32_t> actions, std::int64_t,
                RandomStream&) const {
        return static_cast<double>(actions.size()) - 1.0;
    }
    /// How often the tool was called.
    std::int32_t answer(std::int64_t, std::span<const std::int32_t> actions) const {
        return static_cast<std::int32_t>(actions.size()) - 1;
    }
    /// As many calls as may be: the surest answer.
    std::vector<std::int32_t> solution(std::int64_t) const {
        std::vector<std::int32_t> actions(most_calls + 1, 1);
        actions.back() = 0;
        return actions;
    }

private:
    ToolQuestionsSettings settings_;
    std::vector<double> logits_;
};
static_assert(TabularTask<ToolQuestions>);

}  // namespace roars::tasks
