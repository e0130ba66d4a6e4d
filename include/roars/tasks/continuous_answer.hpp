#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

#include "roars/config.hpp"

namespace roars::tasks {

/// The number a text answer stands for: an optional sign, digits with at most one point, an optional exponent, blanks
/// around it. Nothing for a text that is no such number, or one that double cannot hold ("", "-", "1+2", "nan",
/// "1e999").
inline std::optional<double> parse_answer(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n";
    auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return std::nullopt;
    text = text.substr(first, text.find_last_not_of(blanks) - first + 1);
    if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
    double value = 0;
    auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    bool whole = failure == std::errc() && end == text.data() + text.size();
    return whole && std::isfinite(value) ? std::optional<double>(value) : std::nullopt;
}

/// r = 1 - min(|a-b|, 1)/2 - min(|a-b| / (|b|+eps), 1)/2, in [0, 1]; a the answer, b the reference.
/// An answer (or reference) that is not finite gets 0, never NaN. Source: RandomCalculation, arXiv 2507.10532, eq. 1.
ROARS_FN inline double continuous_reward(double answer, double reference, double eps = 1e-6) {
    if (!std::isfinite(answer) || !std::isfinite(reference)) return 0.0;
    double distance = std::fabs(answer - reference);
    double relative = distance / (std::fabs(reference) + eps);
    return 1.0 - 0.5 * (distance < 1.0 ? distance : 1.0) - 0.5 * (relative < 1.0 ? relative : 1.0);
}

/// The same for a text: 0 where `text` is no number.
inline double continuous_reward(std::string_view text, double reference, double eps = 1e-6) {
    auto answer = parse_answer(text);
    return answer ? continuous_reward(*answer, reference, eps) : 0.0;
}

/// 1 where the continuous reward is within `tolerance` of its maximum, else 0.
ROARS_FN inline double exact_reward(double answer, double reference, double tolerance = 1e-6, double eps = 1e-6) {
    return continuous_reward(answer, reference, eps) > 1.0 - tolerance ? 1.0 : 0.0;
}

/// Spurious controls (arXiv 2506.10947). Random: 1 with probability gamma, whatever the answer; uniform in [0, 1).
ROARS_FN inline double random_reward(double uniform, double gamma = 0.5) { return uniform < gamma ? 1.0 : 0.0; }

/// Spurious control: 1 - r, r the correct reward in [0, 1].
ROARS_FN inline double inverted_reward(double correct) { return 1.0 - correct; }

/// Spurious control: the most frequent answer among the wrong ones of a group, of equally frequent ones the first seen;
/// nothing where no answer is wrong. An answer unequal to itself (NaN: no answer given) is never the label.
/// The reward for the label is 1 for a match, or `continuous_reward` with the label as reference; 0 without a label.
template <class Answer>
std::optional<Answer> majority_incorrect_label(std::span<const Answer> answers, const Answer& reference) {
    std::optional<Answer> label;
    std::ptrdiff_t most = 0;
    for (const auto& candidate : answers) {
        if (candidate == reference) continue;
        auto votes = std::count(answers.begin(), answers.end(), candidate);
        if (votes > most) {
            most = votes;
            label = candidate;
        }
    }
    return label;
}

}  // namespace roars::tasks
