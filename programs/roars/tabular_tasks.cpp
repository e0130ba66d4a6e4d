#include "tabular_tasks.hpp"

#include <optional>
#include <type_traits>
#include <utility>

#include "roars/reflect.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace roars::program {
namespace {

/// Everything that a flag can set beside the method.
template <class TaskSettings>
struct TabularFlags {
    RunSettings run{.iterations = 200, .warm_start_learning_rate = 0.05};
    TaskSettings task{};
    train::TabularSettings tabular{};
};
template <class TaskSettings>
ROARS_FIELDS_OF((TabularFlags<TaskSettings>), run, task, tabular)

template <class Task>
TabularWork work_on(const Request& request) {
    using TaskSettings = std::remove_cvref_t<decltype(std::declval<const Task&>().settings())>;
    TabularFlags<TaskSettings> flags;
    std::vector<std::pair<std::string, std::string>> rest;
    for (const auto& [flag, text] : request.settings)
        if (!set_setting(flags.run, flag, text) && (flag.starts_with("run.") || !set_setting(flags, flag, text)))
            rest.emplace_back(flag, text);
    return {AnyTabularTask(Task(flags.task, request.seed)), flags.tabular, flags.run, to_json(flags), rest};
}

}  // namespace

TabularWork tabular_work(const Request& request) {
    std::optional<TabularWork> work;
    std::apply(
        [&]<class... Named>(const Named&... each) {
            ((each.name == request.task ? void(work = work_on<typename Named::Task>(request)) : void()), ...);
        },
        tabular_tasks);
    return std::move(work).value();
}

void use_one_thread() {
#if defined(_OPENMP)
    omp_set_num_threads(1);
#endif
}

std::string flags_of(const TabularWork& work) {
    std::string flags;
    for (const auto& [part, settings] : work.settings.items())
        for (const auto& [name, value] : settings.items())
            flags += (flags.empty() ? "--" : " --") + (part == "run" ? "" : part + ".") + name;
    return flags;
}

}  // namespace roars::program
