#include "text_tasks.hpp"

#include <type_traits>
#include <utility>

#include "roars/reflect.hpp"

namespace roars::program {
namespace {

/// Everything that a flag can set beside the method: for policies of 10^5 parameters and answers of a few tokens.
/// docs/benchmarks/demo.md says what they reach.
template <class TaskSettings>
struct TextFlags {
    RunSettings run{.iterations = 800, .evaluate_every = 40, .checkpoint_every = 40, .warm_start = 150};
    TaskSettings task{};
    actor::TransformerSettings actor{.layers = 2, .width = 64, .heads = 4, .hidden = 256};
    train::LanguageSettings language{};
};
template <class TaskSettings>
ROARS_FIELDS_OF((TextFlags<TaskSettings>), run, task, actor, language)

template <class Task, class TaskSettings>
TextWork work_on(const Request& request, TaskSettings&& task) {
    TextFlags<std::remove_cvref_t<TaskSettings>> flags{.task = task};
    std::vector<std::pair<std::string, std::string>> rest;
    for (const auto& [flag, text] : request.settings)
        if (!set_setting(flags.run, flag, text) && (flag.starts_with("run.") || !set_setting(flags, flag, text)))
            rest.emplace_back(flag, text);
    return {AnyTextTask(Task(flags.task, request.seed)), flags.run, flags.actor, flags.language, to_json(flags), rest};
}

/// Sums and differences of two numbers up to 50.
tasks::RandomCalculationSettings two_numbers() {
    tasks::RandomCalculationSettings settings = tasks::small_integer_calculation();
    settings.largest_operand = 50;
    settings.train_per_level = 4500;
    settings.test_per_level = 300;
    return settings;
}

}  // namespace

TextWork text_work(const Request& request) {
    if (request.task == "countdown") return work_on<tasks::Countdown>(request, tasks::CountdownSettings{});
    if (request.task == "calculation-domains")
        return work_on<tasks::CalculationDomains>(request, tasks::CalculationDomainsSettings{});
    return work_on<tasks::RandomCalculation>(request, two_numbers());
}

}  // namespace roars::program
