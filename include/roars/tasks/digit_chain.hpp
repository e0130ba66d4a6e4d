#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "roars/fields.hpp"
#include "roars/tasks/tabular_task.hpp"

namespace roars::tasks {

struct DigitChainSettings {
    std::int64_t prompts = 64;  ///< sums, drawn at random
    std::int64_t digits = 3;
    std::int64_t base = 10;
    bool carry = false;        ///< what is over a digit's sum goes to the next one
    double right_logit = 0.0;  ///< start logit of the right digit; of the others 0
    double flipped = 0.0;      ///< probability of the opposite verdict
};
ROARS_FIELDS(DigitChainSettings, prompts, digits, base, carry, right_logit, flipped)

/// Sums of two numbers, digit by digit from the last one: digit i of the answer is (a_i + b_i) mod base, plus what the
/// digit before carries where that is asked for; what the first digit carries is dropped. One row for every (a_i, b_i,
/// carry), shared by all prompts and positions: a skill of base^2 facts. Right if every digit is.
class DigitChain {
public:
    explicit DigitChain(const DigitChainSettings& settings = {}, std::uint64_t seed = 0) : settings_(settings) {
        check();
        RandomStream stream{Random(seed, Purpose::task)};
        for (std::int64_t prompt = 0; prompt < settings_.prompts; ++prompt) {
            std::int64_t over = 0;
            for (std::int64_t i = 0; i < settings_.digits; ++i) {
                const std::int64_t a = stream.below(settings_.base), b = stream.below(settings_.base);
                rows_.push_back((over * settings_.base + a) * settings_.base + b);
                over = settings_.carry ? (a + b + over) / settings_.base : 0;
            }
        }
        logits_.resize(static_cast<std::size_t>(rows() * actions()));
        for (std::int64_t row = 0; row < rows(); ++row)
            logits_[static_cast<std::size_t>(row * actions() + right(row))] = settings_.right_logit;
    }

    const DigitChainSettings& settings() const { return settings_; }
    /// The right digit of a row.
    std::int64_t right(std::int64_t row) const {
        const std::int64_t b = row % settings_.base, a = row / settings_.base % settings_.base,
                           over = row / settings_.base / settings_.base;
        return (a + b + over) % settings_.base;
    }

    std::int64_t prompts() const { return settings_.prompts; }
    std::int64_t rows() const { return (settings_.carry ? 2 : 1) * settings_.base * settings_.base; }
    std::int64_t actions() const { return settings_.base; }
    std::int64_t states() const { return 2 * (settings_.digits + 1); }
    std::int64_t longest_answer() const { return settings_.digits; }
    std::span<const double> start_logits() const { return logits_; }

    /// State: 2 * digits so far + [all of them right].
    std::int64_t start(std::int64_t) const { return 1; }
    std::int64_t row(std::int64_t prompt, std::int64_t state) const {
        const std::int64_t position = state / 2;
        if (position == settings_.digits) return -1;
        return rows_[static_cast<std::size_t>(prompt * settings_.digits + position)];
    }
    std::int64_t next(std::int64_t prompt, std::int64_t state, std::int64_t action) const {
        const bool still = state % 2 == 1 && action == right(row(prompt, state));
        return 2 * (state / 2 + 1) + (still ? 1 : 0);
    }
    bool truncated(std::int64_t, std::int64_t) const { return false; }
    double success(std::int64_t, std::int64_t state) const { return state % 2 == 1 ? 1.0 : 0.0; }
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream& noise) const {
        const bool flip = settings_.flipped > 0 && noise.uniform() < settings_.flipped;
        return flip ? 1.0 - success(prompt, state) : success(prompt, state);
    }
    /// The number that the digits are.
    std::int32_t answer(std::int64_t, std::span<const std::int32_t> actions) const {
        std::int32_t number = 0;
        for (std::size_t i = actions.size(); i-- > 0;)
            number = number * static_cast<std::int32_t>(settings_.base) + actions[i];
        return number;
    }
    std::vector<std::int32_t> solution(std::int64_t prompt) const {
        std::vector<std::int32_t> digits;
        for (std::int64_t state = start(prompt); row(prompt, state) >= 0; state += 2)
            digits.push_back(static_cast<std::int32_t>(right(row(prompt, state))));
        return digits;
    }

private:
    void check() const {
        const auto& s = settings_;
        expect(s.prompts > 0 && s.digits > 0 && s.base > 1, [&] {
            return "digit chain: " + std::to_string(s.prompts) + " prompts of " + std::to_string(s.digits) +
                   " digits to base " + std::to_string(s.base) + ", expected 1 or more, and a base of 2 or more";
        });
        expect(s.flipped >= 0 && s.flipped <= 1,
               [&] { return "digit chain: flipped " + std::to_string(s.flipped) + ", expected a probability"; });
        double answers = 1;
        for (std::int64_t i = 0; i < s.digits; ++i) answers *= double(s.base);
        expect(answers <= double(std::numeric_limits<std::int32_t>::max()), [&] {
            return "digit chain: " + std::to_string(answers) +
                   " different answers, expected at most 2147483647: each has a number";
        });
    }

    DigitChainSettings settings_;
    std::vector<std::int64_t> rows_;  ///< [prompts x digits]
    std::vector<double> logits_;      ///< [rows x base]
};
static_assert(TabularTask<DigitChain>);

}  // namespace roars::tasks
