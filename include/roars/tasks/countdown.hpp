#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "roars/error.hpp"
#include "roars/fields.hpp"
#include "roars/random.hpp"
#include "roars/tasks/vocabulary.hpp"

/// Countdown: reach a target from given numbers. Texts are judged exactly, in fractions.
namespace roars::tasks {

/// A fraction in lowest terms, denominator above 0.
struct Fraction {
    std::int64_t numerator = 0, denominator = 1;
    bool operator==(const Fraction&) const = default;
};

/// left symbol right, for one of + - * /; nothing where it divides by 0 or leaves 64 bits.
inline std::optional<Fraction> calculate(const Fraction& left, char symbol, const Fraction& right) {
    auto times = [](std::int64_t a, std::int64_t b) -> std::optional<std::int64_t> {
        std::int64_t product = 0;
        if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
        return product;
    };
    constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
    std::optional<std::int64_t> numerator, denominator;
    if (symbol == '*') {
        numerator = times(left.numerator, right.numerator);
        denominator = times(left.denominator, right.denominator);
    } else if (symbol == '/') {
        numerator = times(left.numerator, right.denominator);
        denominator = times(left.denominator, right.numerator);
    } else {
        auto a = times(left.numerator, right.denominator), b = times(right.numerator, left.denominator);
        std::int64_t sum = 0;
        if (!a || !b) return std::nullopt;
        bool over = symbol == '+' ? __builtin_add_overflow(*a, *b, &sum) : __builtin_sub_overflow(*a, *b, &sum);
        if (!over) numerator = sum;
        denominator = times(left.denominator, right.denominator);
    }
    if (!numerator || !denominator || *denominator == 0 || *numerator == least || *denominator == least)
        return std::nullopt;
    std::int64_t common = std::gcd(*numerator, *denominator), sign = *denominator < 0 ? -1 : 1;
    return Fraction{sign * *numerator / common, sign * *denominator / common};
}

/// What a text calculates, and the numbers in it, in their order.
struct Calculated {
    Fraction value;
    std::vector<std::int64_t> numbers;
};

namespace detail {

/// sum = product {(+|-) product}, product = factor {(*|/) factor}, factor = digits | "(" sum ")".
class FormulaReader {
public:
    explicit FormulaReader(std::string_view text) : text_(text) {}

    std::optional<Calculated> read() {
        auto value = sum(0);
        if (!value || at_ != text_.size()) return std::nullopt;
        return Calculated{*value, std::move(numbers_)};
    }

private:
    static constexpr int deepest = 64;  // brackets within brackets

    bool at(char symbol) const { return at_ < text_.size() && text_[at_] == symbol; }

    template <class Part>
    std::optional<Fraction> chain(char first, char second, Part&& part) {
        auto value = part();
        while (value && (at(first) || at(second))) {
            char symbol = text_[at_++];
            auto right = part();
            value = right ? calculate(*value, symbol, *right) : std::nullopt;
        }
        return value;
    }
    std::optional<Fraction> sum(int depth) {
        return chain('+', '-', [&] { return chain('*', '/', [&] { return factor(depth); }); });
    }
    std::optional<Fraction> factor(int depth) {
        if (at('(')) {
            ++at_;
            auto value = depth < deepest ? sum(depth + 1) : std::nullopt;
            if (!value || !at(')')) return std::nullopt;
            ++at_;
            return value;
        }
        const std::size_t first = at_;
        std::int64_t number = 0;
        constexpr std::int64_t largest = 1'000'000'000;
        for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9' && number < largest; ++at_)
            number = 10 * number + (text_[at_] - '0');
        if (at_ == first || number >= largest) return std::nullopt;
        numbers_.push_back(number);
        return Fraction{number, 1};
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::vector<std::int64_t> numbers_;
};

}  // namespace detail

/// The value of a text of digits, + - * / and brackets, the usual order of operations; nothing for a text that is none
/// (a sign before a number is none), that divides by 0, or whose fractions leave 64 bits.
inline std::optional<Calculated> read_formula(std::string_view text) { return detail::FormulaReader(text).read(); }

/// Levels of difficulty are how many numbers are given.
struct CountdownSettings {
    std::vector<std::int32_t> numbers = {3};  ///< levels
    std::int32_t smallest_number = 1;
    std::int32_t largest_number = 9;
    std::int32_t largest_target = 99;
    std::string operators = "+-*";  ///< of + - * /, those that make the targets; an answer may use all four
    std::int64_t train_per_level = 4000;
    std::int64_t test_per_level = 300;
    double form_score = 0.1;  ///< of an answer that uses the numbers, each once, and misses the target
};
ROARS_FIELDS(CountdownSettings, numbers, smallest_number, largest_number, largest_target, operators, train_per_level,
             test_per_level, form_score)

/// Countdown for a policy of characters: prompt "22:3,5,7=", an answer "3*5+7" and the end symbol. Right: the text
/// calculates the target and has every given number exactly once. Targets are whole numbers from 1 to the largest one
/// that some formula of all the numbers reaches, so every problem can be solved. No prompt occurs twice; problem
/// indices run over the training problems of all levels, level by level, then over the test problems likewise.
class Countdown {
public:
    struct Problem {
        std::vector<std::int64_t> numbers;  ///< ascending
        std::int64_t target;
        std::string answer;                       ///< one that is right
        std::vector<std::int32_t> prompt_tokens;  ///< "target:number,number="
        std::vector<std::int32_t> answer_tokens;  ///< answer and the end symbol
    };

    explicit Countdown(CountdownSettings settings = {}, std::uint64_t seed = 0)
        : settings_(std::move(settings)), vocabulary_("0123456789+-*/(),:=") {
        check();
        std::vector<Problem> test;
        for (std::int32_t level : settings_.numbers) {
            RandomStream stream(Random(seed, Purpose::task).at(static_cast<std::uint32_t>(level)));
            auto drawn = draw(level, settings_.train_per_level + settings_.test_per_level, stream);
            auto split = drawn.begin() + settings_.train_per_level;
            problems_.insert(problems_.end(), drawn.begin(), split);
            test.insert(test.end(), split, drawn.end());
        }
        train_count_ = problem_count();
        problems_.insert(problems_.end(), test.begin(), test.end());
    }

    const CountdownSettings& settings() const { return settings_; }
    const Vocabulary& vocabulary() const { return vocabulary_; }
    std::int64_t problem_count() const { return std::ssize(problems_); }
    std::int64_t train_count() const { return train_count_; }
    std::int64_t test_count() const { return problem_count() - train_count_; }
    const Problem& problem(std::int64_t index) const {
        expect(index >= 0 && index < problem_count(), [&] {
            return "countdown: problem " + std::to_string(index) + ", expected 0 to " +
                   std::to_string(problem_count() - 1);
        });
        return problems_[static_cast<std::size_t>(index)];
    }
    std::int64_t longest_prompt() const { return longest(&Problem::prompt_tokens); }
    std::int64_t longest_answer() const { return longest(&Problem::answer_tokens); }

    /// 1 for a right answer, form_score for one that has every number once, else 0.
    double score(std::int64_t index, std::span<const std::int32_t> answer_tokens) const {
        auto answer = read(answer_tokens);
        if (!answer || !has_the_numbers(problem(index), *answer)) return 0.0;
        return answer->value == Fraction{problem(index).target, 1} ? 1.0 : settings_.form_score;
    }
    bool correct(std::int64_t index, std::span<const std::int32_t> answer_tokens) const {
        auto answer = read(answer_tokens);
        return answer && has_the_numbers(problem(index), *answer) &&
               answer->value == Fraction{problem(index).target, 1};
    }

private:
    void check() const {
        const auto& s = settings_;
        expect(s.smallest_number >= 0 && s.smallest_number <= s.largest_number && s.largest_number < 1'000'000, [&] {
            return "countdown: numbers from " + std::to_string(s.smallest_number) + " to " +
                   std::to_string(s.largest_number) + ", expected 0 <= smallest <= largest < 1000000";
        });
        expect(s.largest_target >= 1,
               [&] { return "countdown: targets up to " + std::to_string(s.largest_target) + ", expected 1 or more"; });
        expect(!s.operators.empty() && s.operators.find_first_not_of("+-*/") == std::string::npos,
               [&] { return "countdown: operators \"" + s.operators + "\", expected one or more of + - * /"; });
        expect(s.train_per_level >= 0 && s.test_per_level >= 0, [&] {
            return "countdown: " + std::to_string(s.train_per_level) + " train and " +
                   std::to_string(s.test_per_level) + " test problems a level, expected 0 or more";
        });
        expect(s.form_score >= 0 && s.form_score < 1, [&] {
            return "countdown: form_score " + std::to_string(s.form_score) + ", expected 0 or more, and less than 1";
        });
        for (auto level = s.numbers.begin(); level != s.numbers.end(); ++level) {
            expect(*level >= 1 && *level <= 8,
                   [&] { return "countdown: a level of " + std::to_string(*level) + " numbers, expected 1 to 8"; });
            expect(std::find(s.numbers.begin(), level, *level) == level,
                   [&] { return "countdown: the level of " + std::to_string(*level) + " numbers is asked for twice"; });
        }
    }

    /// A value, a text for it, and how tightly its last operation binds: 0 sum, 1 product, 2 number.
    struct Piece {
        Fraction value;
        std::string text;
        int binds;
    };
    static std::optional<Piece> join(const Piece& left, char symbol, const Piece& right) {
        auto value = calculate(left.value, symbol, right.value);
        if (!value) return std::nullopt;
        const int binds = symbol == '*' || symbol == '/' ? 1 : 0;
        const bool loose = symbol == '-' || symbol == '/';  // a - (b + c) is not a - b + c
        auto wrapped = [](const Piece& piece, bool wrap) { return wrap ? "(" + piece.text + ")" : piece.text; };
        return Piece{*value,
                     wrapped(left, left.binds < binds) + symbol +
                         wrapped(right, right.binds < binds || (loose && right.binds == binds)),
                     binds};
    }

    /// Joins two random pieces until one is left; nothing where that is no target.
    std::optional<Problem> attempt(std::int32_t level, RandomStream& stream) const {
        std::vector<Piece> pieces;
        Problem problem;
        for (std::int32_t k = 0; k < level; ++k) {
            auto number =
                settings_.smallest_number + stream.below(settings_.largest_number - settings_.smallest_number + 1);
            problem.numbers.push_back(number);
            pieces.push_back({{number, 1}, std::to_string(number), 2});
        }
        auto take = [&] {
            auto chosen = pieces.begin() + stream.below(std::ssize(pieces));
            Piece piece = std::move(*chosen);
            pieces.erase(chosen);
            return piece;
        };
        while (pieces.size() > 1) {
            Piece left = take(), right = take();
            auto symbol = settings_.operators[static_cast<std::size_t>(stream.below(std::ssize(settings_.operators)))];
            auto joined = join(left, symbol, right);
            if (!joined) return std::nullopt;
            pieces.push_back(std::move(*joined));
        }
        const Fraction& value = pieces.front().value;
        if (value.denominator != 1 || value.numerator < 1 || value.numerator > settings_.largest_target)
            return std::nullopt;
        std::sort(problem.numbers.begin(), problem.numbers.end());
        problem.target = value.numerator;
        problem.answer = std::move(pieces.front().text);
        return problem;
    }

    /// `count` problems of different prompts. Error where none new came in 100,000 + 50 count draws.
    std::vector<Problem> draw(std::int32_t level, std::int64_t count, RandomStream& stream) const {
        std::vector<Problem> found;
        std::unordered_set<std::string> prompts;
        const std::int64_t patience = 100'000 + 50 * count;
        for (std::int64_t vain = 0; std::ssize(found) < count; ++vain) {
            expect(vain < patience, [&] {
                return "countdown: asked for " + std::to_string(count) + " different problems of " +
                       std::to_string(level) + " numbers, found " + std::to_string(found.size()) +
                       " and no new one in " + std::to_string(patience) + " draws";
            });
            auto problem = attempt(level, stream);
            if (!problem) continue;
            std::string prompt = std::to_string(problem->target) + ":";
            for (std::size_t k = 0; k < problem->numbers.size(); ++k)
                prompt += (k ? "," : "") + std::to_string(problem->numbers[k]);
            if (!prompts.insert(prompt).second) continue;
            problem->prompt_tokens = vocabulary_.encode(prompt + "=");
            problem->answer_tokens = vocabulary_.encode(problem->answer);
            problem->answer_tokens.push_back(Vocabulary::end);
            found.push_back(std::move(*problem));
            vain = -1;
        }
        // Where nearly all problems are used, those that are drawn seldom come last, and would all be test problems.
        for (std::size_t i = found.size(); i > 1; --i)
            std::swap(found[i - 1], found[static_cast<std::size_t>(stream.below(std::int64_t(i)))]);
        return found;
    }

    std::optional<Calculated> read(std::span<const std::int32_t> tokens) const {
        tokens = tokens.first(
            static_cast<std::size_t>(std::find(tokens.begin(), tokens.end(), Vocabulary::end) - tokens.begin()));
        if (!std::all_of(tokens.begin(), tokens.end(), [&](auto token) { return vocabulary_.contains(token); }))
            return std::nullopt;
        return read_formula(vocabulary_.decode(tokens));
    }
    static bool has_the_numbers(const Problem& problem, Calculated answer) {
        std::sort(answer.numbers.begin(), answer.numbers.end());
        return answer.numbers == problem.numbers;
    }
    std::int64_t longest(std::vector<std::int32_t> Problem::*tokens) const {
        std::size_t most = 0;
        for (const Problem& problem : problems_) most = std::max(most, (problem.*tokens).size());
        return static_cast<std::int64_t>(most);
    }

    CountdownSettings settings_;
    Vocabulary vocabulary_;
    std::vector<Problem> problems_;
    std::int64_t train_count_ = 0;
};

}  // namespace roars::tasks
