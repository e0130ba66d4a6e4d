#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "roars/methods/registry.hpp"
#include "roars/reflect.hpp"
#include "roars/tasks/random_calculation.hpp"
#include "roars/train/language_learner.hpp"
#include "train_session.hpp"

namespace roars::program {

/// Everything that a flag can set: the method's parts at the top, then the run, the task, the actor.
template <class Method>
struct TextSettings {
    Method method{};
    RunSettings run{};
    tasks::RandomCalculationSettings task{};
    actor::TransformerSettings actor{};
    train::LanguageSettings language{};
};
template <class Method>
ROARS_FIELDS_OF((TextSettings<Method>), method, run, task, actor, language)

/// The papers' settings are for policies of 10^9 parameters and 10^4 tokens. These are for 10^5 and 10.
template <class Method>
TextSettings<Method> small_policy_settings(const Method& method) {
    TextSettings<Method> settings{method};
    settings.run.warm_start = 150;
    settings.task = tasks::small_integer_calculation();
    settings.task.largest_operand = 30;
    settings.task.train_per_level = 1500;
    settings.task.test_per_level = 300;
    settings.actor = {.layers = 2, .width = 64, .heads = 4, .hidden = 256};
    for_each_setting(settings.method, [](const std::string& path, auto& value) {
        auto set = [&](const char* name, double number) {
            if (path.size() >= std::string_view(name).size() && path.ends_with(name))
                if constexpr (std::is_arithmetic_v<std::remove_reference_t<decltype(value)>>)
                    value = static_cast<std::remove_reference_t<decltype(value)>>(number);
        };
        set("learning_rate", 1e-3);
        set("weight_decay", 0);
        set("minibatches", 1);
        set("sampler.max_draws", 4);
        set("soft_overlong.max_length", 6);
        set("soft_overlong.buffer", 2);
        set("aggregate.max_length", 6);
    });
    if constexpr (requires { settings.method.sampler.group_size; }) {
        auto& sampler = settings.method.sampler;
        bool groups = sampler.group_size > 1;
        sampler.prompts = groups ? 32 : 512;
        sampler.group_size = groups ? 16 : 1;
    }
    return settings;
}

/// A setting by its flag: --optimizer.surrogate.high, --iterations, --task.operators, --actor.width, --language....
template <class Method>
void set_flag(TextSettings<Method>& settings, const std::string& flag, const std::string& text) {
    bool found = set_setting(settings.method, flag, text) || set_setting(settings.run, flag, text) ||
                 (!flag.starts_with("method.") && !flag.starts_with("run.") && set_setting(settings, flag, text));
    expect(found, [&] {
        return "--" + flag + ": no such setting, expected one that `roars show METHOD` lists";
    });
}

template <class Method>
using TextLearner =
    train::LanguageLearner<tasks::RandomCalculation, contains_v<col::value, typename Method::Inputs>>;

/// roars train --method NAME --task random-calculation.
template <class Method>
int train_text(const methods::Facts& facts, const Request& request) {
    auto settings = small_policy_settings(registered<Method>(facts));
    for (const auto& [flag, text] : request.settings) set_flag(settings, flag, text);
    tasks::RandomCalculation task(settings.task, request.seed);
    TextLearner<Method> learner(task, settings.actor, settings.language, request.seed);
    Yardstick yardstick{"accuracy on " + std::to_string(task.test_count()) + " held-out problems", "held-out, greedy",
                        [&](auto& run, train::Record& record) {
                            auto score = learner.evaluate(run);
                            record.emplace_back("accuracy", score.accuracy);
                            record.emplace_back("score", score.score);
                            record.emplace_back("answer_length", score.length);
                            return score.accuracy;
                        }};
    return MethodSession(facts, request, to_json(settings), settings.run, yardstick, settings.method, learner).train();
}

/// Puts these methods into the programs, under every name that the registry has for them.
template <class... Method>
void add_text(Programs& programs) {
    auto add = [&]<class M>(const M*) {
        Program program = program_of<M, TextLearner<M>>([]<class Fitting>(const Fitting*) { return train_text<Fitting>; });
        for_each_name<M>([&](std::string_view name) { programs["random-calculation"][name] = program; });
    };
    (add(static_cast<const Method*>(nullptr)), ...);
}

}  // namespace roars::program
