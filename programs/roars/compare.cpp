#include "compare.hpp"

#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "console.hpp"
#include "picture.hpp"
#include "roars/metrics/confidence.hpp"
#include "run_folder.hpp"

namespace roars::program {
namespace {

using Json = nlohmann::json;

/// What the runs of one method came to, seed by seed.
struct Outcome {
    std::string method;
    std::vector<double> before{}, after{}, along{}, divergence{}, rollouts{}, seconds{};
    std::map<std::int64_t, std::vector<double>> curve{};  ///< accuracy by iteration
};

Request request_of(const Request& all, const Contestant& contestant, std::int64_t seed) {
    Request one = all;
    one.method = contestant.facts->name;
    one.seed = static_cast<std::uint64_t>(seed);
    one.out = all.out + "/" + one.method + "/seed-" + std::to_string(seed);
    one.resume = RunFolder(one.out).has("checkpoint.safetensors");
    return one;
}

Json read_json(const RunFolder& folder, const std::string& name) {
    std::ifstream stream(folder.file(name));
    Json json = Json::parse(stream, nullptr, false);
    expect(!json.is_discarded(), [&] { return folder.file(name) + ": is not JSON"; });
    return json;
}

/// Of one finished run; the divergence from the start is its last one, where the task measures it. `along`: the mean of
/// the accuracies that it measured while it trained.
void add_run(Outcome& outcome, const RunFolder& folder) {
    Json summary = read_json(folder, "summary.json");
    outcome.before.push_back(summary.at("accuracy_before"));
    outcome.after.push_back(summary.at("accuracy_after"));
    outcome.rollouts.push_back(summary.at("rollouts"));
    outcome.seconds.push_back(summary.at("train_seconds"));
    std::ifstream stream(folder.file("metrics.jsonl"));
    double sum = 0;
    std::int64_t count = 0;
    std::optional<double> divergence;
    for (std::string text; std::getline(stream, text);) {
        Json line = Json::parse(text);
        if (line.value("phase", "") != "train" || !line.contains("accuracy")) continue;
        outcome.curve[line.at("iteration")].push_back(line.at("accuracy"));
        sum += line.at("accuracy").get<double>();
        if (line.contains("divergence")) divergence = line.at("divergence").get<double>();
        ++count;
    }
    outcome.along.push_back(count > 0 ? sum / double(count) : 0.0);
    if (divergence) outcome.divergence.push_back(*divergence);
}

std::string percent(const metrics::MeanInterval& x) {
    char text[64];
    if (x.count > 1)
        std::snprintf(text, sizeof text, "%.1f (%.1f to %.1f)", 100 * x.mean, 100 * x.low, 100 * x.high);
    else
        std::snprintf(text, sizeof text, "%.1f", 100 * x.mean);
    return text;
}
std::string number(const char* format, double x) {
    char text[32];
    std::snprintf(text, sizeof text, format, x);
    return text;
}

std::vector<double> differences(const std::vector<double>& of, const std::vector<double>& from) {
    std::vector<double> difference;
    for (std::size_t k = 0; k < of.size(); ++k) difference.push_back(of[k] - from[k]);
    return difference;
}

std::string table(const std::vector<Outcome>& outcomes) {
    auto mean = [](const std::vector<double>& x) { return metrics::mean_interval(x); };
    const std::string first = outcomes.front().method;
    std::string text = "| method | before, % | after, % | along the way, % | difference to " + first +
                       " | KL to the start, nats | rollouts | seconds |\n|---|---|---|---|---|---|---|---|\n";
    for (const Outcome& each : outcomes) {
        std::string difference =
            each.method == first ? "" : percent(mean(differences(each.after, outcomes.front().after)));
        text += "| " + each.method + " | " + number("%.1f", 100 * mean(each.before).mean) + " | " +
                percent(mean(each.after)) + " | " + percent(mean(each.along)) + " | " + difference + " | " +
                (each.divergence.empty() ? "" : number("%.2f", mean(each.divergence).mean)) + " | " +
                number("%.0f", mean(each.rollouts).mean) + " | " + number("%.1f", mean(each.seconds).mean) + " |\n";
    }
    return text;
}

Json json_of(const std::vector<Outcome>& outcomes) {
    auto interval = [](const std::vector<double>& numbers) {
        auto x = metrics::mean_interval(numbers);
        return Json{{"mean", x.mean}, {"low", x.low}, {"high", x.high}, {"seeds", numbers}};
    };
    Json list = Json::array();
    for (const Outcome& each : outcomes)
        list.push_back({{"method", each.method},
                        {"accuracy_before", interval(each.before)},
                        {"accuracy_after", interval(each.after)},
                        {"accuracy_along", interval(each.along)},
                        {"divergence", interval(each.divergence)},
                        {"rollouts", interval(each.rollouts)},
                        {"train_seconds", interval(each.seconds)}});
    return list;
}

bool picture(const std::vector<Outcome>& outcomes, const std::string& title, const std::string& file) {
    std::vector<Band> bands;
    for (const Outcome& each : outcomes) {
        Band band{each.method, ""};
        for (const auto& [iteration, accuracy] : each.curve) {
            auto x = metrics::mean_interval(accuracy);
            char row[128];
            std::snprintf(row, sizeof row, "%lld %.6g %.6g %.6g\n", static_cast<long long>(iteration), x.mean,
                          x.count > 1 ? x.low : x.mean, x.count > 1 ? x.high : x.mean);
            band.rows += row;
        }
        bands.push_back(std::move(band));
    }
    return draw_bands(bands, title, file);
}

}  // namespace

int compare_methods(const std::vector<Contestant>& contestants, const Request& request, std::int64_t seeds) {
    for (const Contestant& each : contestants) {
        Request check = request_of(request, each, 0);
        check.only_check = true;
        each.train(*each.facts, check);
    }
    RunFolder folder(request.out);
    folder.create();
    ProgressBar bar("compare, %", 100);
    const auto runs = static_cast<double>(seeds) * static_cast<double>(contestants.size());
    double done = 0;
    std::vector<Outcome> outcomes;
    for (const Contestant& each : contestants) {
        outcomes.push_back({.method = std::string(each.facts->name)});
        for (std::int64_t seed = 0; seed < seeds; ++seed, ++done) {
            Request one = request_of(request, each, seed);
            one.progress = [&](double share, const std::string& note) {
                bar.show(static_cast<std::int64_t>(100 * (done + share) / runs),
                         one.method + ", seed " + std::to_string(seed) + "  " + note);
            };
            if (int code = each.train(*each.facts, one); code != 0) {
                std::fprintf(stderr, "\nstopped in %s; the same command goes on\n", one.out.c_str());
                return code;
            }
            add_run(outcomes.back(), RunFolder(one.out));
        }
    }
    const std::string title = "methods on " + request.task + ", " + std::to_string(seeds) + " seeds";
    const std::string text = table(outcomes);
    folder.write("compare.json", Json{{"task", request.task}, {"methods", json_of(outcomes)}}.dump(2) + "\n");
    folder.write("compare.md", text);
    if (!picture(outcomes, title, folder.file("compare.svg")))
        std::fprintf(stderr, "no picture: gnuplot was not found (Debian: gnuplot-nox), or had nothing to draw\n");
    std::printf("%s%s\n", text.c_str(), folder.file("compare.md").c_str());
    return 0;
}

}  // namespace roars::program
