// roars_data info | validate | convert | join | collect | make: data sets of transitions in HDF5, as D4RL and Minari
// write them

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "make.hpp"
#include "roars/data/collect.hpp"
#include "roars/data/files.hpp"
#include "roars/environments/registry.hpp"
#include "roars/error.hpp"
#include "roars/metrics/evaluation.hpp"

namespace roars::program {
namespace {

using Data = data::Transitions<double>;

void save(const Data& transitions, const std::string& path, const std::string& format) {
    if (format == "minari")
        data::save_minari(transitions, path);
    else
        data::save(transitions, path);
}

void print_range(const char* name, const std::vector<double>& values) {
    auto [low, high] = std::minmax_element(values.begin(), values.end());
    double sum = 0;
    for (double value : values) sum += value;
    std::printf("%-14s %.6g mean, %.6g to %.6g\n", name, sum / double(values.size()), *low, *high);
}

void info(const std::string& path) {
    auto t = data::load<double>(path);
    auto offsets = t.episodes();
    std::printf("%-14s %lld, %lld episodes\n", "rows", static_cast<long long>(t.rows()),
                static_cast<long long>(offsets.size() - 1));
    if (t.rows_left_out > 0)
        std::printf("%-14s %lld, whose next state the file does not say\n", "left out",
                    static_cast<long long>(t.rows_left_out));
    std::printf("%-14s %lld numbers\n", "observation", static_cast<long long>(t.observation_size));
    if (t.action_count > 0)
        std::printf("%-14s one of %lld\n", "action", static_cast<long long>(t.action_count));
    else
        std::printf("%-14s %lld numbers\n", "action", static_cast<long long>(t.action_size));
    print_range("action", t.action);
    print_range("reward", t.reward);
    auto returns = t.returns();
    print_range("return", returns);
    if (auto reference = metrics::d4rl_reference(t.notes["environment"])) {
        for (double& each : returns) each = reference->normalised(each);
        print_range("normalised", returns);
    }
    std::vector<double> lengths;
    for (std::size_t e = 0; e + 1 < offsets.size(); ++e) lengths.push_back(double(offsets[e + 1] - offsets[e]));
    print_range("length", lengths);
    std::printf("%-14s %lld episodes, %lld cut\n", "terminated",
                static_cast<long long>(std::count(t.terminated.begin(), t.terminated.end(), 1)),
                static_cast<long long>(std::count(t.truncated.begin(), t.truncated.end(), 1)));
    for (const auto& [name, value] : t.notes) std::printf("%-14s %s\n", name.c_str(), value.c_str());
}

/// One line a file; 2 if any is refused.
int validate(const std::vector<std::string>& paths) {
    int code = 0;
    for (const auto& path : paths) {
        try {
            auto t = data::load<double>(path);
            std::printf("%s: %lld rows, %lld episodes\n", path.c_str(), static_cast<long long>(t.rows()),
                        static_cast<long long>(t.episodes().size() - 1));
        } catch (const Error& error) {
            std::fprintf(stderr, "roars_data: %s\n", error.what());
            code = 2;
        }
    }
    return code;
}

struct Request {
    std::vector<std::string> from;
    std::string to, format = "d4rl", environment;
    std::int64_t rows = 0;
    std::uint64_t seed = 0;
};

void join(const Request& request) {
    expect(request.rows >= 0, "--rows: expected 1 or more");
    Data all;
    for (std::size_t i = 0; i < request.from.size(); ++i) {
        auto t = data::load<double>(request.from[i]);
        if (request.rows > 0) t.keep_first(request.rows);
        if (i == 0) {
            all = std::move(t);
            continue;
        }
        try {
            all.append(t);
        } catch (const Error& error) {
            throw Error(request.from[i] + ": " + error.what());
        }
        for (const auto& [name, value] : t.notes)
            if (auto& ours = all.notes[name]; ours != value) ours += (ours.empty() ? "" : ", ") + value;
    }
    save(all, request.to, request.format);
}

void collect(const Request& request) {
    env::with_environment(request.environment, [&](const auto& environment) {
        auto t = data::collect<double>(environment, request.rows, request.seed, env::UniformPolicy{});
        t.notes = {{"environment", request.environment}, {"policy", "random"}, {"seed", std::to_string(request.seed)}};
        save(t, request.to, request.format);
    });
}

int run(int argc, char** argv) {
    CLI::App app{"Data sets of transitions in HDF5, as D4RL and Minari write them."};
    app.require_subcommand(1);
    Request request;
    auto with_output = [&](CLI::App* command) {
        command->add_option("--out", request.to, "a file (d4rl) or a folder (minari)")->required();
        command->add_option("--format", request.format, "d4rl or minari")
            ->default_val("d4rl")
            ->check(CLI::IsMember({"d4rl", "minari"}));
        return command;
    };
    auto* tell = app.add_subcommand("info", "what a data set holds");
    tell->add_option("path", request.from, "a file, or a folder of Minari's")->required()->expected(1);
    auto* look = app.add_subcommand("validate", "reads every row; exit code 2 where one is damaged");
    look->add_option("path", request.from, "files and folders")->required();
    auto* turn = with_output(app.add_subcommand("convert", "writes a data set in the other layout"));
    turn->add_option("path", request.from, "a file, or a folder of Minari's")->required()->expected(1);
    auto* mix = with_output(app.add_subcommand("join", "writes several data sets as one, one behind the other"));
    mix->add_option("path", request.from, "files and folders")->required();
    mix->add_option("--rows", request.rows, "the first rows of each; without it all");
    auto* walk = with_output(app.add_subcommand("collect", "rows of a random policy in one of the library's worlds"));
    walk->add_option("--environment", request.environment, "its name; a wrong one lists all")->required();
    walk->add_option("--rows", request.rows, "steps")->required();
    walk->add_option("--seed", request.seed, "of world and policy")->default_val(0);
    MakeRequest made;
    auto* agents = app.add_subcommand("make", "trains an agent; data sets of random, medium, replay and expert rows");
    agents->add_option("--environment", made.environment, "its name; a wrong one lists all")->required();
    agents->add_option("--out", made.folder, "a folder that is not there yet")->required();
    agents->add_option("--seed", made.seed, "of world, agent and rows")->default_val(0);
    agents->add_option("--method", made.method,
                       "sac, td3; of discrete actions dqn, double-dqn; default: sac, double-dqn");
    agents->add_option("--steps", made.steps, "that the agent learns from; default: by the world");
    agents->add_option("--rows", made.rows, "of each data set; default: as many as steps");
    agents->add_option("--width", made.width, "units of a hidden layer; default: 64, in MuJoCo's worlds 256");
    agents->add_option("--layers", made.layers, "hidden layers")->default_val(2);
    agents->add_option("--batch", made.batch, "rows of an update; default: 100, in MuJoCo's worlds 256");
    agents->add_option("--learning-rate", made.learning_rate, "default: 0.001, in MuJoCo's worlds 0.0003");
    try {
        app.parse(argc, argv);
    } catch (const CLI::Success& success) {
        return app.exit(success);
    } catch (const CLI::ParseError& error) {
        throw Error(error.what());
    }
    if (*tell) info(request.from.front());
    if (*look) return validate(request.from);
    if (*turn || *mix) join(request);
    if (*walk) collect(request);
    if (*agents) make(made);
    return 0;
}

}  // namespace
}  // namespace roars::program

int main(int argc, char** argv) {
    try {
        return roars::program::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "roars_data: %s\n", error.what());
        return 2;
    }
}
