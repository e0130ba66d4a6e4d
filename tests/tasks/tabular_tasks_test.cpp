#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "roars/tasks/bandit_prompts.hpp"
#include "roars/tasks/chain.hpp"
#include "roars/tasks/constraints.hpp"
#include "roars/tasks/digit_chain.hpp"
#include "roars/tasks/factorised_targets.hpp"
#include "roars/tasks/option_paths.hpp"
#include "roars/tasks/routed_questions.hpp"
#include "roars/tasks/rubrics.hpp"
#include "roars/tasks/search_chain.hpp"
#include "roars/tasks/solution_steps.hpp"
#include "roars/tasks/stop_time.hpp"
#include "roars/tasks/subtasks.hpp"
#include "roars/tasks/temptation.hpp"
#include "roars/tasks/thought_length.hpp"
#include "roars/tasks/tool_chain.hpp"
#include "roars/tasks/tool_questions.hpp"
#include "roars/tasks/two_hop.hpp"
#include "roars/tasks/when_to_reason.hpp"

namespace roars::tabular_tasks_test {
namespace {

using namespace roars::tasks;

BanditPrompts small(const BanditPrompts*) { return BanditPrompts({.prompts = 3, .answers = 5, .right = 2}, 7); }
Chain small(const Chain*) { return Chain({.steps = 3, .places = 3, .actions = 3}, 7); }
FactorisedTargets small(const FactorisedTargets*) {
    return FactorisedTargets({.prompts = 3, .length = 2, .symbols = 3, .easy_prompts = 1, .strategies = 4}, 7);
}
DigitChain small(const DigitChain*) {
    return DigitChain({.prompts = 3, .digits = 3, .base = 4, .carry = true, .flipped = 0.0}, 7);
}
SolutionSteps small(const SolutionSteps*) {
    return SolutionSteps({.prompts = 3, .length = 3, .rows = 0, .tokens = 3, .hard_prompts = 1, .hard = 0.01}, 7);
}
StopTime small(const StopTime*) { return StopTime({.classes = 3, .limit = 5}); }
Temptation small(const Temptation*) { return Temptation({.types = 3, .paths = 4, .hints = 2}, 7); }
ToolChain small(const ToolChain*) { return ToolChain({.types = 2, .first_options = 2, .options = 3}, 7); }
RoutedQuestions small(const RoutedQuestions*) { return RoutedQuestions(); }
ToolQuestions small(const ToolQuestions*) { return ToolQuestions(); }
Constraints small(const Constraints*) {
    return Constraints({.prompts = 2, .constraints = 3, .symbols = 3, .satisfying = 2}, 7);
}
Rubrics small(const Rubrics*) { return Rubrics({.prompts = 2, .criteria = 3, .symbols = 3}, 7); }
WhenToReason small(const WhenToReason*) { return WhenToReason({.first = 3, .last = 7}); }
OptionPaths small(const OptionPaths*) { return OptionPaths({.problems = 2, .decisions = 3, .options = 3}, 7); }
SearchChain small(const SearchChain*) {
    return SearchChain({.facts = 2, .searches = 3, .cues = 2, .queries = 2, .relevant = 0.6, .other = 0.2}, 7);
}
ThoughtLength small(const ThoughtLength*) { return ThoughtLength({.classes = 2, .lengths = 4, .conclusions = 3}, 7); }
Subtasks small(const Subtasks*) { return Subtasks({.prompts = 2, .subtasks = 3, .horizon = 5, .actions = 4}, 7); }
TwoHop small(const TwoHop*) { return TwoHop({.types = 3, .tools = 3, .answers = 4}, 7); }

/// The task's start logits and normal noise; forbidden actions stay forbidden.
template <class Task>
std::vector<double> noisy_logits(const Task& task, std::uint64_t seed) {
    std::span<const double> start = task.start_logits();
    std::vector<double> logits(start.begin(), start.end());
    RandomStream noise{Random(seed)};
    for (double& logit : logits) logit += noise.normal();
    return logits;
}

template <class Task>
std::vector<double> probabilities(const Task& task, const std::vector<double>& logits, std::int64_t row,
                                  std::int64_t shared = -1) {
    const auto n = static_cast<std::size_t>(task.actions());
    std::vector<double> p(logits.begin() + row * task.actions(), logits.begin() + (row + 1) * task.actions());
    double sum = 0;
    for (std::size_t a = 0; shared >= 0 && a < n; ++a) p[a] += logits[static_cast<std::size_t>(shared) * n + a];
    for (double& each : p) sum += each = std::exp(each);
    for (std::size_t a = 0; a < n; ++a) p[a] /= sum;
    return p;
}

/// Every answer that has a probability above 0, with it: by recursion, which knows nothing of the order of states.
template <class Task>
void for_each_answer(const Task& task, const std::vector<double>& logits, std::int64_t prompt,
                     const std::function<void(const std::vector<std::int32_t>&, std::int64_t, double)>& use) {
    std::vector<std::int32_t> answer;
    std::function<void(std::int64_t, double)> walk = [&](std::int64_t state, double probability) {
        std::int64_t row = task.row(prompt, state);
        if (row < 0) return use(answer, state, probability);
        auto p = probabilities(task, logits, row, shared_row(task, prompt, state));
        for (std::size_t a = 0; a < p.size(); ++a) {
            if (p[a] == 0) continue;
            answer.push_back(static_cast<std::int32_t>(a));
            walk(task.next(prompt, state, static_cast<std::int64_t>(a)), probability * p[a]);
            answer.pop_back();
        }
    };
    walk(task.start(prompt), 1.0);
}

/// The policy's own tokens of an answer: how many, and the logarithm of their probability. Observations are not its
/// own.
struct OwnTokens {
    double count = 0, logp = 0;
};
template <class Task>
OwnTokens own_tokens(const Task& task, const std::vector<double>& logits, std::int64_t prompt,
                     const std::vector<std::int32_t>& answer) {
    OwnTokens own;
    std::int64_t state = task.start(prompt);
    for (std::int32_t action : answer) {
        if (!is_observation(task, prompt, state)) {
            auto p = probabilities(task, logits, task.row(prompt, state), shared_row(task, prompt, state));
            own.count += 1;
            own.logp += std::log(p[static_cast<std::size_t>(action)]);
        }
        state = task.next(prompt, state, action);
    }
    return own;
}

template <class Task>
struct EveryTabularTask : testing::Test {};
// clang-format off
using Tasks = testing::Types<
    BanditPrompts,
    Chain,
    DigitChain,
    FactorisedTargets,
    RoutedQuestions,
    StopTime,
    ToolQuestions,
    WhenToReason,
    ThoughtLength,
    TwoHop,
    Subtasks,
    Constraints,
    Rubrics,
    ToolChain,
    SolutionSteps,
    SearchChain,
    Temptation,
    OptionPaths>;
// clang-format on
TYPED_TEST_SUITE(EveryTabularTask, Tasks);

TYPED_TEST(EveryTabularTask, ExactScoreIsTheSumOverAllAnswers) {
    const auto task = small(static_cast<const TypeParam*>(nullptr));
    const auto logits = noisy_logits(task, 1);
    constexpr std::int64_t samples = 5;
    for (std::int64_t prompt = 0; prompt < task.prompts(); ++prompt) {
        double all = 0, success = 0, entropy = 0, length = 0, truncated = 0;
        std::map<std::int64_t, double> right;
        for_each_answer(task, logits, prompt, [&](const auto& answer, std::int64_t state, double p) {
            all += p;
            success += p * task.success(prompt, state);
            const OwnTokens own = own_tokens(task, logits, prompt, answer);
            entropy -= p * own.logp;
            length += p * own.count;
            truncated += task.truncated(prompt, state) ? p : 0.0;
            if (task.success(prompt, state) > 0) right[state] += p * task.success(prompt, state);
        });
        double coverage = 0;
        for (const auto& [state, p] : right) coverage += (1 - std::pow(1 - p, samples)) / double(right.size());
        auto score = exact_score(task, std::span<const double>(logits), prompt, samples);
        EXPECT_NEAR(all, 1.0, 1e-12);
        EXPECT_NEAR(score.success, success, 1e-12);
        EXPECT_NEAR(score.pass, 1 - std::pow(1 - success, samples), 1e-12);
        EXPECT_NEAR(score.coverage, coverage, 1e-12);
        EXPECT_NEAR(score.entropy, entropy, 1e-12);
        EXPECT_NEAR(score.length, length, 1e-12);
        EXPECT_NEAR(score.truncated, truncated, 1e-12);
    }
}

TYPED_TEST(EveryTabularTask, DivergenceIsTheSumOverAllAnswers) {
    const auto task = small(static_cast<const TypeParam*>(nullptr));
    const auto logits = noisy_logits(task, 6), other = noisy_logits(task, 7);
    double divergence = 0;
    for_each_answer(task, logits, 0, [&](const auto& answer, std::int64_t, double p) {
        divergence += p * (own_tokens(task, logits, 0, answer).logp - own_tokens(task, other, 0, answer).logp);
    });
    std::span<const double> policy(logits), reference(other);
    EXPECT_NEAR(exact_divergence(task, policy, reference, 0), divergence, 1e-12);
    EXPECT_NEAR(exact_divergence(task, policy, policy, 0), 0.0, 1e-15);
    EXPECT_GT(mean_exact_divergence(task, policy, reference), 0.0);
    EXPECT_THROW(exact_divergence(task, policy, reference.first(3), 0), Error);
}

TYPED_TEST(EveryTabularTask, StatesAreInOrderAndAnswersEndInTime) {
    const auto task = small(static_cast<const TypeParam*>(nullptr));
    const auto logits = noisy_logits(task, 2);
    ASSERT_EQ(std::ssize(logits), task.rows() * task.actions());
    for (std::int64_t prompt = 0; prompt < task.prompts(); ++prompt)
        for_each_answer(task, logits, prompt, [&](const auto& answer, std::int64_t, double) {
            EXPECT_LE(std::ssize(answer), task.longest_answer());
            std::int64_t state = task.start(prompt);
            for (std::int32_t action : answer) {
                EXPECT_LT(task.row(prompt, state), task.rows());
                std::int64_t next = task.next(prompt, state, action);
                EXPECT_GT(next, state);
                EXPECT_LT(next, task.states());
                state = next;
            }
        });
}

TYPED_TEST(EveryTabularTask, NoAnswerIsBetterThanTheSolution) {
    const auto task = small(static_cast<const TypeParam*>(nullptr));
    const auto logits = noisy_logits(task, 3);
    for (std::int64_t prompt = 0; prompt < task.prompts(); ++prompt) {
        std::int64_t state = task.start(prompt);
        for (std::int32_t action : task.solution(prompt)) state = task.next(prompt, state, action);
        ASSERT_LT(task.row(prompt, state), 0);
        double solved = task.success(prompt, state);
        EXPECT_GT(solved, 0);
        for_each_answer(task, logits, prompt, [&](const auto&, std::int64_t ending, double) {
            EXPECT_LE(task.success(prompt, ending), solved);
        });
    }
}

TYPED_TEST(EveryTabularTask, EqualAnswersHaveEqualNumbersAndEndingsAreToldApart) {
    const auto task = small(static_cast<const TypeParam*>(nullptr));
    const auto logits = noisy_logits(task, 4);
    std::map<std::int32_t, std::int64_t> endings;
    for_each_answer(task, logits, 0, [&](const auto& answer, std::int64_t ending, double) {
        auto number = task.answer(0, answer);
        EXPECT_GE(number, 0);
        EXPECT_EQ(endings.try_emplace(number, ending).first->second, ending);
    });
    EXPECT_GT(endings.size(), 1U);
}

TYPED_TEST(EveryTabularTask, OutcomesAreOnAverageTheSuccess) {
    const auto task = small(static_cast<const TypeParam*>(nullptr));
    const auto logits = noisy_logits(task, 5);
    RandomStream noise{Random(5, Purpose::noise)};
    for_each_answer(task, logits, 1, [&](const auto&, std::int64_t state, double) {
        constexpr int n = 4000;
        double sum = 0, p = task.success(1, state);
        for (int i = 0; i < n; ++i) sum += task.outcome(1, state, noise);
        EXPECT_NEAR(sum / n, p, 1e-12 + 5 * std::sqrt(p * (1 - p) / n));
    });
}

template <class Task>
inline constexpr bool is_drawn = true;
template <>
inline constexpr bool is_drawn<RoutedQuestions> = false;
template <>
inline constexpr bool is_drawn<StopTime> = false;
template <>
inline constexpr bool is_drawn<ToolQuestions> = false;
template <>
inline constexpr bool is_drawn<WhenToReason> = false;

TYPED_TEST(EveryTabularTask, ASeedIsATask) {
    TypeParam first({}, 3), same({}, 3), other({}, 4);
    std::vector<std::int32_t> of_first, of_same, of_other;
    for (std::int64_t prompt = 0; prompt < first.prompts(); ++prompt) {
        auto append = [&](std::vector<std::int32_t>& all, const TypeParam& task) {
            auto solution = task.solution(prompt);
            all.insert(all.end(), solution.begin(), solution.end());
        };
        append(of_first, first);
        append(of_same, same);
        append(of_other, other);
    }
    EXPECT_EQ(of_first, of_same);
    EXPECT_EQ(of_first != of_other, is_drawn<TypeParam>);
}

RC_GTEST_PROP(ExactScore, IgnoresAShiftOfARow, ()) {
    auto shift = static_cast<double>(*rc::gen::inRange(-300, 300));
    StopTime task({.classes = 2, .limit = 4});
    auto logits = noisy_logits(task, *rc::gen::arbitrary<std::uint64_t>());
    auto before = mean_exact_score(task, std::span<const double>(logits));
    for (std::size_t i = 2; i < 6; ++i) logits[i] += shift;
    auto after = mean_exact_score(task, std::span<const double>(logits));
    RC_ASSERT(std::abs(before.success - after.success) < 1e-12);
    RC_ASSERT(std::abs(before.entropy - after.entropy) < 1e-12);
}

TEST(ExactScore, KeepsATinyProbability) {
    BanditPrompts task({.prompts = 1, .answers = 2, .hard_logit = -std::log(1e12 - 1)});
    auto score = mean_exact_score(task, task.start_logits(), 1000);
    EXPECT_NEAR(score.success, 1e-12, 1e-24);
    EXPECT_NEAR(score.pass, 1e-9, 1e-18 + 1e-9 * 1e-8);
}

TEST(ExactScore, SaysWhatDoesNotFit) {
    BanditPrompts task({.prompts = 2, .answers = 3});
    std::vector<double> logits(5);
    EXPECT_THROW(exact_score(task, std::span<const double>(logits), 0), Error);
    logits.resize(6);
    EXPECT_THROW(exact_score(task, std::span<const double>(logits), 2), Error);
    EXPECT_THROW(exact_score(task, std::span<const double>(logits), -1), Error);
    EXPECT_THROW(exact_score(task, std::span<const double>(logits), 0, 0), Error);
}

RC_GTEST_PROP(BanditPrompts, HasAsManyRightAnswersAsAsked, ()) {
    BanditSettings settings;
    settings.prompts = *rc::gen::inRange<std::int64_t>(1, 6);
    settings.answers = *rc::gen::inRange<std::int64_t>(2, 30);
    settings.right = *rc::gen::inRange<std::int64_t>(1, settings.answers);
    settings.easy_prompts = *rc::gen::inRange<std::int64_t>(0, settings.prompts + 1);
    settings.easy_logit = 1.5;
    settings.hard_logit = -2.0;
    settings.trap_logit = 5.0;
    BanditPrompts task(settings, *rc::gen::arbitrary<std::uint64_t>());
    for (std::int64_t prompt = 0; prompt < settings.prompts; ++prompt) {
        std::int64_t right = 0, traps = 0;
        bool easy = prompt < settings.easy_prompts;
        for (std::int64_t a = 0; a < settings.answers; ++a) {
            double logit = task.start_logits()[static_cast<std::size_t>(prompt * settings.answers + a)];
            right += task.is_right(prompt, a);
            traps += logit == 5.0;
            RC_ASSERT(logit == (task.is_right(prompt, a) ? (easy ? 1.5 : -2.0) : (logit == 5.0 ? 5.0 : 0.0)));
        }
        RC_ASSERT(right == settings.right);
        RC_ASSERT(traps == (easy ? 0 : 1));
    }
}

TEST(BanditPrompts, NoiseAndFlipsAreWhatTheyAreSaidToBe) {
    BanditPrompts task({.prompts = 1, .answers = 2, .reward_noise = 0.1, .flipped = 0.2});
    RandomStream noise{Random(1, Purpose::noise)};
    std::int64_t right = 1 + task.solution(0).front();
    constexpr int n = 20000;
    double sum = 0, squares = 0;
    for (int i = 0; i < n; ++i) {
        double outcome = task.outcome(0, right, noise);
        sum += outcome;
        squares += outcome * outcome;
    }
    double mean = sum / n, variance = squares / n - mean * mean;
    EXPECT_NEAR(mean, 0.8, 5 * std::sqrt(0.17 / n));
    EXPECT_NEAR(variance, 0.8 * 0.2 + 0.01, 0.005);
    EXPECT_EQ(task.success(0, right), 1.0);
}

TEST(BanditPrompts, StartsAtAGivenProbability) {
    double logit = std::log(0.04 * 49 / 0.96);
    BanditPrompts task({.prompts = 4, .answers = 50, .hard_logit = logit});
    EXPECT_NEAR(mean_exact_score(task, task.start_logits()).success, 0.04, 1e-14);
}

TEST(Chain, SolutionsEndInTheGoal) {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        Chain task({.steps = 4, .places = 5, .actions = 2}, seed);
        for (std::int64_t prompt = 0; prompt < task.prompts(); ++prompt) {
            auto moves = task.solution(prompt);
            EXPECT_EQ(std::ssize(moves), 4);
            EXPECT_EQ(task.answer(prompt, moves), task.goal());
        }
    }
}

TEST(FactorisedTargets, StartsWhereTheProductSays) {
    FactorisedTargets task;
    auto easy = mean_exact_score(task, task.start_logits(), 64, 0, 16);
    auto hard = mean_exact_score(task, task.start_logits(), 64, 16, 32);
    EXPECT_NEAR(easy.success, std::pow(std::exp(2.5) / (std::exp(2.5) + 9), 4), 1e-14);
    EXPECT_NEAR(hard.success, std::pow(std::exp(-0.5) / (std::exp(-0.5) + 9), 4), 1e-17);
    EXPECT_NEAR(easy.length, 4.0, 1e-12);
}

TEST(FactorisedTargets, AStrategyComesFirstAndTheSkillIsShared) {
    FactorisedTargets task({.length = 8, .symbols = 3, .easy_logit = 2.5, .strategies = 24, .shared = true});
    EXPECT_EQ(task.rows(), 32 + 8);
    EXPECT_EQ(task.actions(), 24);
    double skill = std::pow(std::exp(2.5) / (std::exp(2.5) + 2), 8);
    auto score = mean_exact_score(task, task.start_logits());
    EXPECT_NEAR(score.success, skill * 2 / 24, 1e-14);
    EXPECT_NEAR(score.length, 9.0, 1e-12);
    EXPECT_EQ(task.row(3, task.start(3)), 3);
    EXPECT_EQ(task.row(3, 2), task.row(9, 2));
}

/// The walk's digits, last one first, are those of the sum of the two numbers.
TEST(DigitChain, AddsAsPeopleDo) {
    for (bool carry : {false, true}) {
        DigitChain task({.prompts = 200, .digits = 4, .base = 7, .carry = carry}, 3);
        std::set<std::int64_t> answers;
        for (std::int64_t prompt = 0; prompt < task.prompts(); ++prompt) {
            std::int64_t first = 0, second = 0, without = 0, place = 1, state = task.start(prompt);
            auto digits = task.solution(prompt);
            for (std::int32_t digit : digits) {
                std::int64_t a = task.row(prompt, state) / 7 % 7, b = task.row(prompt, state) % 7;
                first += place * a;
                second += place * b;
                without += place * ((a + b) % 7);
                place *= 7;
                state = task.next(prompt, state, digit);
            }
            EXPECT_EQ(task.answer(prompt, digits), carry ? (first + second) % place : without);
            EXPECT_EQ(task.success(prompt, state), 1.0);
            answers.insert(task.answer(prompt, digits));
        }
        EXPECT_GT(answers.size(), 150U);
    }
}

TEST(DigitChain, StartsWhereItIsToldAndFlipsVerdicts) {
    DigitChain task({.prompts = 5, .right_logit = 2, .flipped = 0.1}, 1);
    double digit = std::exp(2.0) / (std::exp(2.0) + 9);
    EXPECT_NEAR(mean_exact_score(task, task.start_logits()).success, digit * digit * digit, 1e-14);
    RandomStream noise{Random(1, Purpose::noise)};
    double sum = 0;
    constexpr int n = 20000;
    for (int i = 0; i < n; ++i) sum += task.outcome(0, 7, noise);
    EXPECT_NEAR(sum / n, 0.9, 5 * std::sqrt(0.09 / n));
}

TEST(StopTime, HasACeilingAndASteepness) {
    StopTime task({.classes = 1, .limit = 6, .first_difficulty = 5, .steepness = 1.5, .ceiling = 0.95});
    EXPECT_NEAR(task.success(0, 6 + 3), 0.95 / (1 + std::exp(1.5)), 1e-15);  // four tokens
    EXPECT_NEAR(task.success(0, 6 + 4), 0.95 / 2, 1e-15);
    EXPECT_EQ(task.success(0, 12), 0.0);
}

/// Both tools hit: the answer is read. The first hits: its pair is. Neither: a guess. And so surely does
/// the policy know the true answer before each turn.
TEST(TwoHop, StartsAsAPolicyThatCanRead) {
    TwoHop task({}, 2);
    const double read = std::exp(3.5) / (std::exp(3.5) + 7), half = std::exp(2.5) / (2 * std::exp(2.5) + 6);
    EXPECT_NEAR(mean_exact_score(task, task.start_logits()).success, read / 36 + half * 5 / 36 + 5.0 / 6 / 8, 1e-14);
    EXPECT_NEAR(mean_exact_score(task, task.start_logits()).length, 3.0,
                1e-12);  // observations are not the policy's
    for (std::int64_t prompt = 0; prompt < task.prompts(); ++prompt) {
        std::vector<double> known;
        std::int64_t state = task.start(prompt);
        for (std::int32_t action : task.solution(prompt)) {
            if (!task.observation(prompt, state)) {
                auto tokens = task.true_answer(prompt, state);
                ASSERT_EQ(tokens.size(), 1U);
                auto p = probabilities(task, {task.start_logits().begin(), task.start_logits().end()}, tokens[0].row);
                known.push_back(p[std::size_t(tokens[0].action)]);
            }
            state = task.next(prompt, state, action);
        }
        ASSERT_EQ(known.size(), 3U);
        EXPECT_NEAR(known[0], 1.0 / 8, 1e-14);
        EXPECT_NEAR(known[1], half, 1e-14);
        EXPECT_NEAR(known[2], read, 1e-14);
    }
}

/// Eight right actions among twelve, each of probability p.
TEST(Subtasks, StartsWhereTheBinomialSays) {
    const double p = std::exp(1.0) / (std::exp(1.0) + 5);
    double all = 0, ways = 1;  // 12 over k
    for (int k = 0; k <= 12; ++k) {
        if (k >= 8) all += ways * std::pow(p, k) * std::pow(1 - p, 12 - k);
        ways = ways * (12 - k) / (k + 1);
    }
    for (bool ends : {false, true}) {
        Subtasks task({.binary = true, .ends_when_done = ends}, 1);
        const auto score = mean_exact_score(task, task.start_logits());
        EXPECT_NEAR(score.success, all, 1e-14);
        EXPECT_EQ(score.length < 12.0 - 1e-9, ends);
    }
    Subtasks task({}, 1);
    for (std::int64_t state : {std::int64_t(0), std::int64_t(8)}) {
        int possible = 0;
        for (std::int64_t action = 0; action < 6; ++action) possible += task.possible(1, state, action);
        EXPECT_EQ(possible, 4);
    }
    RandomStream none{Random(1)};
    auto right = task.solution(2);
    for (std::int64_t k = 0; k < 12; ++k) EXPECT_EQ(task.tell(col::executed{}, 2, right, k, none), 1.0);
    std::int32_t impossible = 0;
    while (task.possible(2, 1, impossible)) ++impossible;
    right.insert(right.begin() + 1, impossible);  // with one subtask done
    right.pop_back();
    EXPECT_EQ(task.tell(col::executed{}, 2, right, 1, none), 0.0);
    EXPECT_EQ(task.success(2, task.answer(2, right)), 1.0);
}

TEST(StopTime, StartsWhereTheGeometricSumSays) {
    StopTime task;
    double stop = 1 / (1 + std::exp(6.0)), sum = 0;
    for (int n = 1; n <= 16; ++n)
        for (double difficulty : {3.0, 6.0, 9.0, 12.0})
            sum += stop * std::pow(1 - stop, n - 1) / (1 + std::exp(difficulty - n)) / 4;
    auto score = mean_exact_score(task, task.start_logits());
    EXPECT_NEAR(score.success, sum, 1e-14);
    EXPECT_NEAR(score.truncated, std::pow(1 - stop, 16), 1e-14);
}

TEST(ThoughtLength, StartsWhereTheSheetSays) {
    ThoughtLength task({}, 3);
    for (std::int64_t prompt = 0; prompt < 4; ++prompt) {
        const double thought = double(8 - (prompt + 1)) / 8;
        auto score = exact_score(task, task.start_logits(), prompt);
        EXPECT_NEAR(score.success, thought / (1 + std::exp(double(prompt) - 1)), 1e-14);
        EXPECT_NEAR(score.length, 2 + 3.5, 1e-14);
        auto solution = task.solution(prompt);
        EXPECT_EQ(std::ssize(solution), prompt + 3);
    }
    // One unit less of thought, and the right conclusion does not help.
    auto solution = task.solution(2);
    std::int64_t state = task.next(2, 0, solution[0] - 1);
    state = task.next(2, task.next(2, task.next(2, state, 0), 0), solution.back());
    EXPECT_LT(task.row(2, state), 0);
    EXPECT_EQ(task.success(2, state), 0.0);
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

TEST(SolutionSteps, StartAsTheyAreAsked) {
    SolutionSteps shared;
    for (std::int64_t prompt = 0; prompt < shared.prompts(); ++prompt) {
        std::set<std::int64_t> rows;
        for (std::int64_t state = 1; shared.row(prompt, state) >= 0; state += 2) rows.insert(shared.row(prompt, state));
        EXPECT_EQ(rows.size(), 16U) << "another one each step";
        EXPECT_NEAR(exact_score(shared, shared.start_logits(), prompt).success, std::pow(0.45, 16), 1e-18);
    }
    SolutionSteps own({.prompts = 3, .length = 4, .rows = 0, .right = 0.7, .hard_prompts = 2});
    EXPECT_EQ(own.rows(), 12);
    for (std::int64_t prompt = 0; prompt < 3; ++prompt)
        EXPECT_NEAR(exact_score(own, own.start_logits(), prompt).success, std::pow(0.7, 3) * (prompt < 2 ? 1e-4 : 0.7),
                    1e-12);
}

TEST(TabularTasks, RefuseWhatMakesNoTask) {
    refuses<BanditPrompts>(BanditSettings{.prompts = 0}, "0 prompts");
    refuses<BanditPrompts>(BanditSettings{.answers = 3, .right = 4}, "4 of them right");
    refuses<BanditPrompts>(BanditSettings{.right = 0}, "0 of them right");
    refuses<BanditPrompts>(BanditSettings{.easy_prompts = 41}, "41 easy prompts");
    refuses<BanditPrompts>(BanditSettings{.flipped = 1.5}, "flipped 1.5");
    refuses<BanditPrompts>(BanditSettings{.reward_noise = -1}, "reward_noise -1");
    refuses<BanditPrompts>(BanditSettings{.answers = 2, .right = 2, .trap_logit = 1}, "trap");
    refuses<Chain>(ChainSettings{.steps = 0}, "0 steps");
    refuses<Chain>(ChainSettings{.steps = 1, .places = 40, .actions = 1}, "not to be reached");
    refuses<FactorisedTargets>(FactorisedSettings{.symbols = 0}, "0 symbols");
    refuses<FactorisedTargets>(FactorisedSettings{.length = 10}, "different answers");
    refuses<FactorisedTargets>(FactorisedSettings{.strategies = 2, .valid_strategies = 3}, "3 valid strategies");
    refuses<FactorisedTargets>(FactorisedSettings{.easy_prompts = -1}, "-1 easy prompts");
    refuses<DigitChain>(DigitChainSettings{.base = 1}, "base 1");
    refuses<DigitChain>(DigitChainSettings{.digits = 0}, "0 digits");
    refuses<DigitChain>(DigitChainSettings{.digits = 10}, "different answers");
    refuses<DigitChain>(DigitChainSettings{.flipped = -0.5}, "flipped -0.5");
    refuses<OptionPaths>(OptionPathsSettings{.decisions = 1, .options = 2}, "2 right paths");
    refuses<OptionPaths>(OptionPathsSettings{.decisions = 40}, "40 decisions");
    refuses<SearchChain>(SearchChainSettings{.searches = 2}, "2 searches");
    refuses<SearchChain>(SearchChainSettings{.relevant = 1}, "chance of 1");
    refuses<ThoughtLength>(ThoughtLengthSettings{.classes = 8}, "8 classes");
    refuses<Subtasks>(SubtasksSettings{.horizon = 7}, "7 steps");
    refuses<Subtasks>(SubtasksSettings{.impossible = 6}, "6 of them impossible");
    refuses<TwoHop>(TwoHopSettings{.answers = 3}, "3 answers");
    refuses<TwoHop>(TwoHopSettings{.types = 9}, "9 types");
    refuses<TwoHop>(TwoHopSettings{.tools = 0}, "0 tools");
    refuses<SolutionSteps>(SolutionStepsSettings{.rows = 12}, "from 12 rows");
    refuses<SolutionSteps>(SolutionStepsSettings{.right = 1}, "right 1");
    refuses<SolutionSteps>(SolutionStepsSettings{.hard_prompts = 3}, "share 48 rows");
    refuses<StopTime>(StopTimeSettings{.limit = 0}, "limit of 0");
    refuses<StopTime>(StopTimeSettings{.ceiling = 0}, "ceiling 0");
    refuses<StopTime>(StopTimeSettings{.ceiling = 1.5}, "ceiling 1.5");
}

}  // namespace
}  // namespace roars::tabular_tasks_test
