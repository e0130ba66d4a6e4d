// roars list | show NAME | options | train --method NAME --task TASK ...

#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

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
    methods::for_each([](const auto& entry) {
        const auto& facts = entry.facts;
        std::string paper = of_archive(facts) ? "arXiv " + std::string(facts.paper) : std::string(facts.paper);
        if (facts.year) paper += " (" + std::to_string(facts.year) + ")";
        std::printf("%-14.*s %-12.*s %-28s %.*s\n", int(facts.name.size()), facts.name.data(), int(facts.family.size()),
                    facts.family.data(), paper.c_str(), int(facts.title.size()), facts.title.data());
    });
}

template <class Part, class Stage>
void show_part(const char* slot) {
    std::printf("%-12s %s\n", slot, type_name<Part>().c_str());
    std::printf("%-12s   reads %s; gives %s\n", "", column_names(typename Stage::needs{}).c_str(),
                column_names(typename Stage::gives{}).c_str());
}

template <class M>
void show_method(const methods::Entry<M>& entry) {
    const auto& facts = entry.facts;
    std::printf("%.*s\n%s%.*s\n\n", int(facts.title.size()), facts.title.data(), of_archive(facts) ? "arXiv " : "",
                int(facts.paper.size()), facts.paper.data());
    show_part<typename M::Sampler, typename M::SamplerStage>("sampler");
    show_part<typename M::Reward, typename M::RewardStage>("reward");
    show_part<typename M::Regularizer, typename M::ShapeStage>("regularizer");
    show_part<typename M::Advantage, typename M::AdvantageStage>("advantage");
    show_part<typename M::Optimizer, typename M::ObjectiveStage>("optimizer");
    std::printf("\nfrom actor and task: %s\ngradients: %s\n\nsettings (the paper's):\n",
                column_names(typename M::Inputs{}).c_str(), column_names(typename M::Gradients{}).c_str());
    for_each_flag(entry.method, [](const std::string& path, const auto& value) {
        std::printf("  --%s %s\n", path.c_str(), to_json(value).dump().c_str());
    });
}

/// The entry of that name, or an Error that lists what there is.
template <class Use>
void with_method(const std::string& name, Use&& use) {
    bool found = false;
    std::string known;
    methods::for_each([&](const auto& entry) {
        known += " " + std::string(entry.facts.name);
        if (entry.facts.name != name) return;
        found = true;
        use(entry);
    });
    expect(found, [&] { return "no method is named '" + name + "', expected one of:" + known; });
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

Programs all_programs() {
    Programs programs;
    add_baselines(programs);
    add_sequence_methods(programs);
    add_weight_methods(programs);
    add_critic_methods(programs);
    add_group_methods(programs);
    add_data_methods(programs);
    add_replay_methods(programs);
    add_action_value_methods(programs);
    add_rollout_methods(programs);
    add_offline_methods(programs);
    add_data_constraint_methods(programs);
    [&]<std::size_t... part>(std::index_sequence<part...>) { (add_tabular<part>(programs), ...); }
    (std::make_index_sequence<tabular_parts>{});
    return programs;
}

int train(Request request, const std::vector<std::string>& words) {
    request.settings = settings_of(words);
    Programs programs = all_programs();
    auto task = programs.find(request.task);
    expect(task != programs.end(), [&] {
        std::string known;
        for (const auto& each : programs) known += " " + std::string(each.first);
        return "no task is named '" + request.task + "', expected one of:" + known;
    });
    std::signal(SIGINT, interrupt);
    std::signal(SIGTERM, interrupt);
    int code = 0;
    with_method(request.method, [&](const auto& entry) {
        const Program& program = task->second[entry.facts.name];
        expect(program.train || program.missing.empty(), [&] {
            return request.method + " cannot be trained on " + request.task + ": it asks for " + program.missing +
                   ", which neither this task nor its policy brings";
        });
        expect(program.train, [&] { return request.method + " has no training program for " + request.task; });
        code = program.train(entry.facts, request);
    });
    return code;
}

int run(int argc, char** argv) {
    CLI::App app{"ROARS: a reinforcement-learning algorithm is a type made of five parts."};
    app.require_subcommand(1);
    app.add_subcommand("list", "all methods, with paper and family")->callback(list);

    std::string name;
    auto* show =
        app.add_subcommand("show", "a method's five parts, the columns between them, its settings, its source");
    show->add_option("name", name, "as `roars list` prints it")->required();

    bool markdown = false;
    auto* options = app.add_subcommand("options", "which part an option of another library is");
    options->add_flag("--markdown", markdown, "as the page of the documentation");

    Request request;
    auto* learn = app.add_subcommand("train", "trains a method; every setting that `roars show` prints is a flag");
    learn->add_option("--method", request.method, "as `roars list` prints it")->required();
    learn
        ->add_option("--task", request.task,
                     "random-calculation, bandit, chain, digits, factorised, stop-time, or an environment: pendulum, "
                     "cartpole, ...")
        ->default_val("random-calculation");
    learn->add_option("--out", request.out, "folder for settings, metrics, checkpoints, summary and picture")
        ->required();
    learn->add_option("--seed", request.seed, "a run is a function of its seed")->default_val(0);
    learn->add_flag("--resume", request.resume, "goes on from the checkpoint in --out, bit for bit");
    learn->allow_extras();

    try {
        app.parse(argc, argv);
        if (*show) with_method(name, [](const auto& entry) { show_method(entry); });
        if (*options) print_options(markdown);
        return *learn ? train(request, learn->remaining()) : 0;
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
