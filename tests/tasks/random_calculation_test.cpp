#include "roars/tasks/random_calculation.hpp"
#include "../limits.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cctype>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "roars/metrics/clip_bias.hpp"
#include "roars/metrics/text_overlap.hpp"
#include "roars/tasks/continuous_answer.hpp"
#include "roars/tasks/vocabulary.hpp"

#if !defined(ROARS_GOLDEN_DIR)
#define ROARS_GOLDEN_DIR "tests/golden/data"
#endif

namespace roars::random_calculation_test {
namespace {

using namespace roars::tasks;
using nlohmann::json;

/// Evaluates a text by recursive descent: value := '(' value op value ')' | n | n/d | n^2 | n^3. Knows nothing of
/// postfix.
class TextReader {
public:
    explicit TextReader(const std::string& text) : text_(text) {}

    double read() {
        auto result = value();
        if (place_ != text_.size()) throw std::runtime_error("trailing text in " + text_);
        return result;
    }

private:
    double value() {
        if (text_.at(place_) != '(') return leaf();
        ++place_;
        auto left = value();
        char symbol = text_.at(place_++);
        auto right = value();
        if (text_.at(place_++) != ')') throw std::runtime_error("no ) in " + text_);
        switch (symbol) {
            case '+':
                return left + right;
            case '-':
                return left - right;
            case '*':
                return left * right;
            case ':':
                return left / right;
            default:
                throw std::runtime_error("unknown operator in " + text_);
        }
    }

    double leaf() {
        auto n = number();
        if (place_ == text_.size()) return n;
        if (text_[place_] == '/') return ++place_, n / number();
        if (text_[place_] == '^') return ++place_, std::pow(n, number());
        return n;
    }

    double number() {
        std::size_t begin = place_;
        while (place_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[place_]))) ++place_;
        return std::stod(text_.substr(begin, place_ - begin));
    }

    std::string text_;
    std::size_t place_ = 0;
};

/// A list of uniforms, handed out in order; running out is a failure of the test.
struct Uniforms {
    std::vector<double> values;
    std::size_t used = 0;
    double operator()() { return values.at(used++); }
};

std::vector<json> golden_cases(const std::string& stage, const std::string& name) {
    std::ifstream file(std::string(ROARS_GOLDEN_DIR) + "/55-random-calculation.json");
    EXPECT_TRUE(file) << "no golden file in " << ROARS_GOLDEN_DIR;
    std::vector<json> found;
    for (auto& entry : json::parse(file))
        if (entry["stage"] == stage && entry["case"] == name) found.push_back(entry);
    EXPECT_FALSE(found.empty()) << stage << " " << name;
    return found;
}

template <class Number>
std::vector<Number> list(const json& values) {
    return values.get<std::vector<Number>>();
}

std::string message_of(const auto& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "no roars::Error";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

RandomCalculationSettings integers(std::int32_t largest, std::string operators, std::vector<std::int32_t> steps,
                                   std::int64_t train, std::int64_t test) {
    auto settings = small_integer_calculation();
    settings.largest_operand = largest;
    settings.operators = std::move(operators);
    settings.steps = std::move(steps);
    settings.train_per_level = train;
    settings.test_per_level = test;
    return settings;
}

// A stream's own call gives 32 bits, not a uniform: it must not pass for one.
static_assert(UniformSource<Uniforms> && !UniformSource<RandomStream>);

// ---- properties of the generator

RC_GTEST_PROP(RandomCalculationProperty, TextEvaluatesToItsValue, ()) {
    auto seed = *rc::gen::arbitrary<std::uint64_t>();
    auto steps = *rc::gen::inRange<std::int32_t>(0, 21);
    RandomStream stream(Random(seed, Purpose::task));
    auto expression = ExpressionGenerator({}).draw(steps, stream);
    RC_ASSERT(expression.size() == 2 * static_cast<std::size_t>(steps) + 1);
    auto value = evaluate(expression);
    RC_PRE(value.has_value());
    RC_ASSERT(TextReader(expression_text(expression)).read() == *value);
}

RC_GTEST_PROP(RandomCalculationProperty, IntegerTextEvaluatesExactly, ()) {
    auto seed = *rc::gen::arbitrary<std::uint64_t>();
    auto settings = integers(9, "+-*", {1, 2, 3, 4}, 12, 5);
    for (const auto& level : generate_problem_set(settings, seed)) {
        for (const auto& part : {level.train, level.test})
            for (const auto& problem : part) {
                RC_ASSERT(TextReader(problem.text).read() == problem.value);
                RC_ASSERT(std::count_if(problem.text.begin(), problem.text.end(),
                                        [](char c) { return c == '+' || c == '-' || c == '*'; }) == level.steps);
            }
    }
}

TEST(RandomCalculation, FullDistributionIsDisjointFiniteAndRepeatable) {
    RandomCalculationSettings settings;  // the paper's: 20 levels of 1,000
    auto set = generate_problem_set(settings, 7), again = generate_problem_set(settings, 7);
    ASSERT_EQ(set.size(), 20u);
    std::set<std::string> texts;
    for (std::size_t i = 0; i < set.size(); ++i) {
        EXPECT_EQ(set[i].steps, static_cast<std::int32_t>(i) + 1);
        ASSERT_EQ(set[i].train.size(), 700u);
        ASSERT_EQ(set[i].test.size(), 300u);
        for (auto part : {&CalculationLevel::train, &CalculationLevel::test})
            for (std::size_t k = 0; k < (set[i].*part).size(); ++k) {
                const auto& problem = (set[i].*part)[k];
                EXPECT_TRUE(texts.insert(problem.text).second) << problem.text;
                EXPECT_LE(std::fabs(problem.value), 1e12);
                EXPECT_EQ(problem.text, (again[i].*part)[k].text);
                EXPECT_EQ(problem.value, (again[i].*part)[k].value);
            }
    }
    EXPECT_NE(generate_problem_set(settings, 8)[4].train[0].text, set[4].train[0].text);
}

TEST(RandomCalculation, LevelDoesNotDependOnTheOthers) {
    RandomCalculationSettings all, one;
    all.steps = {1, 5, 10};
    one.steps = {5};
    auto from_all = generate_problem_set(all, 3)[1], alone = generate_problem_set(one, 3)[0];
    for (std::size_t i = 0; i < alone.test.size(); ++i) EXPECT_EQ(from_all.test[i].text, alone.test[i].text);
}

TEST(RandomCalculation, ChoicesAreUniform) {
    RandomStream stream(Random(1, Purpose::task));
    ExpressionGenerator generator({});
    std::vector<double> kinds(8, 0.0);
    constexpr int draws = 20000;
    double left_is_leaf = 0, operand = 0;
    for (int i = 0; i < draws; ++i) {
        auto expression = generator.draw(2, stream);
        for (const auto& node : expression) kinds[static_cast<std::size_t>(node.kind)] += 1;
        left_is_leaf += expression[1].is_leaf() && !expression[2].is_leaf() ? 0 : 1;
        operand += expression[0].a;
    }
    for (int k = 0; k < 4; ++k) EXPECT_NEAR(kinds[static_cast<std::size_t>(k)] / (3.0 * draws), 0.25, 0.01);
    for (int k = 4; k < 8; ++k) EXPECT_NEAR(kinds[static_cast<std::size_t>(k)] / (2.0 * draws), 0.25, 0.01);
    EXPECT_NEAR(left_is_leaf / draws, 0.5, 0.02);  // swapped half of the time
    EXPECT_NEAR(operand / draws, 50.0, 1.0);
}

// ---- small spaces of texts

TEST(RandomCalculation, FindsAllTextsOfASmallSpace) {
    auto set = generate_problem_set(small_integer_calculation(), 11);
    std::set<std::string> texts;
    for (const auto& problem : set[0].train) texts.insert(problem.text);
    EXPECT_EQ(texts.size(), 140u);
    for (const auto& problem : set[0].test) texts.insert(problem.text);
    EXPECT_EQ(texts.size(), 200u);
    for (char a = '0'; a <= '9'; ++a)
        for (char b = '0'; b <= '9'; ++b)
            for (char op : {'+', '-'}) EXPECT_TRUE(texts.count(std::string{'(', a, op, b, ')'}));
}

TEST(RandomCalculation, CountsTexts) {
    EXPECT_EQ(ExpressionGenerator(integers(9, "+-", {1}, 1, 1)).texts(0), 10);
    EXPECT_EQ(ExpressionGenerator(integers(9, "+-", {1}, 1, 1)).texts(1), 200);
    EXPECT_EQ(ExpressionGenerator(integers(9, "+-", {1}, 1, 1)).texts(2), 8000);
    EXPECT_EQ(ExpressionGenerator({}).texts(0), 101 * (1 + 100 + 1 + 1));
    EXPECT_EQ(ExpressionGenerator(integers(1, "+", {1}, 1, 1)).texts(3), 16 * 5);  // Catalan(3) shapes
    auto all = generate_problem_set(integers(1, "+", {3}, 50, 30), 5);             // and all of them are drawn
    EXPECT_EQ(all[0].train.size() + all[0].test.size(), 80u);
}

TEST(RandomCalculation, TooFewTextsIsAnErrorWithTheNumbers) {
    auto too_many = message_of([] { generate_problem_set(integers(9, "+-", {1}, 141, 60), 1); });
    EXPECT_TRUE(contains(too_many, "201") && contains(too_many, "200 texts") && contains(too_many, "1 steps"))
        << too_many;
    // 0..2 divided by 0..2: 9 texts, of which 3 divide by 0. The draws end without an endless loop.
    auto invalid = message_of([] { generate_problem_set(integers(2, "/", {1}, 7, 0), 1); });
    EXPECT_TRUE(contains(invalid, "asked for 7") && contains(invalid, "found 6") && contains(invalid, "9 texts"))
        << invalid;
    EXPECT_EQ(generate_problem_set(integers(2, "/", {1}, 4, 2), 1)[0].train.size(), 4u);
    // 0^3 .. 3^3 and a limit of 8 leaves three leaves.
    auto cubes = integers(3, "+", {0}, 4, 0);
    cubes.leaves = {.integer = false, .fraction = false, .square = false, .cube = true};
    cubes.largest_value = 8;
    EXPECT_TRUE(contains(message_of([&] { generate_problem_set(cubes, 1); }), "found 3"));
}

TEST(RandomCalculation, RefusesSettingsThatMakeNoSense) {
    auto with = [](auto change) {
        auto settings = small_integer_calculation();
        change(settings);
        return message_of([&] { RandomCalculation(settings, 0); });
    };
    EXPECT_TRUE(contains(with([](auto& s) { s.operators = "+x"; }), "'x' at position 1"));
    EXPECT_TRUE(contains(with([](auto& s) { s.operators = "++"; }), "position 1"));
    EXPECT_TRUE(contains(with([](auto& s) { s.operators = ""; }), "no operator"));
    EXPECT_TRUE(contains(with([](auto& s) { s.leaves = {false, false, false, false}; }), "no kind of leaf"));
    EXPECT_TRUE(contains(with([](auto& s) { s.smallest_operand = -1; }), "from -1 to 9"));
    EXPECT_TRUE(contains(with([](auto& s) { s.smallest_operand = 10; }), "from 10 to 9"));
    EXPECT_TRUE(
        contains(with([](auto& s) { s.leaves.fraction = true, s.largest_denominator = 0; }), "denominator is 0"));
    EXPECT_TRUE(contains(with([](auto& s) { s.steps = {-1}; }), "-1 steps"));
    EXPECT_TRUE(contains(message_of([] { ExpressionGenerator({}).draw(-1, Uniforms{}); }), "-1 steps"));
    EXPECT_TRUE(contains(with([](auto& s) { s.steps = {1, 1}; }), "asked for twice"));
    EXPECT_TRUE(contains(with([](auto& s) { s.test_per_level = -1; }), "-1 test"));
    EXPECT_TRUE(contains(with([](auto& s) { s.decimals = 16; }), "16 decimals"));
}

// ---- texts, values, edge cases

TEST(RandomCalculation, DivisionByZeroMakesInvalidWhereverItHides) {
    using K = NodeKind;
    Expression zero_fraction = {{K::integer, 5, 1}, {K::fraction, 0, 7}, {K::divide, 0, 0}};
    Expression zero_square = {{K::integer, 5, 1}, {K::square, 0, 1}, {K::divide, 0, 0}};
    Expression zero_cube = {{K::integer, 5, 1}, {K::cube, 0, 1}, {K::divide, 0, 0}};
    Expression deep = {{K::integer, 1, 1}, {K::integer, 4, 1}, {K::square, 2, 1}, {K::minus, 0, 0},
                       {K::divide, 0, 0},  {K::integer, 3, 1}, {K::plus, 0, 0}};
    for (const auto& expression : {zero_fraction, zero_square, zero_cube, deep})
        EXPECT_FALSE(evaluate(expression)) << expression_text(expression);
    EXPECT_EQ(expression_text(deep), "((1:(4-2^2))+3)");
    EXPECT_EQ(expression_text(zero_fraction), "(5:0/7)");
    EXPECT_EQ(expression_text(zero_cube), "(5:0^3)");
    // Zero over something is a number, and a leaf is an expression of 0 steps.
    EXPECT_EQ(evaluate(Expression{{K::integer, 0, 1}, {K::cube, 2, 1}, {K::divide, 0, 0}}), 0.0);
    EXPECT_EQ(evaluate(Expression{{K::fraction, 3, 4}}), 0.75);
    EXPECT_EQ(evaluate(Expression{{K::cube, 7, 1}}), 343.0);
}

TEST(RandomCalculation, AnswerText) {
    EXPECT_EQ(answer_text(-3, 6), "-3");
    EXPECT_EQ(answer_text(100, 6), "100");
    EXPECT_EQ(answer_text(100, 0), "100");
    EXPECT_EQ(answer_text(-0.0, 6), "0");
    EXPECT_EQ(answer_text(-1e-9, 6), "0");
    EXPECT_EQ(answer_text(0.5, 6), "0.5");
    EXPECT_EQ(answer_text(-2.0 / 3, 4), "-0.6667");
    EXPECT_EQ(answer_text(1e12, 6), "1000000000000");
}

// ---- the task

TEST(RandomCalculation, CanonicalAnswerIsCorrectAndScoresOne) {
    RandomCalculation task(integers(9, "+-*", {1, 2, 3}, 100, 40), 5);
    EXPECT_EQ(task.problem_count(), 420);
    EXPECT_EQ(task.train_count(), 300);
    EXPECT_EQ(task.test_count(), 120);
    std::size_t prompt = 0, answer = 0;
    for (std::int64_t i = 0; i < task.problem_count(); ++i) {
        const auto& problem = task.problem(i);
        EXPECT_EQ(task.vocabulary().decode(problem.prompt_tokens), problem.text + "=");
        EXPECT_EQ(problem.answer_tokens.back(), Vocabulary::end);
        EXPECT_EQ(std::stod(task.vocabulary().decode(problem.answer_tokens)), problem.value);
        EXPECT_EQ(task.score(i, problem.answer_tokens), 1.0);
        EXPECT_TRUE(task.correct(i, problem.answer_tokens));
        auto other = task.vocabulary().encode(std::to_string(static_cast<std::int64_t>(problem.value) + 1));
        EXPECT_NEAR(task.score(i, other), 0.5 - 0.5 * std::min(1.0, 1.0 / (std::fabs(problem.value) + 1e-6)), 1e-12);
        EXPECT_FALSE(task.correct(i, other));
        prompt = std::max(prompt, problem.prompt_tokens.size());
        answer = std::max(answer, problem.answer_tokens.size());
    }
    EXPECT_EQ(task.longest_prompt(), static_cast<std::int64_t>(prompt));
    EXPECT_EQ(task.longest_answer(), static_cast<std::int64_t>(answer));
}

TEST(RandomCalculation, FullDistributionAnswersAreCorrectInTheirDecimals) {
    RandomCalculationSettings settings;
    settings.steps = {5};
    RandomCalculation task(settings, 2);
    for (std::int64_t i = 0; i < task.problem_count(); ++i) {
        const auto& problem = task.problem(i);
        EXPECT_TRUE(task.correct(i, problem.answer_tokens)) << problem.text << " " << problem.answer;
        EXPECT_NEAR(std::stod(problem.answer), problem.value, 0.5e-6 + 1e-15 * std::fabs(problem.value))
            << problem.text;
        if (std::fabs(problem.value) > 0.01) {
            EXPECT_GT(task.score(i, problem.answer_tokens), 0.9999) << problem.text;
        }
    }
}

TEST(RandomCalculation, UglyAnswers) {
    RandomCalculation task(small_integer_calculation(), 0);
    const auto& words = task.vocabulary();
    auto is = [](std::int32_t value) { return [value](const auto& problem) { return problem.value == value; }; };
    auto problems = task.problems();
    auto minus_three = std::find_if(problems.begin(), problems.end(), is(-3)) - problems.begin();
    auto zero = std::find_if(problems.begin(), problems.end(), is(0)) - problems.begin();
    for (auto text : {"", "-", "--3", "3-", "-3=", "(-3)", "1/2", "-3.0.0", "-3-", "."}) {
        EXPECT_EQ(task.score(minus_three, words.encode(text)), 0.0) << text;
        EXPECT_FALSE(task.correct(minus_three, words.encode(text))) << text;
    }
    for (auto text : {"-3", "-3.0", "-03", "-3."}) {
        EXPECT_EQ(task.score(minus_three, words.encode(text)), 1.0) << text;
        EXPECT_TRUE(task.correct(minus_three, words.encode(text))) << text;
    }
    EXPECT_TRUE(task.correct(zero, words.encode("-0")));
    auto padded = words.encode("-3");
    padded.insert(padded.end(), {Vocabulary::end, 4, 99});  // what follows the end symbol does not count
    EXPECT_TRUE(task.correct(minus_three, padded));
    EXPECT_EQ(task.score(minus_three, std::vector<std::int32_t>{1, 99}), 0.0);
    EXPECT_EQ(task.score(minus_three, std::vector<std::int32_t>{-1}), 0.0);
    EXPECT_EQ(task.score(minus_three, std::vector<std::int32_t>{Vocabulary::end}), 0.0);
    EXPECT_TRUE(contains(message_of([&] { task.score(200, padded); }), "problem 200, expected 0 to 199"));
    EXPECT_TRUE(contains(message_of([&] { task.correct(-1, padded); }), "problem -1"));
}

TEST(RandomCalculation, IndicesByLevelAndMix) {
    RandomCalculation task(integers(9, "+-", {1, 3, 2}, 20, 10), 4);
    EXPECT_EQ(task.train().size(), 60u);
    EXPECT_EQ(task.test().size(), 30u);
    std::vector<std::int32_t> levels = {3, 2};
    auto train = task.train(levels), test = task.test(levels);
    EXPECT_EQ(train.size(), 40u);
    EXPECT_EQ(test.size(), 20u);
    for (auto index : train) EXPECT_TRUE(index < task.train_count() && task.problem(index).steps != 1);
    for (auto index : test) EXPECT_TRUE(index >= task.train_count() && task.problem(index).steps != 1);
    EXPECT_TRUE(contains(message_of([&] { task.train(std::vector<std::int32_t>{4}); }), "no level of 4 steps"));

    RandomStream stream(Random(9, Purpose::prompt));
    std::vector<double> mix = {1, 3, 0}, seen(4, 0.0);
    std::set<std::int64_t> indices;
    for (int i = 0; i < 4000; ++i) {
        auto index = task.draw_train(mix, stream);
        seen[static_cast<std::size_t>(task.problem(index).steps)] += 1;
        indices.insert(index);
    }
    EXPECT_NEAR(seen[1] / 4000, 0.25, 0.03);
    EXPECT_NEAR(seen[3] / 4000, 0.75, 0.03);
    EXPECT_EQ(seen[2], 0);
    EXPECT_EQ(indices.size(), 40u);
    EXPECT_LT(*indices.rbegin(), task.train_count());
    for (auto bad : {std::vector<double>{1, 1}, {0, 0, 0}, {1, -1, 1}, {1, nan, 1}, {infinity, 1, 1}})
        EXPECT_TRUE(contains(message_of([&] { task.draw_train(bad, stream); }), "mix")) << bad.size();
}

TEST(Vocabulary, RoundTripAndErrors) {
    auto words = Vocabulary::arithmetic();
    for (std::string text : {"", "(((12^3-4/5)*6):7.89)=", "0123456789+-*:()^/.="})
        EXPECT_EQ(words.decode(words.encode(text)), text);
    auto tokens = words.encode(words.alphabet());
    EXPECT_EQ(std::set<std::int32_t>(tokens.begin(), tokens.end()).size() + 1, static_cast<std::size_t>(words.size()));
    for (auto token : tokens) EXPECT_TRUE(token > Vocabulary::end && token < words.size());
    EXPECT_EQ(words.decode(std::vector<std::int32_t>{tokens[1], Vocabulary::end, tokens[2]}), "1");
    auto unknown = message_of([&] { words.encode("(1+x)"); });
    EXPECT_TRUE(contains(unknown, "'x'") && contains(unknown, "position 3")) << unknown;
    auto byte = message_of([&] { words.encode("1\xc3"); });
    EXPECT_TRUE(contains(byte, "byte 195") && contains(byte, "position 1")) << byte;
    auto outside = message_of([&] { words.decode(std::vector<std::int32_t>{1, words.size()}); });
    EXPECT_TRUE(contains(outside, "token 21") && contains(outside, "position 1")) << outside;
    EXPECT_TRUE(contains(message_of([] { Vocabulary("aba"); }), "'a' occurs twice"));
}

// ---- rewards

TEST(ContinuousAnswer, ParsesNumbersOnly) {
    using tasks::parse_answer;
    EXPECT_EQ(parse_answer("-3"), -3.0);
    EXPECT_EQ(parse_answer("+3"), 3.0);
    EXPECT_EQ(parse_answer(" 0.25\n"), 0.25);
    EXPECT_EQ(parse_answer("-.5"), -0.5);
    EXPECT_EQ(parse_answer("1e3"), 1000.0);
    for (auto text :
         {"", " ", "-", "+", "+-3", "++3", "3 4", "3x", "x", "1/2", "1,5", "nan", "inf", "-inf", "0x10", "1e999"})
        EXPECT_FALSE(parse_answer(text)) << text;
}

TEST(ContinuousAnswer, EdgeCases) {
    using tasks::continuous_reward;
    EXPECT_EQ(continuous_reward(0.0, 0.0), 1.0);
    EXPECT_NEAR(continuous_reward(1e-7, 0.0), 0.95, 1e-6);
    EXPECT_NEAR(continuous_reward(1e-3, 0.0), 0.4995, 1e-12);  // the relative part is spent
    EXPECT_NEAR(continuous_reward(1e12 + 1e6, 1e12), 0.5 - 0.5e-6, 1e-12);
    EXPECT_EQ(continuous_reward(-1e308, 1e308), 0.0);
    EXPECT_EQ(continuous_reward(1.7e308, -1.7e308), 0.0);
    for (double bad : {nan, infinity, -infinity}) {
        EXPECT_EQ(continuous_reward(bad, 1.0), 0.0);
        EXPECT_EQ(continuous_reward(1.0, bad), 0.0);
        EXPECT_EQ(tasks::exact_reward(bad, 1.0), 0.0);
    }
    EXPECT_EQ(continuous_reward("-2.5", -2.5), 1.0);
    EXPECT_EQ(continuous_reward("none", 0.0), 0.0);
    EXPECT_EQ(continuous_reward("nan", 0.0), 0.0);
    EXPECT_EQ(tasks::exact_reward(2.0, 2.0), 1.0);
    EXPECT_EQ(tasks::exact_reward(2.0 + 1e-5, 2.0), 0.0);
}

RC_GTEST_PROP(ContinuousAnswerProperty, InUnitIntervalAndFallsWithDistance, ()) {
    auto reference = static_cast<double>(*rc::gen::inRange(-100000, 100000)) / 64;
    auto near = static_cast<double>(*rc::gen::inRange(0, 100000)) / 1024;
    auto further = near + static_cast<double>(*rc::gen::inRange(0, 100000)) / 1024;
    auto r = tasks::continuous_reward(reference + near, reference);
    RC_ASSERT(r >= 0 && r <= 1);
    RC_ASSERT(r >= tasks::continuous_reward(reference + further, reference));
    RC_ASSERT(r == tasks::continuous_reward(reference - near, reference));
}

TEST(ContinuousAnswer, SpuriousControls) {
    using tasks::majority_incorrect_label;
    std::vector<int> tied = {4, 2, 7, 2, 7, 4, 1};
    EXPECT_EQ(majority_incorrect_label<int>(tied, 1), 4);
    EXPECT_EQ(majority_incorrect_label<int>(tied, 4), 2);
    EXPECT_EQ(majority_incorrect_label<int>(std::vector<int>{3, 3}, 3), std::nullopt);
    EXPECT_EQ(majority_incorrect_label<int>({}, 3), std::nullopt);
    std::vector<double> none_given = {nan, nan, nan, 2.5};
    EXPECT_EQ(majority_incorrect_label<double>(none_given, 1.0), 2.5);
    EXPECT_EQ(majority_incorrect_label<double>(std::vector<double>{nan, 1.0}, 1.0), std::nullopt);
    EXPECT_EQ(tasks::random_reward(0.5, 0.5), 0.0);
    EXPECT_EQ(tasks::random_reward(0.0, 0.0), 0.0);
    EXPECT_EQ(tasks::random_reward(0.999, 1.0), 1.0);
    EXPECT_EQ(tasks::inverted_reward(0.25), 0.75);
}

// ---- measures

TEST(TextOverlap, EdgeCases) {
    std::vector<std::int32_t> prompt = {1, 2, 3, 4, 5}, none;
    EXPECT_EQ(metrics::cut_prompt(prompt, 0.5).shown.size(), 2u);
    EXPECT_EQ(metrics::cut_prompt(prompt, 0.5).rest.front(), 3);
    EXPECT_TRUE(metrics::cut_prompt(prompt, 0).shown.empty());
    EXPECT_TRUE(metrics::cut_prompt(prompt, 1).rest.empty());
    EXPECT_TRUE(contains(message_of([&] { metrics::cut_prompt(prompt, 1.5); }), "ratio is 1.5"));
    EXPECT_THROW(metrics::cut_prompt(prompt, nan), Error);

    auto whole = metrics::partial_prompt_outcome(prompt, prompt, std::vector<std::int32_t>{4, 5}, 1.0);
    EXPECT_TRUE(whole.rouge_l == 0 && !whole.exact_match && whole.answer_found);  // ratio 1: the reference is empty
    auto silent = metrics::partial_prompt_outcome(prompt, none, std::vector<std::int32_t>{4}, 0.4);
    EXPECT_TRUE(silent.rouge_l == 0 && !silent.exact_match && !silent.answer_found);
    // A completion that stops early is no exact match, though all of it is right.
    auto early = metrics::partial_prompt_outcome(prompt, std::vector<std::int32_t>{3, 4}, prompt, 0.4);
    EXPECT_FALSE(early.exact_match);
    EXPECT_NEAR(early.rouge_l, 2 * 1.0 * (2.0 / 3) / (1 + 2.0 / 3), 1e-15);

    auto rates = metrics::partial_prompt_rates({});
    EXPECT_TRUE(rates.prompts == 0 && rates.mean_rouge_l == 0 && rates.exact_match == 0 && rates.answer_found == 0);
    std::vector<std::int64_t> one = {0, 5}, two = {0, 2, 5};
    EXPECT_TRUE(contains(message_of([&] {
                             metrics::partial_prompt_outcomes({prompt, one}, {prompt, two}, {prompt, one}, 0.5);
                         }),
                         "1 prompts, 2 completions and 1 answers"));
}

/// The longest common subsequence by trying every subset of a.
std::int64_t slow_common_subsequence(const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b) {
    std::int64_t longest = 0;
    for (unsigned subset = 0; subset < 1u << a.size(); ++subset) {
        std::size_t place = 0;
        std::int64_t length = 0;
        bool fits = true;
        for (std::size_t i = 0; i < a.size() && fits; ++i) {
            if (!(subset >> i & 1u)) continue;
            while (place < b.size() && b[place] != a[i]) ++place;
            fits = place++ < b.size();
            ++length;
        }
        if (fits) longest = std::max(longest, length);
    }
    return longest;
}

RC_GTEST_PROP(TextOverlapProperty, LongestCommonSubsequence, ()) {
    auto token = rc::gen::inRange<std::int32_t>(0, 3);
    auto tokens = rc::gen::resize(8, rc::gen::container<std::vector<std::int32_t>>(token));
    auto a = *tokens, b = *tokens;
    RC_ASSERT(metrics::longest_common_subsequence(a, b) == slow_common_subsequence(a, b));
    RC_ASSERT(metrics::rouge_l(a, b) == metrics::rouge_l(b, a));
    RC_ASSERT(metrics::rouge_l(a, a) == (a.empty() ? 0.0 : 1.0));
}

TEST(ClipBias, BoundsAndSaturation) {
    EXPECT_EQ(metrics::clip_bias(0.8, 1.0), 0.0);
    EXPECT_EQ(metrics::clip_bias(1.2, 1.0), 0.0);
    EXPECT_EQ(metrics::clip_bias(0.79, 2.0), 2.0);
    EXPECT_EQ(metrics::clip_bias(1.21, 2.0), -2.0);
    EXPECT_FALSE(metrics::upper_clip_reachable(0.85));
    EXPECT_TRUE(metrics::upper_clip_reachable(0.5));
    EXPECT_EQ(metrics::mean_positive_part({}), 0.0);
    EXPECT_EQ(metrics::mean_positive_part(std::vector<double>{-1, 1, 3, -3}), 1.0);
}

// ---- golden numbers

TEST(RandomCalculationGolden, Sampler) {
    ExpressionGenerator generator({});
    for (const auto& entry : golden_cases("sampler", "sampler")) {
        const auto& expected = entry["expected"];
        Uniforms uniforms{list<double>(entry["inputs"]["uniform"])};
        auto expression = generator.draw(entry["inputs"]["steps"].get<std::int32_t>(), uniforms);
        std::vector<std::int32_t> kind, a, b;
        for (const auto& node : expression) {
            kind.push_back(static_cast<std::int32_t>(node.kind));
            a.push_back(node.a);
            b.push_back(node.b);
        }
        EXPECT_EQ(kind, list<std::int32_t>(expected["kind"]));
        EXPECT_EQ(a, list<std::int32_t>(expected["a"]));
        EXPECT_EQ(b, list<std::int32_t>(expected["b"]));
        EXPECT_EQ(uniforms.used, expected["used"].get<std::size_t>());
        auto value = evaluate(expression);
        ASSERT_EQ(value.has_value(), expected["valid"] == 1);
        if (value) {
            EXPECT_NEAR(*value, expected["value"].get<double>(), entry["tolerance"].get<double>());
        }
    }
}

TEST(RandomCalculationGolden, ContinuousReward) {
    for (const auto& entry : golden_cases("reward", "reward.1")) {
        const auto& in = entry["inputs"];
        auto answer = list<double>(in["answer"]), reference = list<double>(in["reference"]);
        auto given = list<int>(in["answer_ok"]);
        auto expected = list<double>(entry["expected"]["reward"]);
        ASSERT_FALSE(answer.empty());
        for (std::size_t i = 0; i < answer.size(); ++i)
            EXPECT_NEAR(tasks::continuous_reward(given[i] ? answer[i] : nan, reference[i], in["eps"].get<double>()),
                        expected[i], entry["tolerance"].get<double>());
    }
}

TEST(RandomCalculationGolden, SpuriousRewards) {
    for (const auto& entry : golden_cases("reward", "reward.2")) {
        const auto& in = entry["inputs"];
        auto offsets = list<std::size_t>(in["group_offsets"]);
        auto answers = list<std::int64_t>(in["answer"]), reference = list<std::int64_t>(in["reference"]);
        auto uniform = list<double>(in["uniform"]);
        std::vector<double> random, correct, inverted, majority_incorrect;
        std::vector<std::int64_t> labels;
        for (std::size_t g = 0; g + 1 < offsets.size(); ++g) {
            auto group = std::span<const std::int64_t>(answers).subspan(offsets[g], offsets[g + 1] - offsets[g]);
            auto label = tasks::majority_incorrect_label(group, reference[g]);
            labels.push_back(label.value_or(-1));
            for (std::size_t i = offsets[g]; i < offsets[g + 1]; ++i) {
                random.push_back(tasks::random_reward(uniform[i], in["gamma"].get<double>()));
                correct.push_back(
                    tasks::exact_reward(static_cast<double>(answers[i]), static_cast<double>(reference[g])));
                inverted.push_back(tasks::inverted_reward(correct.back()));
                majority_incorrect.push_back(label == answers[i] ? 1.0 : 0.0);
            }
        }
        const auto& expected = entry["expected"];
        EXPECT_EQ(random, list<double>(expected["random"]));
        EXPECT_EQ(correct, list<double>(expected["correct"]));
        EXPECT_EQ(inverted, list<double>(expected["inverted"]));
        EXPECT_EQ(majority_incorrect, list<double>(expected["majority_incorrect"]));
        EXPECT_EQ(labels, list<std::int64_t>(expected["label"]));
    }
}

TEST(RandomCalculationGolden, PartialPrompts) {
    for (const auto& entry : golden_cases("metric", "metric.1")) {
        const auto& in = entry["inputs"];
        auto prompt = list<std::int32_t>(in["prompt"]), completion = list<std::int32_t>(in["completion"]),
             answer = list<std::int32_t>(in["answer"]);
        auto prompts = list<std::int64_t>(in["prompt_offsets"]),
             completions = list<std::int64_t>(in["completion_offsets"]),
             answers = list<std::int64_t>(in["answer_offsets"]);
        auto outcomes = metrics::partial_prompt_outcomes({prompt, prompts}, {completion, completions},
                                                         {answer, answers}, in["ratio"].get<double>());
        const auto& expected = entry["expected"];
        auto tolerance = entry["tolerance"].get<double>();
        ASSERT_EQ(outcomes.size(), expected["rouge_l"].size());
        for (std::size_t i = 0; i < outcomes.size(); ++i) {
            EXPECT_NEAR(outcomes[i].rouge_l, expected["rouge_l"][i].get<double>(), tolerance);
            EXPECT_EQ(outcomes[i].exact_match, expected["exact_match"][i] == 1);
            EXPECT_EQ(outcomes[i].answer_found, expected["answer_found"][i] == 1);
        }
        auto rates = metrics::partial_prompt_rates(outcomes);
        EXPECT_NEAR(rates.mean_rouge_l, expected["mean_rouge_l"].get<double>(), tolerance);
        EXPECT_NEAR(rates.exact_match, expected["exact_match_rate"].get<double>(), tolerance);
        EXPECT_NEAR(rates.answer_found, expected["answer_rate"].get<double>(), tolerance);
    }
}

TEST(RandomCalculationGolden, ClipBias) {
    for (const auto& entry : golden_cases("metric", "metric.2")) {
        const auto& in = entry["inputs"];
        auto low = in["clip_low"].get<double>(), high = in["clip_high"].get<double>();
        const auto& expected = entry["expected"];
        auto tolerance = entry["tolerance"].get<double>();
        auto mu = metrics::mean_positive_part(list<double>(in["advantage"]));
        EXPECT_NEAR(mu, expected["mu"].get<double>(), tolerance);
        auto ratio = list<double>(in["ratio"]), p_old = list<double>(in["p_old"]);
        ASSERT_FALSE(ratio.empty());
        for (std::size_t i = 0; i < ratio.size(); ++i) {
            EXPECT_NEAR(metrics::clip_bias(ratio[i], mu, low, high), expected["bias"][i].get<double>(), tolerance);
            EXPECT_EQ(metrics::upper_clip_reachable(p_old[i], high), expected["upper_reachable"][i] == 1);
        }
    }
}

}  // namespace
}  // namespace roars::random_calculation_test
