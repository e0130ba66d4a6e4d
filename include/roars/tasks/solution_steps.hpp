#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/fields.hpp"
#include "roars/tasks/tabular_task.hpp"

namespace roars::tasks {

struct SolutionStepsSettings {
    std::int64_t prompts = 32;
    std::int64_t length = 16;       ///< tokens of every answer
    std::int64_t rows = 48;         ///< that the prompts share; 0: each has its own
    std::int64_t tokens = 8;        ///< to choose from
    double right = 0.45;            ///< probability of a step's right token at the start
    std::int64_t hard_prompts = 0;  ///< the first ones: one of their steps is hard
    double hard = 1e-4;             ///< probability of its right token at the start
};
ROARS_FIELDS(SolutionStepsSettings, prompts, length, rows, tokens, right, hard_prompts, hard)

/// Answers of `length` steps, each of which has one right token: right if all of them are. A step reads a row of the
/// table, another one each step of a prompt, drawn from `rows` where prompts share them. So it is rarely right before
/// it is learnt, right^length, and the nearer to the end a hint goes the oftener. For hints (SEELE, arXiv 2509.06923)
/// and for prompts that no rollout solves (ReLIFT, arXiv 2506.07527).
class SolutionSteps {
public:
    explicit SolutionSteps(const SolutionStepsSettings& settings = {}, std::uint64_t seed = 0) : settings_(settings) {
        check();
        RandomStream stream{Random(seed, Purpose::task)};
        for (std::int64_t row = 0; row < rows(); ++row)
            right_.push_back(static_cast<std::int32_t>(stream.below(actions())));
        logits_.resize(static_cast<std::size_t>(rows() * actions()));
        for (std::int64_t row = 0; row < rows(); ++row) start_with(row, settings_.right);
        for (std::int64_t prompt = 0; prompt < prompts(); ++prompt) draw_rows(prompt, stream);
        for (std::int64_t prompt = 0; prompt < settings_.hard_prompts; ++prompt)
            start_with(row(prompt, 2 * stream.below(settings_.length)), settings_.hard);
    }

    const SolutionStepsSettings& settings() const { return settings_; }
    /// The right token of a row.
    std::int32_t right(std::int64_t row) const { return right_[static_cast<std::size_t>(row)]; }

    std::int64_t prompts() const { return settings_.prompts; }
    std::int64_t rows() const { return settings_.rows > 0 ? settings_.rows : settings_.prompts * settings_.length; }
    std::int64_t actions() const { return settings_.tokens; }
    std::int64_t states() const { return 2 * (settings_.length + 1); }
    std::int64_t longest_answer() const { return settings_.length; }
    std::span<const double> start_logits() const { return logits_; }

    /// State: 2 * steps so far + [all of them right].
    std::int64_t start(std::int64_t) const { return 1; }
    std::int64_t row(std::int64_t prompt, std::int64_t state) const {
        const std::int64_t step = state / 2;
        if (step == settings_.length) return -1;
        return rows_[static_cast<std::size_t>(prompt * settings_.length + step)];
    }
    std::int64_t next(std::int64_t prompt, std::int64_t state, std::int64_t action) const {
        const bool still = state % 2 == 1 && action == right(row(prompt, state));
        return 2 * (state / 2 + 1) + (still ? 1 : 0);
    }
    bool truncated(std::int64_t, std::int64_t) const { return false; }
    double success(std::int64_t, std::int64_t state) const { return state % 2 == 1 ? 1.0 : 0.0; }
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream&) const { return success(prompt, state); }
    /// Where an answer leaves the solution, and by which token; 0 for one that does not.
    std::int32_t answer(std::int64_t prompt, std::span<const std::int32_t> actions) const {
        for (std::size_t t = 0; t < actions.size(); ++t)
            if (actions[t] != right(row(prompt, 2 * std::int64_t(t))))
                return 1 + static_cast<std::int32_t>(std::int64_t(t) * this->actions()) + actions[t];
        return 0;
    }
    std::vector<std::int32_t> solution(std::int64_t prompt) const {
        std::vector<std::int32_t> tokens;
        for (std::int64_t state = start(prompt); row(prompt, state) >= 0; state += 2)
            tokens.push_back(right(row(prompt, state)));
        return tokens;
    }

private:
    void check() const {
        const auto& s = settings_;
        expect(s.prompts > 0 && s.length > 0 && s.tokens > 1 && (s.rows == 0 || s.rows >= s.length), [&] {
            return "solution steps: " + std::to_string(s.prompts) + " prompts of " + std::to_string(s.length) +
                   " steps from " + std::to_string(s.rows) + " rows of " + std::to_string(s.tokens) +
                   " tokens, expected 1 or more prompts and steps, 2 or more tokens, and no rows or one for each step";
        });
        auto inside = [](double p) { return p > 0.0 && p < 1.0; };
        expect(inside(s.right) && inside(s.hard), [&] {
            return "solution steps: right " + std::to_string(s.right) + " and hard " + std::to_string(s.hard) +
                   ", expected probabilities above 0 and below 1";
        });
        expect(s.hard_prompts >= 0 && s.hard_prompts <= s.prompts && (s.hard_prompts == 0 || s.rows == 0), [&] {
            return "solution steps: " + std::to_string(s.hard_prompts) + " hard prompts of " +
                   std::to_string(s.prompts) + " that share " + std::to_string(s.rows) +
                   " rows, expected no more than there are, and rows of their own (rows 0)";
        });
    }
    void start_with(std::int64_t row, double probability) {
        logits_[static_cast<std::size_t>(row * actions() + right(row))] =
            std::log(probability / (1 - probability) * double(actions() - 1));
    }
    void draw_rows(std::int64_t prompt, RandomStream& stream) {
        if (settings_.rows == 0) {
            for (std::int64_t t = 0; t < settings_.length; ++t) rows_.push_back(prompt * settings_.length + t);
            return;
        }
        std::vector<std::int64_t> left;
        for (std::int64_t row = 0; row < settings_.rows; ++row) left.push_back(row);
        for (std::int64_t t = 0; t < settings_.length; ++t) {
            std::swap(left[static_cast<std::size_t>(t)],
                      left[static_cast<std::size_t>(t + stream.below(settings_.rows - t))]);
            rows_.push_back(left[static_cast<std::size_t>(t)]);
        }
    }

    SolutionStepsSettings settings_;
    std::vector<std::int32_t> right_;  ///< of each row
    std::vector<std::int64_t> rows_;   ///< [prompts x length]
    std::vector<double> logits_;       ///< [rows x tokens]
};
static_assert(TabularTask<SolutionSteps>);

}  // namespace roars::tasks
