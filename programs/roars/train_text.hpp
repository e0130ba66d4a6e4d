#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "roars/methods/registry.hpp"
#include "roars/reflect.hpp"
#include "text_tasks.hpp"
#include "train_session.hpp"

namespace roars::program {

/// The papers' settings are for policies of 10^9 parameters and answers of 10^4 tokens. These are for 10^5 and a few:
/// 2,048 answers an iteration. docs/benchmarks/demo.md says what they reach.
template <class Method>
Method small_policy_settings(Method method, const AnyTextTask& task) {
    const double longest = static_cast<double>(task.longest_answer() + 2);
    const std::pair<std::string_view, double> small[] = {
        {"learning_rate", 7e-4},
        {"weight_decay", 0},
        {"warmup_steps", 10},
        {"optimizer.minibatches", 4},
        {"sampler.max_draws", 2},
        {"soft_overlong.max_length", longest},
        {"soft_overlong.buffer", 2},
        {"aggregate.max_length", longest},
        {"aggregate.normalizer", longest},
        {"door.max_length", longest},
        {"second.min_length", 0},
        {"sampler.items", 256},
    };
    for (const auto& [name, number] : small) set_everywhere(method, name, number);
    // Without a ratio there is no correction for a policy that has moved on: one step a batch.
    if constexpr (!contains_v<col::logp_old, typename Method::Inputs>) method.optimizer.minibatches = 1;
    if constexpr (requires { method.sampler.group_size; }) {
        auto& sampler = method.sampler;
        sampler.group_size = sampler.group_size > 1 ? 4 : 1;
        sampler.prompts = 2048 / sampler.group_size;
    }
    return method;
}

template <class Method, class Actor = train::TextActor>
using TextLearner = train::LanguageLearner<AnyTextTask, contains_v<col::value, typename Method::Inputs>, Actor>;

/// roars train --method NAME --task random-calculation, calculation-domains or countdown, with the actor that
/// `make_actor` makes once all settings are known to be sound.
template <class Method, class MakeActor>
int train_text(const methods::Facts& facts, const Request& request, MakeActor&& make_actor) {
    TextWork work = text_work(request);
    Method method = small_policy_settings(methods::registered<Method>(facts.name), work.task);
    for (const auto& [flag, text] : work.rest)
        expect(set_setting(method, flag, text), [&, &name = flag] {
            return "--" + name + ": no such setting, expected one that `roars show METHOD` lists";
        });
    if (request.only_check) return 0;
    work.settings["method"] = to_json(method);
    TextLearner<Method, std::invoke_result_t<MakeActor&>> learner(work.task, work.actor, work.language, request.seed,
                                                                  make_actor());
    Yardstick yardstick{"accuracy on " + std::to_string(work.task.test_count()) + " held-out problems",
                        "held-out, greedy", [&](auto& run, train::Record& record) {
                            auto score = learner.evaluate(run);
                            record.emplace_back("accuracy", score.accuracy);
                            record.emplace_back("score", score.score);
                            record.emplace_back("answer_length", score.length);
                            return score.accuracy;
                        }};
    return MethodSession(facts, request, work.settings, work.run, yardstick, method, learner).train();
}

/// Where methods are trained on texts: the actor's type, and how one is made.
struct TextOnHost {
    using Actor = train::TextActor;
    template <class Method>
    static int train(const methods::Facts& facts, const Request& request) {
        return train_text<Method>(facts, request, [] { return Actor(); });
    }
};

/// Puts these methods into the programs, under every name that the registry has for them.
template <class Place, class... Method>
void add_text_on(Programs& programs) {
    auto add = [&]<class M>(const M*) {
        Program program = program_of<M, TextLearner<M, typename Place::Actor>>(
            []<class Fitting>(const Fitting*) { return Place::template train<Fitting>; });
        for (std::string_view task : text_task_names) add_program(programs, task, methods::names_of<M>(), program);
    };
    (add(static_cast<const Method*>(nullptr)), ...);
}
template <class... Method>
void add_text(Programs& programs) {
    add_text_on<TextOnHost, Method...>(programs);
}

}  // namespace roars::program
