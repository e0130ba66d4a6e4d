#include "compare.hpp"

#include <algorithm>
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

/// What the runs of one contestant came to, seed by seed.
struct Outcome {
    std::string label;
    CurveOf measured{};          ///< its score
    std::string cost{}, axis{};  ///< what the runs have spent, and what the curve stands over
    std::vector<double> before{}, after{}, along{}, divergence{}, spent{}, seconds{};
    std::map<std::int64_t, std::vector<double>> curve{};  ///< score by iteration, or by step
};

Request request_of(const Request& all, const Contestant& contestant, std::int64_t seed) {
    Request one = all;
    one.method = contestant.facts->name;
    one.settings.insert(one.settings.end(), contestant.settings.begin(), contestant.settings.end());
    one.seed = static_cast<std::uint64_t>(seed);
    one.out = all.out + "/" + contestant.label + "/seed-" + std::to_string(seed);
    one.resume = RunFolder(one.out).has("checkpoint.safetensors");
    return one;
}

Json read_json(const RunFolder& folder, const std::string& name) {
    std::ifstream stream(folder.file(name));
    Json json = Json::parse(stream, nullptr, false);
    expect(!json.is_discarded(), [&] { return folder.file(name) + ": is not JSON"; });
    return json;
}

/// The first thing that a run counts and has spent any of: an environment's steps, rollouts, or else its iterations.
std::string cost_of(const Json& summary) {
    for (const char* each : {"steps", "rollouts"})
        if (summary.value(each, std::int64_t(0)) > 0) return each;
    return "iterations";
}

/// Of one finished run; the divergence from the start is its last one, where the task measures it. `along`: the mean of
/// the scores that it measured while it trained.
void add_run(Outcome& outcome, const RunFolder& folder) {
    Json summary = read_json(folder, "summary.json");
    outcome.measured = {.score = summary.at("score"), .axis = summary.at("axis"), .share = summary.at("share")};
    const std::string& score = outcome.measured.score;
    outcome.cost = cost_of(summary);
    outcome.axis = outcome.cost == "steps" ? "steps" : "iteration";
    outcome.before.push_back(summary.at(score + "_before"));
    outcome.after.push_back(summary.at(score + "_after"));
    outcome.spent.push_back(summary.at(outcome.cost));
    outcome.seconds.push_back(summary.at("train_seconds"));
    std::ifstream stream(folder.file("metrics.jsonl"));
    double sum = 0;
    std::int64_t count = 0;
    std::optional<double> divergence;
    for (std::string text; std::getline(stream, text);) {
        Json line = Json::parse(text);
        if (line.value("phase", "") != "train" || !line.contains(score)) continue;
        outcome.curve[line.value(outcome.axis, std::int64_t(0))].push_back(line.at(score));
        sum += line.at(score).get<double>();
        if (line.contains("divergence")) divergence = line.at("divergence").get<double>();
        ++count;
    }
    outcome.along.push_back(count > 0 ? sum / double(count) : 0.0);
    if (divergence) outcome.divergence.push_back(*divergence);
}

std::string number(const char* format, double x) {
    char text[32];
    std::snprintf(text, sizeof text, format, x);
    return text;
}
std::string with_interval(const std::vector<double>& numbers, double unit) {
    auto x = metrics::mean_interval(numbers);
    std::string text = number("%.1f", unit * x.mean);
    if (x.count > 1) text += " (" + number("%.1f", unit * x.low) + " to " + number("%.1f", unit * x.high) + ")";
    return text;
}
std::string range(const std::vector<double>& numbers, double unit) {
    auto [low, high] = std::minmax_element(numbers.begin(), numbers.end());
    return number("%.1f", unit * *low) + " to " + number("%.1f", unit * *high);
}

std::vector<double> differences(const std::vector<double>& of, const std::vector<double>& from) {
    std::vector<double> difference;
    for (std::size_t k = 0; k < of.size(); ++k) difference.push_back(of[k] - from[k]);
    return difference;
}

/// Means and their 95 % intervals over seeds; a row a contestant.
std::string table(const std::vector<Outcome>& outcomes) {
    auto mean = [](const std::vector<double>& x) { return metrics::mean_interval(x).mean; };
    const Outcome& first = outcomes.front();
    const bool share = first.measured.share,
               diverges =
                   std::any_of(outcomes.begin(), outcomes.end(), [](const Outcome&x) { return !x.divergence.empty(); });
    const double unit = share ? 100 : 1;
    const std::string sign = share ? ", %" : "";
    std::string text = "| method | before" + sign + " | after" + sign + " | lowest to highest | along the way" + sign +
                       " | difference to " + first.label + (diverges ? " | KL to the start, nats" : "") + " | " +
                       first.cost + " | seconds |\n|---|---|---|---|---|---|---|---|" + (diverges ? "---|" : "") + "\n";
    for (const Outcome& each : outcomes) {
        std::string difference =
            each.label == first.label ? "" : with_interval(differences(each.after, first.after), unit);
        text += "| " + each.label + " | " + number("%.1f", unit * mean(each.before)) + " | " +
                with_interval(each.after, unit) + " | " + range(each.after, unit) + " | " +
                with_interval(each.along, unit) + " | " + difference + " | ";
        if (diverges) text += (each.divergence.empty() ? "" : number("%.2f", mean(each.divergence))) + " | ";
        text += number("%.0f", mean(each.spent)) + " | " + number("%.1f", mean(each.seconds)) + " |\n";
    }
    return text;
}

Json json_of(const std::vector<Contestant>& contestants, const std::vector<Outcome>& outcomes) {
    auto interval = [](const std::vector<double>& numbers) {
        auto x = metrics::mean_interval(numbers);
        return Json{{"mean", x.mean}, {"low", x.low}, {"high", x.high}, {"seeds", numbers}};
    };
    Json list = Json::array();
    for (std::size_t k = 0; k < outcomes.size(); ++k) {
        const Outcome& each = outcomes[k];
        const std::string& score = each.measured.score;
        list.push_back({{"label", each.label},
                        {"method", contestants[k].facts->name},
                        {"settings", Json(contestants[k].settings)},
                        {score + "_before", interval(each.before)},
                        {score + "_after", interval(each.after)},
                        {score + "_along", interval(each.along)},
                        {"divergence", interval(each.divergence)},
                        {each.cost, interval(each.spent)},
                        {"train_seconds", interval(each.seconds)}});
    }
    return list;
}

bool picture(const std::vector<Outcome>& outcomes, const std::string& title, const std::string& file) {
    std::vector<Band> bands;
    for (const Outcome& each : outcomes) {
        Band band{each.label, ""};
        for (const auto& [at, score] : each.curve) {
            auto x = metrics::mean_interval(score);
            char row[128];
            std::snprintf(row, sizeof row, "%lld %.6g %.6g %.6g\n", static_cast<long long>(at), x.mean,
                          x.count > 1 ? x.low : x.mean, x.count > 1 ? x.high : x.mean);
            band.rows += row;
        }
        bands.push_back(std::move(band));
    }
    return draw_bands(bands, title, file, outcomes.front().axis, outcomes.front().measured);
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
        outcomes.push_back({.label = each.label});
        for (std::int64_t seed = 0; seed < seeds; ++seed, ++done) {
            Request one = request_of(request, each, seed);
            one.progress = [&](double share, const std::string& note) {
                bar.show(static_cast<std::int64_t>(100 * (done + share) / runs),
                         each.label + ", seed " + std::to_string(seed) + "  " + note);
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
    folder.write("compare.json",
                 Json{{"task", request.task}, {"methods", json_of(contestants, outcomes)}}.dump(2) + "\n");
    folder.write("compare.md", text);
    if (!picture(outcomes, title, folder.file("compare.svg")))
        std::fprintf(stderr, "no picture: gnuplot was not found (Debian: gnuplot-nox), or had nothing to draw\n");
    std::printf("%s%s\n", text.c_str(), folder.file("compare.md").c_str());
    return 0;
}

}  // namespace roars::program
