#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "roars/methods/registry.hpp"
#include "roars/reflect.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/with_continuations.hpp"
#include "roars/train/with_criteria.hpp"
#include "tabular_tasks.hpp"
#include "train_session.hpp"

namespace roars::program {

namespace detail {
/// The first of some learners that the method's sampler can draw from; where there is none, the last.
template <class Method, class First, class... Other>
struct learner_for {
    using type = First;
};
template <class Method, class First, class Second, class... Other>
requires requires {
    typename Method::Sampler;
    requires !train::draws_from<Method, First>;
}
struct learner_for<Method, First, Second, Other...> : learner_for<Method, Second, Other...> {};

template <class Method>
inline constexpr bool has_values = contains_v<col::value, typename Method::Inputs>;
}  // namespace detail

/// A table; one that is shown criteria, or goes on from within an answer, where the sampler asks for that.
template <class Method, bool values = detail::has_values<Method>>
using AnyTabularLearner = typename detail::learner_for<Method, train::TabularLearner<AnyTabularTask, float, values>,
                                                       train::WithCriteria<AnyTabularTask, float, values>,
                                                       train::WithContinuations<AnyTabularTask, float, values>>::type;

/// The papers' settings are for policies of 10^9 parameters. These are for a table, of which a batch shows every row.
template <class Method>
Method tabular_settings(Method method, const AnyTabularTask& task) {
    auto longest = static_cast<double>(task.longest_answer());
    set_everywhere(method, ".learning_rate", 0.05);
    set_everywhere(method, ".weight_decay", 0);
    set_everywhere(method, ".minibatches", 1);
    set_everywhere(method, "sampler.max_draws", 4);
    set_everywhere(method, "soft_overlong.max_length", longest);
    set_everywhere(method, "soft_overlong.buffer", 0);
    set_everywhere(method, "aggregate.max_length", longest);
    set_everywhere(method, "aggregate.normalizer", longest);
    set_everywhere(method, "door.max_length", longest);
    set_everywhere(method, "second.min_length", 0);
    for_each_algorithm(method, [](auto& algorithm) {
        if constexpr (requires { algorithm.sampler.group_size; }) {
            bool groups = algorithm.sampler.group_size > 1;
            algorithm.sampler.prompts = groups ? 32 : 256;
            algorithm.sampler.group_size = groups ? 8 : 1;
        }
        if constexpr (requires { algorithm.sampler.fail_value; }) algorithm.sampler.batch_size = 8;
    });
    return method;
}

/// roars train --method NAME --task, one of tabular_tasks.
template <class Method>
int train_tabular(const methods::Facts& facts, const Request& request) {
    use_one_thread();
    TabularWork work = tabular_work(request);
    Method method = tabular_settings(methods::registered<Method>(facts.name), work.task);
    for (const auto& [flag, text] : work.rest)
        expect(set_in_method(method, flag, text), [&, &name = flag] {
            return "--" + name + ": no such setting, expected one that `roars show " + request.method + "` lists, or " +
                   flags_of(work);
        });
    if (request.only_check) return 0;
    work.settings["method"] = to_json(method);
    AnyTabularLearner<Method> learner(work.task, work.tabular);
    Yardstick yardstick{"exact success over " + std::to_string(work.task.prompts()) + " prompts", "exact",
                        [&](auto& run, train::Record& record) {
                            auto score = learner.evaluate(run);
                            record.emplace_back("accuracy", score.success);
                            record.emplace_back("pass", score.pass);
                            record.emplace_back("coverage", score.coverage);
                            record.emplace_back("answer_entropy", score.entropy);
                            record.emplace_back("answer_length", score.length);
                            record.emplace_back("answer_truncated", score.truncated);
                            record.emplace_back("divergence",
                                                tasks::mean_exact_divergence(work.task, learner.policy().logits(),
                                                                             work.task.start_logits()));
                            return score.success;
                        }};
    return MethodSession(facts, request, work.settings, work.run, yardstick, method, learner).train();
}

/// Every tabular_parts-th method of the registry, from number `part` on; with the first part the composed ones.
template <std::size_t part>
void add_tabular(Programs& programs) {
    auto add = [&]<class Entry>(const Entry& entry) {
        Program program = program_of<typename Entry::Method, AnyTabularLearner<typename Entry::Method>>(
            []<class Fitting>(const Fitting*) { return train_tabular<Fitting>; });
        auto add_to = [&]<class Named>(const Named& task) {
            using Untold = minus_t<common_t<typename Entry::Method::Inputs, gives_of<AnyTabularTask>>,
                                   tasks::told_by<typename Named::Task>>;
            Program here = program;
            if (program.train && Untold::size > 0) here = {nullptr, column_names(Untold{})};
            add_program(programs, task.name, {entry.facts.name}, here);
        };
        std::apply([&](const auto&... task) { (add_to(task), ...); }, tabular_tasks);
    };
    [&]<std::size_t... index>(std::index_sequence<index...>) {
        auto one = [&]<std::size_t number>(std::integral_constant<std::size_t, number>) {
            if constexpr (number % tabular_parts == part) add(get<number>(methods::all.entries));
        };
        (one(std::integral_constant<std::size_t, index>{}), ...);
    }
    (std::make_index_sequence<decltype(methods::all)::size>{});
    if constexpr (part == 0) apply(methods::staged.entries, [&](const auto&... entry) { (add(entry), ...); });
}

}  // namespace roars::program
