#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "console.hpp"
#include "picture.hpp"
#include "roars/methods/registry.hpp"
#include "roars/reflect.hpp"
#include "roars/tasks/random_calculation.hpp"
#include "roars/train/checkpoint.hpp"
#include "roars/train/language_learner.hpp"
#include "roars/train/trainer.hpp"
#include "run_folder.hpp"
#include "session.hpp"

namespace roars::program {

using Json = nlohmann::json;

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
class TextSession {
    using Task = tasks::RandomCalculation;
    static constexpr bool value_head = contains_v<col::value, typename Method::Inputs>;
    using Learner = train::LanguageLearner<Task, value_head>;
    using WarmStart = methods::SupervisedLikelihood;

public:
    TextSession(const methods::Facts& facts, const Request& request, const TextSettings<Method>& settings)
        : facts_(facts),
          request_(request),
          settings_(settings),
          folder_(request.out),
          task_(settings.task, request.seed),
          learner_(task_, settings.actor, settings.language, request.seed),
          warm_start_(warm_start(settings.run), learner_),
          trainer_(settings.method, learner_) {}

    int train() {
        begin();
        if (!phase("warm_start", warm_start_, settings_.run.warm_start)) return stopped();
        if (!phase("train", trainer_, settings_.run.iterations)) return stopped();
        finish();
        return 0;
    }

private:
    static WarmStart warm_start(const RunSettings& run) {
        WarmStart method = methods::supervised;
        method.sampler.batch_size = run.warm_start_batch;
        method.optimizer.step.learning_rate = run.warm_start_learning_rate;
        return method;
    }

    void begin() {
        folder_.create();
        bool there = folder_.has("checkpoint.safetensors");
        expect(there || !request_.resume, [&] { return request_.out + ": no checkpoint.safetensors to resume from"; });
        expect(!there || request_.resume,
               [&] { return request_.out + ": holds a run already, expected --resume or another --out"; });
        Json asked{{"method", facts_.name}, {"task", request_.task}, {"seed", request_.seed}, {"settings", to_json(settings_)}};
        if (request_.resume) return restore(asked);
        folder_.write("settings.json", asked.dump(2) + "\n");
        folder_.write("metrics.jsonl", "");
        checkpoint("warm_start", 0);
    }

    /// Iterations of one trainer from where it stands. False if the run was interrupted.
    template <class Trainer>
    bool phase(const std::string& name, Trainer& trainer, std::int64_t iterations) {
        if (name != phase_) {
            if (phase_ == "train") return true;  // resumed behind this phase
            phase_ = name;
            iteration_ = 0;
            begin_phase();
        }
        ProgressBar bar(std::string(facts_.name) + " " + name, iterations, iteration_);
        while (iteration_ < iterations) {
            auto start = std::chrono::steady_clock::now();
            Run run{host_, Random(request_.seed).at(std::uint32_t(iteration_)), Progress{iteration_, iterations}};
            train::Record record = trainer.iterate(run);
            ++iteration_;
            bool measures = iteration_ % settings_.run.evaluate_every == 0 || iteration_ == iterations;
            double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
            train_seconds_ += name == "train" ? seconds : 0.0;
            if (measures) evaluate(record);
            write(record, seconds);
            bar.show(iteration_, note(record));
            if (iteration_ % settings_.run.checkpoint_every == 0 || iteration_ == iterations || interrupted)
                checkpoint(name, iteration_);
            if (interrupted) return false;
        }
        return true;
    }

    /// What the policy is before the method's first iteration.
    void begin_phase() {
        if (phase_ != "train") return;
        learner_.set_reference();
        train::Record record;
        evaluate(record);
        accuracy_before_ = accuracy_;
        write(record, 0.0);
        checkpoint("train", 0);
    }

    void evaluate(train::Record& record) {
        Run run{host_, Random(request_.seed)};
        auto score = learner_.evaluate(run);
        accuracy_ = score.accuracy;
        record.emplace_back("accuracy", score.accuracy);
        record.emplace_back("score", score.score);
        record.emplace_back("answer_length", score.length);
    }

    static std::string note(const train::Record& record) {
        std::string text;
        for (const auto& [name, value] : record)
            if (name == "outcome" || name == "accuracy" || name == "loss") {
                char part[64];
                std::snprintf(part, sizeof part, "%s %.3f  ", name.c_str(), value);
                text += part;
            }
        return text;
    }

    void write(const train::Record& record, double seconds) {
        Json line{{"phase", phase_}, {"iteration", iteration_}, {"step", step_++}, {"seconds", seconds}};
        for (const auto& [name, value] : record) line[name] = value;
        folder_.append_line("metrics.jsonl", line.dump());
    }

    void checkpoint(const std::string& phase, std::int64_t iteration) {
        SafeTensors file;
        learner_.write(file);
        train::write_state(file, warm_start_.state, "warm_start");
        train::write_state(file, trainer_.state, "method");
        train::write_state(file, learner_.position, "position");
        Json where{{"phase", phase},
                   {"iteration", iteration},
                   {"step", step_},
                   {"accuracy", accuracy_},
                   {"accuracy_before", accuracy_before_},
                   {"train_seconds", train_seconds_}};
        file.metadata["run"] = where.dump();
        file.save(folder_.file("checkpoint.safetensors"));
    }

    void restore(const Json& asked) {
        std::ifstream stream(folder_.file("settings.json"));
        Json saved = Json::parse(stream, nullptr, false);
        expect(!saved.is_discarded(), [&] { return folder_.file("settings.json") + ": is not JSON"; });
        const Json flat = saved.flatten();
        for (const auto& [path, value] : flat.items()) {
            auto pointer = Json::json_pointer(path);
            bool free = path == "/settings/run/iterations";  // a run may be made longer
            expect(free || (asked.contains(pointer) && asked[pointer] == value), [&] {
                return request_.out + ": was begun with " + path + " = " + value.dump() + ", expected the same to resume";
            });
        }
        auto file = SafeTensors::load(folder_.file("checkpoint.safetensors"));
        learner_.read(file);
        train::read_state(file, warm_start_.state, "warm_start");
        train::read_state(file, trainer_.state, "method");
        train::read_state(file, learner_.position, "position");
        Json where = Json::parse(file.metadata.at("run"));
        phase_ = where.at("phase");
        iteration_ = where.at("iteration");
        step_ = where.at("step");
        accuracy_ = where.at("accuracy");
        accuracy_before_ = where.at("accuracy_before");
        train_seconds_ = where.at("train_seconds");
        folder_.keep_metrics(step_ - 1);
    }

    int stopped() {
        std::fprintf(stderr, "\nstopped in %s at iteration %lld; go on with --resume --out %s\n", phase_.c_str(),
                     static_cast<long long>(iteration_), request_.out.c_str());
        return 130;
    }

    void finish() {
        auto metrics = folder_.keep_metrics(step_ - 1);
        Json summary{{"method", facts_.name},
                     {"task", request_.task},
                     {"seed", request_.seed},
                     {"accuracy_before", accuracy_before_},
                     {"accuracy_after", accuracy_},
                     {"train_seconds", train_seconds_},
                     {"iterations", settings_.run.iterations},
                     {"rollouts", learner_.position.rollouts}};
        folder_.write("summary.json", summary.dump(2) + "\n");
        std::string title = std::string(facts_.name) + " on " + request_.task + ", seed " + std::to_string(request_.seed);
        if (!draw_curve(metrics, title, folder_.file("curve.svg")))
            std::fprintf(stderr, "no learning-curve picture: gnuplot was not found (Debian: gnuplot-nox)\n");
        std::printf("%s on %s: accuracy on %lld held-out problems %.1f %% -> %.1f %%, %.0f s of training, %lld rollouts\n",
                    std::string(facts_.name).c_str(), request_.task.c_str(), static_cast<long long>(task_.test_count()),
                    100 * accuracy_before_, 100 * accuracy_, train_seconds_,
                    static_cast<long long>(learner_.position.rollouts));
        std::printf("%s\n", request_.out.c_str());
    }

    const methods::Facts& facts_;
    const Request& request_;
    TextSettings<Method> settings_;
    RunFolder folder_;
    backend::Host host_;
    Task task_;
    Learner learner_;
    train::Trainer<WarmStart, Learner> warm_start_;
    train::Trainer<Method, Learner> trainer_;
    std::string phase_ = "warm_start";
    std::int64_t iteration_ = 0, step_ = 0;
    double accuracy_ = 0, accuracy_before_ = 0, train_seconds_ = 0;
};

/// roars train --method NAME --task random-calculation.
template <class Method>
int train_text(const methods::Facts& facts, const Request& request) {
    const Method* method = nullptr;
    methods::for_each([&](const auto& entry) {
        if constexpr (std::is_same_v<typename std::remove_cvref_t<decltype(entry)>::Method, Method>)
            if (entry.facts.name == facts.name) method = &entry.method;
    });
    auto settings = small_policy_settings(*method);
    for (const auto& [flag, text] : request.settings) set_flag(settings, flag, text);
    return TextSession<Method>(facts, request, settings).train();
}

}  // namespace roars::program
