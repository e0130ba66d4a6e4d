#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "roars/tasks/calculation_domains.hpp"
#include "roars/tasks/countdown.hpp"
#include "roars/tasks/random_calculation.hpp"
#include "roars/train/language_learner.hpp"
#include "session.hpp"

namespace roars::program {

inline constexpr std::string_view text_task_names[] = {"random-calculation", "calculation-domains", "countdown"};

/// Any of the tasks of texts behind one type, so that a method is compiled once for all of them.
class AnyTextTask {
    using Which = std::variant<tasks::RandomCalculation, tasks::CalculationDomains, tasks::Countdown>;
    Which task_;

    template <class Question>
    auto ask(Question&& question) const {
        return std::visit(question, task_);
    }

public:
    explicit AnyTextTask(Which task) : task_(std::move(task)) {}

    struct Problem {
        std::span<const std::int32_t> prompt_tokens, answer_tokens;
    };
    Problem problem(std::int64_t index) const {
        return ask([=](auto& t) -> Problem {
            return {t.problem(index).prompt_tokens, t.problem(index).answer_tokens};
        });
    }
    double score(std::int64_t index, std::span<const std::int32_t> answer) const {
        return ask([=](auto& t) { return t.score(index, answer); });
    }
    bool correct(std::int64_t index, std::span<const std::int32_t> answer) const {
        return ask([=](auto& t) { return t.correct(index, answer); });
    }
    std::int64_t train_count() const {
        return ask([](auto& t) { return t.train_count(); });
    }
    std::int64_t test_count() const {
        return ask([](auto& t) { return t.test_count(); });
    }
    std::int64_t problem_count() const {
        return ask([](auto& t) { return t.problem_count(); });
    }
    std::int64_t longest_prompt() const {
        return ask([](auto& t) { return t.longest_prompt(); });
    }
    std::int64_t longest_answer() const {
        return ask([](auto& t) { return t.longest_answer(); });
    }
    const tasks::Vocabulary& vocabulary() const {
        return std::visit([](auto& t) -> const tasks::Vocabulary& { return t.vocabulary(); }, task_);
    }
};
static_assert(train::TextTask<AnyTextTask>);

/// What the flags say of everything but the method.
struct TextWork {
    AnyTextTask task;
    RunSettings run;
    actor::TransformerSettings actor;
    train::LanguageSettings language;
    nlohmann::json settings;                                  ///< all of these, by their flags
    std::vector<std::pair<std::string, std::string>> rest{};  ///< flags that can only be the method's
};
/// Errors: a value that is none, settings that the task refuses.
TextWork text_work(const Request& request);

}  // namespace roars::program
