#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "roars/error.hpp"
#include "roars/fields.hpp"
#include "roars/random.hpp"
#include "roars/tasks/continuous_answer.hpp"
#include "roars/tasks/vocabulary.hpp"

/// RandomCalculation: arithmetic that no model can have seen, drawn anew from a seed. Source: arXiv 2507.10532,
/// section 4.
namespace roars::tasks {

/// What the paper puts, in substance, before the expression for a large language model. The small transformer gets the
/// expression and '=' instead.
inline constexpr std::string_view calculation_instruction =
    "Evaluate the expression step by step and put the final value into \\boxed{}: ";

/// What an expression is made of: four kinds of leaf, four operations.
enum class NodeKind : std::int32_t { integer, fraction, square, cube, plus, minus, times, divide };

/// One entry of an expression in postfix. Leaves: a, a/b, a^2, a^3, with b = 1 where unused; operations: a = b = 0.
struct ExpressionNode {
    NodeKind kind;
    std::int32_t a, b;

    bool is_leaf() const { return kind < NodeKind::plus; }
};
using Expression = std::vector<ExpressionNode>;

/// Which leaves an expression may have.
struct LeafKinds {
    bool integer = true, fraction = true, square = true, cube = true;
};
ROARS_FIELDS(LeafKinds, integer, fraction, square, cube)

/// What to draw. The defaults are the paper's: 20 levels (1 to 20 operations), 700 + 300 problems each.
struct RandomCalculationSettings {
    std::int32_t smallest_operand = 0;
    std::int32_t largest_operand = 100;
    std::int32_t largest_denominator = 100;
    LeafKinds leaves;
    std::string operators = "+-*/";
    std::vector<std::int32_t> steps = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20};
    std::int64_t train_per_level = 700;
    std::int64_t test_per_level = 300;
    double largest_value = 1e12;  ///< a problem beyond it is drawn again: its relative error would say nothing
    std::int32_t decimals = 6;    ///< of an answer; zeros at its end are left out
};
ROARS_FIELDS(RandomCalculationSettings, smallest_operand, largest_operand, largest_denominator, leaves, operators,
             steps, train_per_level, test_per_level, largest_value, decimals)

/// One operation, + or -, on integers from 0 to 9: what a small character transformer learns in minutes. There are 200
/// such texts, and all of them are used.
inline RandomCalculationSettings small_integer_calculation() {
    RandomCalculationSettings settings;
    settings.largest_operand = 9;
    settings.leaves = {.integer = true, .fraction = false, .square = false, .cube = false};
    settings.operators = "+-";
    settings.steps = {1};
    settings.train_per_level = 140;
    settings.test_per_level = 60;
    return settings;
}

/// A source of uniforms in [0, 1). Not RandomStream itself, whose call gives 32 bits: hand over its `uniform`.
template <class Source>
concept UniformSource = requires(Source& source) {
    { source() } -> std::floating_point;
};

/// The value of an expression in double, leaves first, a cube as (a*a)*a; nothing where it divides by exactly 0.
inline std::optional<double> evaluate(std::span<const ExpressionNode> expression) {
    std::vector<double> stack;
    for (const auto& node : expression) {
        double a = node.a;
        if (node.is_leaf()) {
            stack.push_back(node.kind == NodeKind::integer    ? a
                            : node.kind == NodeKind::fraction ? a / node.b
                            : node.kind == NodeKind::square   ? a * a
                                                              : (a * a) * a);
            continue;
        }
        double right = stack.back();
        stack.pop_back();
        double& left = stack.back();
        if (node.kind == NodeKind::divide && right == 0) return std::nullopt;
        left = node.kind == NodeKind::plus    ? left + right
               : node.kind == NodeKind::minus ? left - right
               : node.kind == NodeKind::times ? left * right
                                              : left / right;
    }
    return stack.back();
}

/// Leaves as n, n/d, n^2, n^3; an operation as (left op right) with op of + - * : and no blanks, so that '/' belongs to
/// leaves alone and every text has one reading.
inline std::string expression_text(std::span<const ExpressionNode> expression) {
    std::vector<std::string> stack;
    for (const auto& node : expression) {
        if (node.is_leaf()) {
            auto tail = node.kind == NodeKind::integer    ? std::string()
                        : node.kind == NodeKind::fraction ? "/" + std::to_string(node.b)
                        : node.kind == NodeKind::square   ? std::string("^2")
                                                          : std::string("^3");
            stack.push_back(std::to_string(node.a) + tail);
            continue;
        }
        auto right = std::move(stack.back());
        stack.pop_back();
        auto symbol = "+-*:"[static_cast<int>(node.kind) - static_cast<int>(NodeKind::plus)];
        stack.back() = "(" + stack.back() + symbol + right + ")";
    }
    return std::move(stack.back());
}

/// A value with at most `decimals` digits after the point and no zeros at the end: "-3", "0.5", never "-0".
inline std::string answer_text(double value, std::int32_t decimals) {
    std::array<char, 400> buffer;
    auto end =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, decimals).ptr;
    std::string text(buffer.data(), end);
    if (text.find('.') != std::string::npos) {
        text.erase(text.find_last_not_of('0') + 1);
        if (text.back() == '.') text.pop_back();
    }
    return text == "-0" ? "0" : text;
}

/// Draws expressions, one uniform for each choice, in this order (n kinds of leaf, m operators, those that are
/// allowed):
///   build(0): kind = int(n u); a = smallest + int(count u); for a fraction b = 1 + int(largest_denominator u).
///   build(i): j = int(ceil(i/2) u); left = build(j); right = build(i-1-j); operator = int(m u); swapped if u < 0.5.
class ExpressionGenerator {
public:
    explicit ExpressionGenerator(const RandomCalculationSettings& settings)
        : smallest_(settings.smallest_operand),
          operands_(static_cast<std::int64_t>(settings.largest_operand) - settings.smallest_operand + 1),
          denominators_(settings.largest_denominator) {
        expect(smallest_ >= 0 && operands_ > 0, [&] {
            return "random calculation: operands from " + std::to_string(smallest_) + " to " +
                   std::to_string(settings.largest_operand) + ", expected 0 <= smallest <= largest";
        });
        const auto& leaves = settings.leaves;
        if (leaves.integer) leaves_.push_back(NodeKind::integer);
        if (leaves.fraction) leaves_.push_back(NodeKind::fraction);
        if (leaves.square) leaves_.push_back(NodeKind::square);
        if (leaves.cube) leaves_.push_back(NodeKind::cube);
        expect(!leaves_.empty(), "random calculation: no kind of leaf is allowed, expected one or more");
        expect(!leaves.fraction || denominators_ > 0, [&] {
            return "random calculation: the largest denominator is " + std::to_string(denominators_) +
                   ", expected 1 or more";
        });
        read_operators(settings.operators);
    }

    /// An expression of `steps` operations in postfix.
    template <UniformSource Source>
    Expression draw(std::int32_t steps, Source&& uniform) const {
        check(steps);
        Expression expression;
        expression.reserve(2 * static_cast<std::size_t>(steps) + 1);
        build(steps, uniform, expression);
        return expression;
    }
    Expression draw(std::int32_t steps, RandomStream& stream) const {
        return draw(steps, [&stream] { return stream.uniform(); });
    }

    /// How many texts of `steps` operations exist, those that divide by 0 among them: T(0) = leaves,
    /// T(i) = operators * sum_j T(j) T(i-1-j). May be infinite in double.
    double texts(std::int32_t steps) const {
        check(steps);
        std::vector<double> count = {0};
        for (auto kind : leaves_)
            count[0] += static_cast<double>(operands_) * (kind == NodeKind::fraction ? denominators_ : 1);
        for (std::size_t i = 1; i <= static_cast<std::size_t>(steps); ++i) {
            double pairs = 0;
            for (std::size_t j = 0; j < i; ++j) pairs += count[j] * count[i - 1 - j];
            count.push_back(static_cast<double>(operators_.size()) * pairs);
        }
        return count.back();
    }

private:
    static void check(std::int32_t steps) {
        expect(steps >= 0, [&] {
            return "random calculation: an expression of " + std::to_string(steps) + " steps, expected 0 or more";
        });
    }

    void read_operators(const std::string& operators) {
        for (std::size_t i = 0; i < operators.size(); ++i) {
            auto place = std::string_view("+-*/").find(operators[i]);
            expect(place != std::string_view::npos && operators.find(operators[i]) == i, [&] {
                return "random calculation: operator '" + operators.substr(i, 1) + "' at position " +
                       std::to_string(i) + " of \"" + operators + "\", expected + - * / once each";
            });
            operators_.push_back(
                static_cast<NodeKind>(static_cast<std::int32_t>(NodeKind::plus) + static_cast<std::int32_t>(place)));
        }
        expect(!operators_.empty(), "random calculation: no operator is allowed, expected one or more of + - * /");
    }

    template <class Source>
    static std::int64_t choose(std::int64_t count, Source& uniform) {
        return std::min(static_cast<std::int64_t>(static_cast<double>(count) * uniform()), count - 1);
    }

    template <class Source>
    void build(std::int32_t steps, Source& uniform, Expression& out) const {
        if (steps == 0) {
            auto kind = leaves_[static_cast<std::size_t>(choose(static_cast<std::int64_t>(leaves_.size()), uniform))];
            auto a = smallest_ + static_cast<std::int32_t>(choose(operands_, uniform));
            auto b = kind == NodeKind::fraction ? 1 + static_cast<std::int32_t>(choose(denominators_, uniform)) : 1;
            out.push_back({kind, a, b});
            return;
        }
        auto begin = static_cast<std::ptrdiff_t>(out.size());
        auto smaller = static_cast<std::int32_t>(choose((steps + 1) / 2, uniform));
        build(smaller, uniform, out);
        auto middle = static_cast<std::ptrdiff_t>(out.size());
        build(steps - 1 - smaller, uniform, out);
        auto operation =
            operators_[static_cast<std::size_t>(choose(static_cast<std::int64_t>(operators_.size()), uniform))];
        if (uniform() < 0.5) std::rotate(out.begin() + begin, out.begin() + middle, out.end());
        out.push_back({operation, 0, 0});
    }

    std::int32_t smallest_;
    std::int64_t operands_;
    std::int32_t denominators_;
    std::vector<NodeKind> leaves_, operators_;
};

/// An expression as text, its number of operations and its value.
struct Calculation {
    std::string text;
    std::int32_t steps;
    double value;
};

/// The problems of one number of operations. No text occurs twice in train and test together.
struct CalculationLevel {
    std::int32_t steps;
    std::vector<Calculation> train, test;
};
using ProblemSet = std::vector<CalculationLevel>;

/// A count that may be beyond any integer: "200", "1.5e+80".
inline std::string count_text(double count) {
    std::array<char, 32> buffer;
    auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), count, std::chars_format::general, 15).ptr;
    return std::string(buffer.data(), end);
}

/// `count` problems of `steps` operations with different texts, in the order drawn. Divisions by 0, values beyond
/// `largest_value` and repeated texts are drawn again; Error where there are not enough texts, or where none new came
/// in 100,000 + 50 count draws (a text that is one of `count` equally likely ones is missed so with probability e^-50).
inline std::vector<Calculation> draw_calculations(const RandomCalculationSettings& settings, std::int32_t steps,
                                                  std::int64_t count, RandomStream& stream) {
    ExpressionGenerator generator(settings);
    double exist = generator.texts(steps);
    auto asked = [&] {
        return "random calculation: asked for " + std::to_string(count) + " different problems of " +
               std::to_string(steps) + " steps, ";
    };
    expect(static_cast<double>(count) <= exist, [&] { return asked() + "only " + count_text(exist) + " texts exist"; });
    std::vector<Calculation> found;
    std::unordered_set<std::string> texts;
    const std::int64_t patience = 100'000 + 50 * count;
    for (std::int64_t vain = 0; static_cast<std::int64_t>(found.size()) < count; ++vain) {
        expect(vain < patience, [&] {
            return asked() + "found " + std::to_string(found.size()) + " valid ones among " + count_text(exist) +
                   " texts, and no new one in " + std::to_string(patience) + " draws";
        });
        auto expression = generator.draw(steps, stream);
        auto value = evaluate(expression);
        if (!value || !(std::fabs(*value) <= settings.largest_value)) continue;
        auto [text, fresh] = texts.insert(expression_text(expression));
        if (!fresh) continue;
        found.push_back({*text, steps, *value});
        vain = -1;
    }
    return found;
}

/// The problems of every level of `settings`, a function of the settings and the seed. A level's problems do not depend
/// on which other levels are asked for. They are shuffled before they are split: where nearly all texts are used, those
/// that are drawn seldom come last, and would all be test problems.
inline ProblemSet generate_problem_set(const RandomCalculationSettings& settings, std::uint64_t seed) {
    expect(settings.train_per_level >= 0 && settings.test_per_level >= 0, [&] {
        return "random calculation: " + std::to_string(settings.train_per_level) + " train and " +
               std::to_string(settings.test_per_level) + " test problems a level, expected 0 or more";
    });
    ProblemSet set;
    for (auto steps : settings.steps) {
        expect(std::none_of(set.begin(), set.end(), [&](const auto& level) { return level.steps == steps; }), [&] {
            return "random calculation: the level of " + std::to_string(steps) + " steps is asked for twice";
        });
        auto source = Random(seed, Purpose::task).at(static_cast<std::uint32_t>(steps));
        RandomStream draws(source), order(source.of(Purpose::shuffle));
        auto problems = draw_calculations(settings, steps, settings.train_per_level + settings.test_per_level, draws);
        for (std::size_t i = problems.size(); i > 1; --i)
            std::swap(problems[i - 1], problems[static_cast<std::size_t>(order.below(static_cast<std::int64_t>(i)))]);
        auto split = problems.begin() + settings.train_per_level;
        set.push_back({steps, {problems.begin(), split}, {split, problems.end()}});
    }
    return set;
}

/// RandomCalculation for a policy of characters: prompt "expression=", answer the value's text and the end symbol.
/// Problem indices run over the training problems of all levels, level by level, then over the test problems likewise.
class RandomCalculation {
public:
    struct Problem {
        std::string text;
        std::int32_t steps;
        double value;
        std::string answer;                       ///< the value to settings().decimals decimals
        std::vector<std::int32_t> prompt_tokens;  ///< text and '='
        std::vector<std::int32_t> answer_tokens;  ///< answer and the end symbol
    };

    explicit RandomCalculation(RandomCalculationSettings settings = {}, std::uint64_t seed = 0)
        : settings_(std::move(settings)), vocabulary_(Vocabulary::arithmetic()) {
        expect(settings_.decimals >= 0 && settings_.decimals <= 15, [&] {
            return "random calculation: answers of " + std::to_string(settings_.decimals) +
                   " decimals, expected 0 to 15";
        });
        auto set = generate_problem_set(settings_, seed);
        for (const auto& level : set)
            for (const auto& calculation : level.train) add(calculation);
        train_count_ = problem_count();
        for (const auto& level : set)
            for (const auto& calculation : level.test) add(calculation);
    }

    const RandomCalculationSettings& settings() const { return settings_; }
    const Vocabulary& vocabulary() const { return vocabulary_; }

    std::int64_t problem_count() const { return static_cast<std::int64_t>(problems_.size()); }
    std::int64_t train_count() const { return train_count_; }
    std::int64_t test_count() const { return problem_count() - train_count_; }
    std::span<const Problem> problems() const { return problems_; }
    const Problem& problem(std::int64_t index) const {
        expect(index >= 0 && index < problem_count(), [&] {
            return "random calculation: problem " + std::to_string(index) + ", expected 0 to " +
                   std::to_string(problem_count() - 1);
        });
        return problems_[static_cast<std::size_t>(index)];
    }

    /// Indices of the training problems whose number of steps is among `levels`; of all without any.
    std::vector<std::int64_t> train(std::span<const std::int32_t> levels = {}) const {
        return of_levels(0, train_count_, levels);
    }
    /// The same of the held-out problems.
    std::vector<std::int64_t> test(std::span<const std::int32_t> levels = {}) const {
        return of_levels(train_count_, problem_count(), levels);
    }

    /// Index of a training problem: a level with probability in proportion to `mix` (one weight for each of
    /// settings().steps), then a problem of it, each equally likely.
    std::int64_t draw_train(std::span<const double> mix, RandomStream& stream) const {
        double total = 0;
        for (double weight : mix) total += weight >= 0 ? weight : std::nan("");
        expect(mix.size() == settings_.steps.size() && total > 0 && std::isfinite(total) && train_count_ > 0, [&] {
            return "random calculation: a mix of " + std::to_string(mix.size()) + " weights for " +
                   std::to_string(settings_.steps.size()) + " levels of " + std::to_string(settings_.train_per_level) +
                   " training problems, expected one weight of 0 or more each, not all 0, and a problem or more";
        });
        double left = stream.uniform() * total;
        std::size_t chosen = 0;  // always a level of positive weight, however the sums round
        for (std::size_t level = 0; level < mix.size() && left >= 0; ++level) {
            if (mix[level] > 0) chosen = level;
            left -= mix[level];
        }
        return static_cast<std::int64_t>(chosen) * settings_.train_per_level + stream.below(settings_.train_per_level);
    }

    /// Tokens of the longest prompt, and of the longest answer with its end symbol: what a policy's context must hold.
    std::int64_t longest_prompt() const { return longest(&Problem::prompt_tokens); }
    std::int64_t longest_answer() const { return longest(&Problem::answer_tokens); }

    /// Continuous reward of an answer, in [0, 1]; 0 where the tokens up to the first end symbol (or to their own end,
    /// for an answer as long as it may be) are no number.
    double score(std::int64_t index, std::span<const std::int32_t> answer_tokens) const {
        auto answer = read_answer(answer_tokens);
        return continuous_reward(answer.value_or(std::nan("")), problem(index).value);
    }

    /// Whether the answer is the reference to settings().decimals decimals, however it is written ("-3", "-3.0").
    bool correct(std::int64_t index, std::span<const std::int32_t> answer_tokens) const {
        const auto& reference = problem(index).answer;
        auto answer = read_answer(answer_tokens);
        return answer && answer_text(*answer, settings_.decimals) == reference;
    }

private:
    void add(const Calculation& calculation) {
        auto answer = answer_text(calculation.value, settings_.decimals);
        auto answer_tokens = vocabulary_.encode(answer);
        answer_tokens.push_back(Vocabulary::end);
        problems_.push_back({calculation.text, calculation.steps, calculation.value, std::move(answer),
                             vocabulary_.encode(calculation.text + "="), std::move(answer_tokens)});
    }

    /// A token outside the vocabulary (a policy may have spare ones) makes the answer ill-formed.
    std::optional<double> read_answer(std::span<const std::int32_t> tokens) const {
        tokens = tokens.first(
            static_cast<std::size_t>(std::find(tokens.begin(), tokens.end(), Vocabulary::end) - tokens.begin()));
        if (!std::all_of(tokens.begin(), tokens.end(), [&](auto token) { return vocabulary_.contains(token); }))
            return std::nullopt;
        return parse_answer(vocabulary_.decode(tokens));
    }

    std::vector<std::int64_t> of_levels(std::int64_t begin, std::int64_t end,
                                        std::span<const std::int32_t> levels) const {
        for (auto steps : levels)
            expect(std::find(settings_.steps.begin(), settings_.steps.end(), steps) != settings_.steps.end(), [&] {
                return "random calculation: there is no level of " + std::to_string(steps) + " steps among the " +
                       std::to_string(settings_.steps.size()) + " generated";
            });
        std::vector<std::int64_t> indices;
        for (auto i = begin; i < end; ++i) {
            auto steps = problems_[static_cast<std::size_t>(i)].steps;
            if (levels.empty() || std::find(levels.begin(), levels.end(), steps) != levels.end()) indices.push_back(i);
        }
        return indices;
    }

    std::int64_t longest(std::vector<std::int32_t> Problem::*tokens) const {
        std::size_t most = 0;
        for (const auto& problem : problems_) most = std::max(most, (problem.*tokens).size());
        return static_cast<std::int64_t>(most);
    }

    RandomCalculationSettings settings_;
    Vocabulary vocabulary_;
    std::vector<Problem> problems_;
    std::int64_t train_count_ = 0;
};

}  // namespace roars::tasks
