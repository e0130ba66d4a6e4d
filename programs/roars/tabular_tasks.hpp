#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

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
#include "roars/train/tabular_learner.hpp"
#include "session.hpp"

namespace roars::program {

/// A task and its name on the command line.
template <class Task_>
struct NamedTask {
    using Task = Task_;
    std::string_view name;
};
// clang-format off
inline constexpr std::tuple tabular_tasks{
    NamedTask<tasks::BanditPrompts>{"bandit"},
    NamedTask<tasks::Chain>{"chain"},
    NamedTask<tasks::DigitChain>{"digits"},
    NamedTask<tasks::FactorisedTargets>{"factorised"},
    NamedTask<tasks::RoutedQuestions>{"routed-questions"},
    NamedTask<tasks::StopTime>{"stop-time"},
    NamedTask<tasks::ToolQuestions>{"tool-questions"},
    NamedTask<tasks::WhenToReason>{"when-to-reason"},
    NamedTask<tasks::ThoughtLength>{"thought-length"},
    NamedTask<tasks::TwoHop>{"two-hop"},
    NamedTask<tasks::Subtasks>{"subtasks"},
    NamedTask<tasks::Constraints>{"constraints"},
    NamedTask<tasks::ToolChain>{"tool-chain"},
    NamedTask<tasks::SolutionSteps>{"solution-steps"},
    NamedTask<tasks::SearchChain>{"search-chain"},
    NamedTask<tasks::Rubrics>{"rubrics"},
    NamedTask<tasks::Temptation>{"temptation"},
    NamedTask<tasks::OptionPaths>{"option-paths"},
};
// clang-format on
template <class>
struct OneOf;
template <class... Named>
struct OneOf<const std::tuple<Named...>> {
    using Which = std::variant<typename Named::Task...>;
    using Told = unite_t<tasks::told_by<typename Named::Task>...>;
};

/// Any of the tabular tasks behind one type, so that a method is compiled once for all of them. It tells whatever one
/// of them does: add_tabular() keeps a method from a task that lacks what it asks for.
class AnyTabularTask {
    using Which = OneOf<decltype(tabular_tasks)>::Which;
    Which task_;

    template <class Question>
    auto ask(Question&& question) const {
        return std::visit(question, task_);
    }

public:
    using gives = OneOf<decltype(tabular_tasks)>::Told;
    explicit AnyTabularTask(Which task) : task_(std::move(task)) {}

    std::int64_t prompts() const {
        return ask([](auto& t) { return t.prompts(); });
    }
    std::int64_t rows() const {
        return ask([](auto& t) { return t.rows(); });
    }
    std::int64_t actions() const {
        return ask([](auto& t) { return t.actions(); });
    }
    std::int64_t states() const {
        return ask([](auto& t) { return t.states(); });
    }
    std::int64_t longest_answer() const {
        return ask([](auto& t) { return t.longest_answer(); });
    }
    std::span<const double> start_logits() const {
        return ask([](auto& t) { return t.start_logits(); });
    }
    std::int64_t start(std::int64_t prompt) const {
        return ask([=](auto& t) { return t.start(prompt); });
    }
    std::int64_t row(std::int64_t prompt, std::int64_t state) const {
        return ask([=](auto& t) { return t.row(prompt, state); });
    }
    std::int64_t next(std::int64_t prompt, std::int64_t state, std::int64_t action) const {
        return ask([=](auto& t) { return t.next(prompt, state, action); });
    }
    bool truncated(std::int64_t prompt, std::int64_t state) const {
        return ask([=](auto& t) { return t.truncated(prompt, state); });
    }
    double success(std::int64_t prompt, std::int64_t state) const {
        return ask([=](auto& t) { return t.success(prompt, state); });
    }
    double outcome(std::int64_t prompt, std::int64_t state, RandomStream& noise) const {
        return ask([&](auto& t) { return t.outcome(prompt, state, noise); });
    }
    bool observation(std::int64_t prompt, std::int64_t state) const {
        return ask([=](auto& t) { return tasks::is_observation(t, prompt, state); });
    }
    std::int64_t shared_row(std::int64_t prompt, std::int64_t state) const {
        return ask([=](auto& t) { return tasks::shared_row(t, prompt, state); });
    }
    std::int64_t value_row(std::int64_t prompt, std::int64_t state) const {
        return ask([=](auto& t) { return tasks::value_row(t, prompt, state); });
    }
    std::int64_t value_rows() const {
        return ask([](auto& t) { return tasks::value_rows(t); });
    }
    /// A task without criteria shows none.
    std::int64_t criteria(std::int64_t prompt) const {
        return ask([=]<class Task>(const Task& t) -> std::int64_t {
            if constexpr (tasks::ShowsCriteria<Task>)
                return t.criteria(prompt);
            else
                return 0;
        });
    }
    void show(std::int64_t prompt, std::int64_t state, std::span<const char> shown, std::span<float> logits) const {
        ask([=]<class Task>(const Task& t) {
            if constexpr (tasks::ShowsCriteria<Task>) t.show(prompt, state, shown, logits);
        });
    }
    template <class Column>
    std::int64_t width(Column column) const {
        return ask([=](auto& t) { return tasks::told_width(t, column); });
    }
    template <class Column>
    double tell(Column column, std::int64_t prompt, std::span<const std::int32_t> actions, std::int64_t k,
                RandomStream& noise) const {
        return ask([&]<class Task>(const Task& t) -> double {
            if constexpr (contains_v<Column, tasks::told_by<Task>>)
                return t.tell(column, prompt, actions, k, noise);
            else
                throw Error("the task tells no column '" + std::string(Column::name) + "'");
        });
    }
    std::vector<tasks::ScoredToken> true_answer(std::int64_t prompt, std::int64_t state) const {
        return ask([&](auto& t) -> std::vector<tasks::ScoredToken> {
            if constexpr (requires { t.true_answer(prompt, state); })
                return t.true_answer(prompt, state);
            else
                throw Error("the task does not say what its true answer is");
        });
    }
    std::int32_t answer(std::int64_t prompt, std::span<const std::int32_t> actions) const {
        return ask([=](auto& t) { return t.answer(prompt, actions); });
    }
    std::vector<std::int32_t> solution(std::int64_t prompt) const {
        return ask([=](auto& t) { return t.solution(prompt); });
    }
    std::span<const std::int32_t> hint_tokens() const {
        return ask([](auto& t) -> std::span<const std::int32_t> {
            if constexpr (requires { t.hint_tokens(); }) return t.hint_tokens();
            return {};
        });
    }
    std::span<const std::int64_t> hint_offsets() const {
        return ask([](auto& t) -> std::span<const std::int64_t> {
            if constexpr (requires { t.hint_offsets(); }) return t.hint_offsets();
            return {};
        });
    }
};
static_assert(tasks::TabularTask<AnyTabularTask>);

/// What the flags say of everything but the method.
struct TabularWork {
    AnyTabularTask task;
    train::TabularSettings tabular;
    RunSettings run;
    nlohmann::json settings;                                  ///< all of these, by their flags
    std::vector<std::pair<std::string, std::string>> rest{};  ///< flags that can only be the method's
};
/// Errors: a value that is none, settings that the task refuses.
TabularWork tabular_work(const Request& request);
/// A table is too small to share: threads that wait for one another took ten times as long.
void use_one_thread();
/// The flags of the task and of the run: "--task.prompts --task.answers ...".
std::string flags_of(const TabularWork& work);

}  // namespace roars::program
