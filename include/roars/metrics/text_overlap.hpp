#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "roars/error.hpp"

/// Overlap of token sequences, and the partial-prompt test of contamination built on it: a model that completes the cut
/// prompt of a benchmark word for word has seen it. Source: arXiv 2507.10532, section 3.2. Answers as texts.
namespace roars::metrics {

using Tokens = std::span<const std::int32_t>;

/// Token sequences of unequal length, one after another: row i is values[offsets[i], offsets[i+1]).
struct RaggedTokens {
    Tokens values;
    std::span<const std::int64_t> offsets;

    std::size_t rows() const { return offsets.empty() ? 0 : offsets.size() - 1; }
    Tokens operator[](std::size_t row) const {
        return values.subspan(static_cast<std::size_t>(offsets[row]),
                              static_cast<std::size_t>(offsets[row + 1] - offsets[row]));
    }
};

/// A prompt of n tokens cut after its first floor(ratio * n): what the model is shown, and what it should not know.
struct PartialPrompt {
    Tokens shown, rest;
};

inline PartialPrompt cut_prompt(Tokens prompt, double ratio) {
    expect(ratio >= 0 && ratio <= 1,
           [&] { return "partial prompt: ratio is " + std::to_string(ratio) + ", expected a number from 0 to 1"; });
    auto kept = static_cast<std::size_t>(std::floor(ratio * static_cast<double>(prompt.size())));
    return {prompt.first(kept), prompt.subspan(kept)};
}

/// Length of the longest common subsequence, in O(|a| |b|) time and O(|b|) memory.
inline std::int64_t longest_common_subsequence(Tokens a, Tokens b) {
    std::vector<std::int64_t> longest(b.size() + 1, 0);  // of a's prefix so far and b's first j tokens
    for (auto token : a) {
        std::int64_t diagonal = 0;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            auto above = longest[j];
            longest[j] = token == b[j - 1] ? diagonal + 1 : std::max(above, longest[j - 1]);
            diagonal = above;
        }
    }
    return longest.back();
}

/// F1 = 2PR / (P+R), P = LCS / |candidate|, R = LCS / |reference|, which is 2 LCS / (|candidate| + |reference|).
/// 0 where either is empty or nothing is common.
inline double rouge_l(Tokens candidate, Tokens reference) {
    if (candidate.empty() || reference.empty()) return 0.0;
    auto common = static_cast<double>(longest_common_subsequence(candidate, reference));
    return 2.0 * common / static_cast<double>(candidate.size() + reference.size());
}

/// The completion cut to the reference's length; a shorter one stays as it is.
inline Tokens cut_to_reference(Tokens completion, Tokens reference) {
    return completion.first(std::min(completion.size(), reference.size()));
}

/// Whether the completion begins with the whole reference; never so for an empty reference.
inline bool exact_match(Tokens completion, Tokens reference) {
    auto cut = cut_to_reference(completion, reference);
    return !reference.empty() && std::equal(cut.begin(), cut.end(), reference.begin(), reference.end());
}

/// Whether the answer's tokens occur, one after another, anywhere in the completion. An empty answer occurs everywhere.
inline bool answer_found(Tokens completion, Tokens answer) {
    return answer.empty() ||
           std::search(completion.begin(), completion.end(), answer.begin(), answer.end()) != completion.end();
}

/// One prompt's outcome in the partial-prompt test.
struct PartialPromptOutcome {
    double rouge_l;
    bool exact_match, answer_found;
};

inline PartialPromptOutcome partial_prompt_outcome(Tokens prompt, Tokens completion, Tokens answer, double ratio) {
    auto reference = cut_prompt(prompt, ratio).rest;
    return {rouge_l(cut_to_reference(completion, reference), reference), exact_match(completion, reference),
            answer_found(completion, answer)};
}

/// Means over prompts, as fractions (the paper prints percent); all 0 where `prompts` is 0.
struct PartialPromptRates {
    double mean_rouge_l = 0, exact_match = 0, answer_found = 0;
    std::int64_t prompts = 0;
};

inline PartialPromptRates partial_prompt_rates(std::span<const PartialPromptOutcome> outcomes) {
    PartialPromptRates rates;
    if (outcomes.empty()) return rates;
    for (const auto& outcome : outcomes) {
        rates.mean_rouge_l += outcome.rouge_l;
        rates.exact_match += outcome.exact_match;
        rates.answer_found += outcome.answer_found;
    }
    auto count = static_cast<double>(outcomes.size());
    return {rates.mean_rouge_l / count, rates.exact_match / count, rates.answer_found / count,
            static_cast<std::int64_t>(outcomes.size())};
}

/// The outcome of every prompt: prompts, greedy completions of the cut prompts, answers, one row each.
inline std::vector<PartialPromptOutcome> partial_prompt_outcomes(RaggedTokens prompts, RaggedTokens completions,
                                                                 RaggedTokens answers, double ratio) {
    expect(prompts.rows() == completions.rows() && prompts.rows() == answers.rows(), [&] {
        return "partial prompt: " + std::to_string(prompts.rows()) + " prompts, " + std::to_string(completions.rows()) +
               " completions and " + std::to_string(answers.rows()) + " answers, expected one of each";
    });
    std::vector<PartialPromptOutcome> outcomes;
    for (std::size_t i = 0; i < prompts.rows(); ++i)
        outcomes.push_back(partial_prompt_outcome(prompts[i], completions[i], answers[i], ratio));
    return outcomes;
}

namespace detail {
inline char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
inline bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
inline bool is_punctuation(char c) {
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}
inline std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result) c = lower(c);
    return result;
}
}  // namespace detail

/// An answer as question answering compares it: lower case, no punctuation, no articles (a, an, the), single spaces.
/// ASCII; other bytes stay as they are. Source: SQuAD, arXiv 1606.05250.
inline std::string normalised_answer(std::string_view text) {
    std::string result, word;
    auto end_word = [&] {
        if (!word.empty() && word != "a" && word != "an" && word != "the") result += (result.empty() ? "" : " ") + word;
        word.clear();
    };
    for (char c : text) {
        if (detail::is_space(c))
            end_word();
        else if (!detail::is_punctuation(c))
            word += detail::lower(c);
    }
    end_word();
    return result;
}
/// Whether an answer is the reference, both normalised; never so where nothing of the reference is left.
inline bool same_answer(std::string_view answer, std::string_view reference) {
    const std::string wanted = normalised_answer(reference);
    return !wanted.empty() && normalised_answer(answer) == wanted;
}
/// Whether the answer stands in a text, in whatever case; an empty answer stands in none.
inline bool holds_answer(std::string_view text, std::string_view answer) {
    return !answer.empty() && detail::lower(text).find(detail::lower(answer)) != std::string::npos;
}

/// Where an answer stands in a transcript: <answer>...</answer>.
struct AnswerMarks {
    std::string_view open = "<answer>", close = "</answer>";
    std::int64_t most = 0;  ///< more answers than that are worth `excess`; 0: as many as one likes
    double excess = 0.25;
};
/// What stands between the last pair of marks; nothing where there is none. Errors: an empty mark.
inline std::string_view last_answer(std::string_view transcript, const AnswerMarks& marks = {}) {
    expect(!marks.open.empty() && !marks.close.empty(), "answer: an empty mark, expected a text");
    const auto end = transcript.rfind(marks.close);
    if (end == transcript.npos) return {};
    const auto begin = transcript.substr(0, end).rfind(marks.open);
    if (begin == transcript.npos) return {};
    return transcript.substr(begin + marks.open.size(), end - begin - marks.open.size());
}
/// 1 if the last answer of a transcript is the reference, else 0. ReSeek, arXiv 2510.00568; the released code gives a
/// quarter of it where there are more than ten answers (most = 10).
inline double answer_score(std::string_view transcript, std::string_view reference, const AnswerMarks& marks = {}) {
    if (!same_answer(last_answer(transcript, marks), reference)) return 0.0;
    std::int64_t answers = 0;
    for (auto at = transcript.find(marks.open); at != transcript.npos;
         at = transcript.find(marks.open, at + marks.open.size()))
        ++answers;
    return marks.most > 0 && answers > marks.most ? marks.excess : 1.0;
}

}  // namespace roars::metrics
