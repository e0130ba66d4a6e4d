#include "tabular_tasks.hpp"

#include <string_view>

#include "roars/reflect.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace roars::program {
namespace {

/// `prefix` and a setting's path, as --task.prompts.
template <class Settings>
bool set_behind(std::string_view prefix, Settings& settings, const std::string& flag, const std::string& text) {
    return flag.starts_with(prefix) && set_setting(settings, flag.substr(prefix.size()), text);
}

template <class Task>
TabularWork work_on(const Request& request) {
    auto of_task = Task().settings();
    train::TabularSettings tabular;
    RunSettings run{.iterations = 200, .warm_start_learning_rate = 0.05};
    std::vector<std::pair<std::string, std::string>> rest;
    for (const auto& [flag, text] : request.settings)
        if (!set_behind("task.", of_task, flag, text) && !set_behind("tabular.", tabular, flag, text) &&
            !set_setting(run, flag, text))
            rest.emplace_back(flag, text);
    nlohmann::json settings{{"run", to_json(run)}, {"task", to_json(of_task)}, {"tabular", to_json(tabular)}};
    return {AnyTabularTask(Task(of_task, request.seed)), tabular, run, settings, rest};
}

}  // namespace

TabularWork tabular_work(const Request& request) {
    if (request.task == "bandit") return work_on<tasks::BanditPrompts>(request);
    if (request.task == "chain") return work_on<tasks::Chain>(request);
    if (request.task == "factorised") return work_on<tasks::FactorisedTargets>(request);
    return work_on<tasks::StopTime>(request);
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
