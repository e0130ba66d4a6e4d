// roars list | show NAME | options | train --method NAME --task TASK ... | compare --methods A,B --task TASK ...

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "compare.hpp"
#include "options.hpp"
#include "roars/methods/registry.hpp"
#include "roars/reflect.hpp"
#include "session.hpp"

namespace roars::program {
namespace {

/// Whether the paper's number is arXiv's.
bool of_archive(const methods::Facts& facts) {
    return !facts.paper.empty() && facts.paper.front() >= '0' && facts.paper.front() <= '9';
}

void list() {
    std::printf("%-14s %-12s %-28s %s\n", "name", "family", "paper", "what it is");
    for (const methods::Listed& method : methods::listed) {
        const auto& facts = *method.facts;
        std::string paper = of_archive(facts) ? "arXiv " + std::string(facts.paper) : std::string(facts.paper);
        if (facts.year) paper += " (" + std::to_string(facts.year) + ")";
        std::printf("%-14.*s %-12.*s %-28s %.*s\n", int(facts.name.size()), facts.name.data(), int(facts.family.size()),
                    facts.family.data(), paper.c_str(), int(facts.title.size()), facts.title.data());
    }
}

/// The registry's facts of the method of that name, or an Error that lists what there is.
const methods::Facts& facts_of(const std::string& name) {
    std::string known;
    for (const methods::Listed& method : methods::listed) {
        if (method.facts->name == name) return *method.facts;
        known += " " + std::string(method.facts->name);
    }
    throw Error("no method is named '" + name + "', expected one of:" + known);
}

template <class Part, class Stage>
std::array<std::string, 3> part_of() {
    return {type_name<Part>(), column_names(typename Stage::needs{}), column_names(typename Stage::gives{})};
}
void show_part(const char* slot, const std::array<std::string, 3>& part) {
    std::printf("%-12s %s\n", slot, part[0].c_str());
    std::printf("%-12s   reads %s; gives %s\n", "", part[1].c_str(), part[2].c_str());
}

template <class A>
void show_algorithm(const A&) {
    show_part("sampler", part_of<typename A::Sampler, typename A::SamplerStage>());
    show_part("reward", part_of<typename A::Reward, typename A::RewardStage>());
    show_part("regularizer", part_of<typename A::Regularizer, typename A::ShapeStage>());
    show_part("advantage", part_of<typename A::Advantage, typename A::AdvantageStage>());
    show_part("optimizer", part_of<typename A::Optimizer, typename A::ObjectiveStage>());
    std::printf("\nfrom actor and task: %s\ngradients: %s\n\n", column_names(typename A::Inputs{}).c_str(),
                column_names(typename A::Gradients{}).c_str());
}

template <class M>
void show_method(const methods::Entry<M>& entry) {
    const auto& facts = entry.facts;
    std::printf("%.*s\n%s%.*s\n\n", int(facts.title.size()), facts.title.data(), of_archive(facts) ? "arXiv " : "",
                int(facts.paper.size()), facts.paper.data());
    for_each_algorithm(entry.method, [](const auto& algorithm) { show_algorithm(algorithm); });
    std::printf("settings (the paper's):\n");
    for (const auto& [flag, setting] : flags_in(entry.method))
        std::printf("  --%s %s\n", flag.c_str(), setting.json().dump().c_str());
}

void show(const std::string& name) {
    const methods::Facts* asked = &facts_of(name);
    methods::for_each([&](const auto& entry) {
        if (&entry.facts == asked) show_method(entry);
    });
}

/// --a.b 1 and --a.b=1, which no one listed beforehand.
std::vector<std::pair<std::string, std::string>> settings_of(const std::vector<std::string>& words) {
    std::vector<std::pair<std::string, std::string>> settings;
    for (std::size_t i = 0; i < words.size(); ++i) {
        expect(words[i].starts_with("--"), [&] { return "'" + words[i] + "': expected a flag, --SETTING VALUE"; });
        std::string flag = words[i].substr(2);
        if (auto equals = flag.find('='); equals != std::string::npos) {
            settings.emplace_back(flag.substr(0, equals), flag.substr(equals + 1));
        } else {
            expect(i + 1 < words.size(), [&] { return "--" + flag + ": expected a value behind it"; });
            settings.emplace_back(flag, words[++i]);
        }
    }
    return settings;
}

void interrupt(int) { interrupted = 1; }

std::string task_names(const Programs& programs) {
    std::string names;
    for (const auto& each : programs) names += " " + std::string(each.first);
    return names;
}

/// How the registered method is trained on a task. Errors: no such method or task, or one that does not fit the other.
Contestant contestant(const Programs& programs, const std::string& method, const std::string& task) {
    auto of_task = programs.find(task);
    expect(of_task != programs.end(),
           [&] { return "no task is named '" + task + "', expected one of:" + task_names(programs); });
    const methods::Facts& facts = facts_of(method);
    auto program = of_task->second.find(facts.name);
    const bool listed = program != of_task->second.end();
    expect(!listed || program->second.missing.empty(), [&] {
        return method + " cannot be trained on " + task + ": it asks for " + program->second.missing +
               ", which neither this task nor its policy brings";
    });
    expect(listed && program->second.train, [&] { return method + " has no training program for " + task; });
    return {&facts, program->second.train};
}

/// METHOD, or LABEL=METHOD; behind it its own settings, each as :SETTING=VALUE.
Contestant contestant_of(const Programs& programs, const std::string& text, const std::string& task) {
    std::vector<std::string> words;
    for (std::size_t at = 0; at <= text.size();) {
        std::size_t end = std::min(text.find(':', at), text.size());
        words.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    auto cut = [&](const std::string& word) {
        auto equals = word.find('=');
        expect(equals != std::string::npos && equals > 0,
               [&] { return "--methods: '" + word + "' of '" + text + "': expected SETTING=VALUE behind a colon"; });
        return std::pair(word.substr(0, equals), word.substr(equals + 1));
    };
    std::string label = words.front(), method = label;
    if (label.find('=') != std::string::npos) std::tie(label, method) = cut(words.front());
    expect(label.find('/') == std::string::npos && !label.starts_with('.'),
           [&] { return "--methods: '" + label + "' is to name a folder, expected no / and no . in front"; });
    Contestant found = contestant(programs, method, task);
    found.label = label;
    for (std::size_t k = 1; k < words.size(); ++k) found.settings.push_back(cut(words[k]));
    return found;
}

void listen_to_interrupts() {
    std::signal(SIGINT, interrupt);
    std::signal(SIGTERM, interrupt);
}

int train(const Programs& programs, Request request, const std::vector<std::string>& words) {
    request.settings = settings_of(words);
    const Contestant alone = contestant(programs, request.method, request.task);
    listen_to_interrupts();
    return alone.train(*alone.facts, request);
}

int compare(const Programs& programs, Request request, const std::vector<std::string>& methods, std::int64_t seeds,
            const std::vector<std::string>& words) {
    request.settings = settings_of(words);
    std::vector<Contestant> contestants;
    for (const std::string& text : methods) {
        contestants.push_back(contestant_of(programs, text, request.task));
        const std::string& label = contestants.back().label;
        expect(
            std::count_if(contestants.begin(), contestants.end(), [&](const auto& c) { return c.label == label; }) == 1,
            [&] { return "--methods: " + label + " is named twice"; });
    }
    listen_to_interrupts();
    return compare_methods(contestants, request, seeds);
}

int run(int argc, char** argv) {
    CLI::App app{"ROARS: a reinforcement-learning algorithm is a type made of five parts."};
    app.require_subcommand(1);
    app.add_subcommand("list", "all methods, with paper and family")->callback(list);

    std::string name;
    auto* shown =
        app.add_subcommand("show", "a method's five parts, the columns between them, its settings, its source");
    shown->add_option("name", name, "as `roars list` prints it")->required();

    bool markdown = false;
    auto* options = app.add_subcommand("options", "which part an option of another library is");
    options->add_flag("--markdown", markdown, "as the page of the documentation");

    const Programs programs = all_programs();
    Request request;
    auto* learn = app.add_subcommand("train", "trains a method; every setting that `roars show` prints is a flag");
    learn->add_option("--method", request.method, "as `roars list` prints it")->required();
    learn->add_option("--task", request.task, "one of" + task_names(programs))->default_val("random-calculation");
    learn->add_option("--out", request.out, "folder for settings, metrics, checkpoints, summary and picture")
        ->required();
    learn->add_option("--seed", request.seed, "a run is a function of its seed")->default_val(0);
    learn->add_flag("--resume", request.resume, "goes on from the checkpoint in --out, bit for bit");
    learn->allow_extras();

    std::vector<std::string> methods;
    std::int64_t seeds = 5;
    auto* versus =
        app.add_subcommand("compare", "trains several methods at equal budget; settings are flags as of train");
    versus
        ->add_option("--methods", methods,
                     "with commas between them; differences are to the first. LABEL=NAME:SETTING=VALUE:... "
                     "gives one of them a name and settings of its own")
        ->required()
        ->delimiter(',');
    versus->add_option("--task", request.task, "as of train")->default_val("random-calculation");
    versus->add_option("--seeds", seeds, "runs of each method")->default_val(5)->check(CLI::Range(1, 1000));
    versus->add_option("--out", request.out, "folder for the runs, table, JSON and picture; what is there goes on")
        ->required();
    versus->allow_extras();

    try {
        app.parse(argc, argv);
        if (*shown) show(name);
        if (*options) print_options(markdown);
        if (*versus) return compare(programs, request, methods, seeds, versus->remaining());
        return *learn ? train(programs, request, learn->remaining()) : 0;
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);
        std::fprintf(stderr, "roars: %s\n", error.what());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "roars: %s\n", error.what());
    }
    return 2;
}

}  // namespace
}  // namespace roars::program

int main(int argc, char** argv) { return roars::program::run(argc, argv); }
