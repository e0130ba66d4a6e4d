#pragma once

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

struct ToolChainSettings {
    std::int64_t types = 6;
    std::int64_t first_options = 4;
    std::int64_t options = 8;                                   ///< of the second decision and of the third
    double first_logit = 4, second_logit = 1, third_logit = 0;  ///< at the start, of the right option
};
ROARS_FIELDS(ToolChainSettings, types, first_options, options, first_logit, second_logit, third_logit)

/// Three decisions, a search behind the first and a calculation behind the second: calls of tools whose results the
/// environment writes. An answer is right iff all three decisions are. The policy begins sure of the first decision and
/// without an idea of the last, so that its entropy rises behind each result. One row for every type and decision, and
/// one for what the tools say. Brings tool_kinds. Source: made for the measured experiment of ARPO, arXiv 2507.19849.
class ToolChain {
public:
    static constexpr std::int64_t decisions = 3;
    using gives = columns<col::tool_kinds>;

    explicit ToolChain(const ToolChainSettings& settings = {}, std::uint64_t seed = 0) : settings_(settings) {
        expect(settings.types >= 1 && settings.first_options >= 1 && settings.options >= settings.first_options, [&] {
            return "tool chain: " + std::to_string(settings.types) + " types, " +
                   std::to_string(settings.first_options) + " and " + std::to_string(settings.options) +
                   " options, expected 1 or more of each and no fewer options later";
        });
        RandomStream draw{Random(seed, Purpose::task)};
        const double prior[] = {settings.first_logit, settings.second_logit, settings.third_logit};
        logits_.assign(static_cast<std::size_t>(rows() * actions()), 0.0);
        for (std::int64_t row = 0; row < rows(); ++row) {
            const bool result = row == rows() - 1;
            const std::int64_t allowed = result ? 1 : row % decisions == 0 ? settings.first_options : settings.options;
            for (std::int64_t a = allowed; a < actions(); ++a) logit(row, a) = forbidden_logit;
            if (result) break;
            right_.push_back(static_cast<std::int32_t>(draw.below(allowed)));
            logit(row, right_.back()) = prior[row % decisions];
        }
    }

    const ToolChainSettings& settings() const { return settings_; }
    std::int64_t prompts() const { return settings_.types; }
    std::int64_t rows() const { return settings_.types * decisions + 1; }
    std::int64_t actions() const { return settings_.options; }
    std::int64_t states() const { return 11; }
    std::int64_t longest_answer() const { return 2 * decisions - 1; }
    std::span<const double> start_logits() const { return logits_; }

    // State 0 is the first decision. Then by turns a result and a decision, each twice: where all was right so far (an
    // odd number), and where not. 9: a right answer; 10: a wrong one.
    std::int64_t start(std::int64_t) const { return 0; }
    bool observation(std::int64_t, std::int64_t state) const { return state < 9 && (state % 4 == 1 || state % 4 == 2); }
    std::int64_t row(std::int64_t prompt, std::int64_t state) const {
        if (state >= 9) return -1;
        return observation(prompt, state) ? rows() - 1 : prompt * decisions + decision(state);
    }
    std::int64_t next(std::int64_t prompt, std::int64_t state, std::int64_t action) const {
        if (observation(prompt, state)) return state + 2;
        const bool right = (state == 0 || state % 2 == 1) && action == right_at(prompt, decision(state));
        return 4 * decision(state) + (right ? 1 : 2);
    }
    bool truncated(std::int64_t, std::int64_t) const { return false; }
    double success(std::int64_t, std::int64_t state) const { return state == 9 ? 1.0 : 0.0; }
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream&) const { return success(prompt, state); }
    double tell(col::tool_kinds, std::int64_t, std::span<const std::int32_t>, std::int64_t, RandomStream&) const {
        return 2.0;
    }
    /// The three decisions as one number.
    std::int32_t answer(std::int64_t, std::span<const std::int32_t> actions) const {
        auto options = static_cast<std::int32_t>(settings_.options);
        return (actions[0] * options + actions[2]) * options + actions[4];
    }
    std::vector<std::int32_t> solution(std::int64_t prompt) const {
        return {right_at(prompt, 0), 0, right_at(prompt, 1), 0, right_at(prompt, 2)};
    }

private:
    static std::int64_t decision(std::int64_t state) { return (state + 1) / 4; }
    std::int32_t right_at(std::int64_t prompt, std::int64_t decision) const {
        return right_[static_cast<std::size_t>(prompt * decisions + decision)];
    }
    double& logit(std::int64_t row, std::int64_t action) {
        return logits_[static_cast<std::size_t>(row * actions() + action)];
    }

    ToolChainSettings settings_;
    std::vector<std::int32_t> right_;
    std::vector<double> logits_;
};
static_assert(TabularTask<ToolChain>);

}  // namespace roars::tasks
