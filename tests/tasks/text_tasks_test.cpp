#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "roars/tasks/calculation_domains.hpp"
#include "roars/tasks/countdown.hpp"
#include "roars/train/language_learner.hpp"

namespace roars::text_tasks_test {
namespace {

using namespace roars::tasks;

static_assert(train::TextTask<Countdown> && train::TextTask<CalculationDomains>);

double value_of_text(const std::string& text) {
    auto read = read_formula(text);
    return read ? double(read->value.numerator) / double(read->value.denominator)
                : std::numeric_limits<double>::quiet_NaN();
}

TEST(Formula, FollowsTheUsualOrder) {
    EXPECT_EQ(value_of_text("2+3*4"), 14);
    EXPECT_EQ(value_of_text("(2+3)*4"), 20);
    EXPECT_EQ(value_of_text("8-3-2"), 3);
    EXPECT_EQ(value_of_text("8-(3-2)"), 7);
    EXPECT_EQ(value_of_text("8/4/2"), 1);
    EXPECT_EQ(value_of_text("8/(4/2)"), 4);
    EXPECT_EQ(value_of_text("1/3+1/6"), 0.5);
    EXPECT_EQ(value_of_text("2-5"), -3);
    EXPECT_EQ(value_of_text("((((7))))"), 7);
    EXPECT_EQ(value_of_text("1/(2-5)"), -1.0 / 3);
    EXPECT_EQ(read_formula("3*5+7")->numbers, (std::vector<std::int64_t>{3, 5, 7}));
}

TEST(Formula, RefusesWhatIsNone) {
    for (const char* text : {"", "+", "-3", "3+", "3*-2", "()", "(3", "3)", "3 4", "3(4)", "3..4", "1/0", "4/(2-2)",
                             "1000000000", "=", "3=3", "a"})
        EXPECT_FALSE(read_formula(text).has_value()) << text;
    EXPECT_FALSE(read_formula("999999999*999999999*999999999").has_value());  // leaves 64 bits
    EXPECT_TRUE(read_formula(std::string(60, '(') + "1" + std::string(60, ')')).has_value());
    EXPECT_FALSE(read_formula(std::string(100000, '(') + "1" + std::string(100000, ')')).has_value());
}

RC_GTEST_PROP(Formula, AgreesWithDoubles, ()) {
    auto number = [] { return double(*rc::gen::inRange(0, 30)); };
    auto text = [](double x) { return std::to_string(int(x)); };
    double a = number(), b = number(), c = number(), d = number();
    RC_ASSERT(value_of_text(text(a) + "*" + text(b) + "-" + text(c) + "*" + text(d)) == a * b - c * d);
    RC_ASSERT(value_of_text("(" + text(a) + "-" + text(b) + ")*(" + text(c) + "+" + text(d) + ")") ==
              (a - b) * (c + d));
    if (d != 0) RC_ASSERT(std::abs(value_of_text(text(a) + "-" + text(b) + "/" + text(d)) - (a - b / d)) < 1e-12);
}

Countdown small_countdown(std::uint64_t seed) {
    return Countdown({.numbers = {2, 4}, .operators = "+-*/", .train_per_level = 60, .test_per_level = 20}, seed);
}

TEST(Countdown, EveryProblemHasTheAnswerThatItGives) {
    Countdown task = small_countdown(3);
    EXPECT_EQ(task.train_count(), 120);
    EXPECT_EQ(task.test_count(), 40);
    std::set<std::string> prompts;
    for (std::int64_t i = 0; i < task.problem_count(); ++i) {
        const auto& problem = task.problem(i);
        EXPECT_TRUE(task.correct(i, problem.answer_tokens)) << problem.answer;
        EXPECT_EQ(task.score(i, problem.answer_tokens), 1.0);
        EXPECT_EQ(std::ssize(problem.numbers), (i < 60 || (i >= 120 && i < 140)) ? 2 : 4);
        EXPECT_TRUE(problem.target >= 1 && problem.target <= 99);
        for (auto number : problem.numbers) EXPECT_TRUE(number >= 1 && number <= 9);
        EXPECT_LE(std::ssize(problem.prompt_tokens), task.longest_prompt());
        EXPECT_LE(std::ssize(problem.answer_tokens), task.longest_answer());
        prompts.insert(task.vocabulary().decode(problem.prompt_tokens));
    }
    EXPECT_EQ(std::ssize(prompts), task.problem_count());
}

TEST(Countdown, JudgesByNumbersAndTarget) {
    Countdown task({.numbers = {3}, .train_per_level = 40, .test_per_level = 0}, 1);
    std::int64_t chosen = 0;
    while (task.problem(chosen).numbers[0] == task.problem(chosen).numbers[1]) ++chosen;
    auto n = task.problem(chosen).numbers;
    auto score = [&](const std::string& text) { return task.score(chosen, task.vocabulary().encode(text)); };
    auto text = [](std::int64_t x) { return std::to_string(x); };
    const std::string &a = text(n[0]), &b = text(n[1]), &c = text(n[2]);
    EXPECT_EQ(score("(" + task.problem(chosen).answer + ")"), 1.0);
    EXPECT_EQ(score(a + "-" + b + "-" + c + "-" + c), 0.0);    // a number too many
    EXPECT_EQ(score(a + "+" + b), 0.0);                        // one is missing
    EXPECT_EQ(score(a + "+" + a + "+" + c), 0.0);              // another number
    EXPECT_EQ(score(text(task.problem(chosen).target)), 0.0);  // the target itself
    EXPECT_EQ(score(a + "-" + b + "*" + c), 0.1);              // the numbers, below 1
    EXPECT_EQ(score(a + "/(" + b + "-" + b + ")"), 0.0);
    EXPECT_EQ(score(""), 0.0);
    EXPECT_FALSE(task.correct(chosen, task.vocabulary().encode(a + "-" + b + "*" + c)));
    std::vector<std::int32_t> cut = task.problem(chosen).answer_tokens;
    cut.push_back(3);  // what stands behind the end symbol is not read
    EXPECT_TRUE(task.correct(chosen, cut));
    EXPECT_EQ(task.score(chosen, std::vector<std::int32_t>{99}), 0.0);
}

TEST(Countdown, ASeedIsATask) {
    auto prompts = [](const Countdown& task) {
        std::vector<std::vector<std::int32_t>> all;
        for (std::int64_t i = 0; i < task.problem_count(); ++i) all.push_back(task.problem(i).prompt_tokens);
        return all;
    };
    EXPECT_EQ(prompts(small_countdown(5)), prompts(small_countdown(5)));
    EXPECT_NE(prompts(small_countdown(5)), prompts(small_countdown(6)));
}

TEST(CalculationDomains, EveryDomainAndDifficultyHasItsProblems) {
    CalculationDomains task({.steps = {1, 3}, .train_per_level = 10, .test_per_level = 4}, 2);
    ASSERT_EQ(task.domain_count(), 4);
    EXPECT_EQ(task.train_count(), 80);
    EXPECT_EQ(task.problem_count(), 80 + 32);
    std::set<std::int64_t> seen;
    const char* never[] = {"*:/^", "+-:/^", "*:^", "*:/"};
    for (std::int64_t domain = 0; domain < 4; ++domain)
        for (std::int32_t steps : {1, 3}) {
            auto train = task.train(domain, steps), test = task.test(domain, steps);
            EXPECT_EQ(train.size(), 10U);
            EXPECT_EQ(test.size(), 4U);
            train.insert(train.end(), test.begin(), test.end());
            for (std::int64_t i : train) {
                EXPECT_TRUE(seen.insert(i).second);
                EXPECT_EQ(task.domain(i), domain);
                EXPECT_EQ(task.difficulty(i), steps);
                EXPECT_EQ(task.problem(i).text.find_first_of(never[domain]), std::string::npos) << task.problem(i).text;
                EXPECT_TRUE(task.correct(i, task.problem(i).answer_tokens));
                EXPECT_GT(task.score(i, task.problem(i).answer_tokens), 0.95);  // of a value in two decimals
                EXPECT_LE(std::ssize(task.problem(i).prompt_tokens), task.longest_prompt());
            }
            EXPECT_LT(train.front(), task.train_count());
            EXPECT_GE(test.front(), task.train_count());
        }
    EXPECT_EQ(std::ssize(seen), task.problem_count());
    EXPECT_EQ(task.train(2).size(), 20U);
    EXPECT_EQ(CalculationDomains({.domains = "powers", .steps = {1}, .train_per_level = 3}, 1).domain_name(0),
              "powers");
}

template <class Task, class Settings>
void refuses(const Settings& settings, const std::string& what) {
    try {
        Task task(settings, 0);
        FAIL() << "expected an Error about " << what;
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
        EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
}

TEST(TextTasks, RefuseWhatMakesNoTask) {
    refuses<Countdown>(CountdownSettings{.numbers = {0}}, "0 numbers");
    refuses<Countdown>(CountdownSettings{.numbers = {3, 3}}, "asked for twice");
    refuses<Countdown>(CountdownSettings{.operators = "+%"}, "operators \"+%\"");
    refuses<Countdown>(CountdownSettings{.operators = ""}, "operators \"\"");
    refuses<Countdown>(CountdownSettings{.smallest_number = 5, .largest_number = 4}, "numbers from 5 to 4");
    refuses<Countdown>(CountdownSettings{.numbers = {1}, .train_per_level = 10}, "found 9 and no new one");
    refuses<Countdown>(CountdownSettings{.largest_target = 0}, "targets up to 0");
    refuses<Countdown>(CountdownSettings{.form_score = 1}, "form_score 1");
    refuses<CalculationDomains>(CalculationDomainsSettings{.domains = "sums,roots"}, "no domain is named 'roots'");
    refuses<CalculationDomains>(CalculationDomainsSettings{.domains = ""}, "no domain is named ''");
    refuses<CalculationDomains>(CalculationDomainsSettings{.domains = "sums,sums"}, "named twice");
    refuses<CalculationDomains>(CalculationDomainsSettings{.steps = {1, 1}}, "asked for twice");
    EXPECT_THROW(small_countdown(1).problem(160), Error);
    EXPECT_THROW(CalculationDomains({.steps = {1}}, 1).train(4), Error);
}

}  // namespace
}  // namespace roars::text_tasks_test
