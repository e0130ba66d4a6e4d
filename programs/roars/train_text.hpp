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

/// The papers' settings are for policies of 10^9 parameters and answers of 10^4 tokens. These are for 10^5 and 5: sums
/// and differences of two numbers up to 50, 2,048 answers an iteration. docs/benchmarks/demo.md says what they reach.
template <class Method>
TextSettings<Method> small_policy_settings(const Method& method) {
    TextSettings<Method> settings{method};
    settings.run.iterations = 800;
    settings.run.evaluate_every = 40;
    settings.run.checkpoint_every = 40;
    settings.run.warm_start = 150;
    settings.task = tasks::small_integer_calculation();
    settings.task.largest_operand = 50;
    settings.task.train_per_level = 4500;
    settings.task.test_per_level = 300;
    settings.actor = {.layers = 2, .width = 64, .heads = 4, .hidden = 256};
    const std::pair<std::string_view, double> small[] = {
        {"learning_rate", 7e-4},      {"weight_decay", 0},         {"warmup_steps", 10},
        {"optimizer.minibatches", 4}, {"sampler.max_draws", 2},    {"soft_overlong.max_length", 6},
        {"soft_overlong.buffer", 2},  {"aggregate.max_length", 6}, {"aggregate.normalizer", 6},
        {"door.max_length", 6},
    };
    for_each_flag(settings.method, [&](const std::string& flag, auto& value) {
        if constexpr (std::is_arithmetic_v<std::remove_reference_t<decltype(value)>>)
            for (const auto& [name, number] : small)
                if (flag.ends_with(name)) value = static_cast<std::remove_reference_t<decltype(value)>>(number);
    });
    // Without a ratio there is no correction for a policy that has moved on: one step a batch.
    if constexpr (!contains_v<col::logp_old, typename Method::Inputs>) settings.method.optimizer.minibatches = 1;
    if constexpr (requires { settings.method.sampler.group_size; }) {
        auto& sampler = settings.method.sampler;
        sampler.group_size = sampler.group_size > 1 ? 4 : 1;
        sampler.prompts = 2048 / sampler.group_size;
    }
    return settings;
}

/// A setting by its flag: --optimizer.surrogate.high, --iterations, --task.operators, --actor.width, --language....
template <class Method>
void set_flag(TextSettings<Method>& settings, const std::string& flag, const std::string& text) {
    bool found = set_setting(settings.method, flag, text) || set_setting(settings.run, flag, text) ||
                 (!flag.starts_with("method.") && !flag.starts_with("run.") && set_setting(settings, flag, text));
    expect(found, [&] { return "--" + flag + ": no such setting, expected one that `roars show METHOD` lists"; });
}

template <class Method>
using TextLearner = train::LanguageLearner<tasks::RandomCalculation, contains_v<col::value, typename Method::Inputs>>;

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
        Program program =
            program_of<M, TextLearner<M>>([]<class Fitting>(const Fitting*) { return train_text<Fitting>; });
        for_each_name<M>([&](std::string_view name) { programs["random-calculation"][name] = program; });
    };
    (add(static_cast<const Method*>(nullptr)), ...);
}

}  // namespace roars::program
