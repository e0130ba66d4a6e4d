#include "results.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>

namespace roars::claims {
namespace {

using Json = nlohmann::json;

template <class... Value>
std::string text(const char* format, Value... value) {
    char line[256];
    std::snprintf(line, sizeof line, format, value...);
    return line;
}
/// Three digits: 0.394, 12.3, 1,020.
std::string short_number(double x) {
    double size = std::abs(x);
    return text(size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : "%.3f", x);
}
std::string with_interval(const metrics::MeanInterval& x) {
    return short_number(x.mean) + " (" + short_number(x.low) + " to " + short_number(x.high) + ")";
}
std::string rate_text(double rate) { return text("%g", rate); }

const Arm& arm_of(const Experiment& experiment, const std::string& name) {
    for (const Arm& arm : experiment.arms)
        if (arm.name == name) return arm;
    throw Error(experiment.name + ": a claim names the arm '" + name + "', which there is not");
}

double number_of(const Runs& runs, const Key& key, const std::string& number) {
    const Numbers* numbers = runs.find(key);
    auto found = numbers ? numbers->find(number) : Numbers::const_iterator{};
    expect(numbers && found != numbers->end(),
           [&] { return std::get<0>(key) + ", " + std::get<1>(key) + ": measured no '" + number + "'"; });
    return found->second;
}

bool on_the_expected_side(const Claim& claim, double effect) {
    switch (claim.expected) {
        case Expected::higher:
            return effect > 0;
        case Expected::lower:
            return effect < 0;
        case Expected::same:
            return std::abs(effect) <= claim.least;
    }
    return false;
}
bool shown(const Claim& claim, const metrics::MeanInterval& effect) {
    switch (claim.expected) {
        case Expected::higher:
            return effect.low > 0 && effect.mean >= claim.least;
        case Expected::lower:
            return effect.high < 0 && -effect.mean >= claim.least;
        case Expected::same:
            return effect.low >= -claim.least && effect.high <= claim.least;
    }
    return false;
}

Verdict verdict(const Experiment& experiment, const Claim& claim, const Plan& plan, const Runs& runs, bool searched) {
    const Arm &method = arm_of(experiment, claim.method), &baseline = arm_of(experiment, claim.baseline);
    Verdict v{.experiment = &experiment, .claim = &claim, .searched = searched};
    v.rate_method = searched ? chosen_rate(experiment, method, plan, runs) : 1.0;
    v.rate_baseline = searched ? chosen_rate(experiment, baseline, plan, runs) : 1.0;
    std::vector<double> of_method, of_baseline, effect;
    for (std::int64_t seed = 0; seed < plan.seeds_of(experiment); ++seed) {
        Key key_method = plan.key(experiment, method, v.rate_method, std::uint64_t(seed)),
            key_baseline = plan.key(experiment, baseline, v.rate_baseline, std::uint64_t(seed));
        double m = number_of(runs, key_method, claim.number), b = number_of(runs, key_baseline, claim.number);
        of_method.push_back(m);
        of_baseline.push_back(b);
        effect.push_back(claim.as_share ? (m - b) / std::abs(b) : m - b);
        v.as_expected += on_the_expected_side(claim, effect.back());
        if (!claim.beside.empty())
            v.beside += number_of(runs, key_method, claim.beside) / double(plan.seeds_of(experiment));
        auto rollouts = [&](const Key& key) {
            const Numbers& numbers = *runs.find(key);
            return numbers.contains("rollouts") ? numbers.at("rollouts") / double(plan.seeds_of(experiment)) : 0.0;
        };
        v.rollouts_method += rollouts(key_method);
        v.rollouts_baseline += rollouts(key_baseline);
    }
    v.method = metrics::mean_interval(of_method);
    v.baseline = metrics::mean_interval(of_baseline);
    v.effect = metrics::mean_interval(effect);
    v.shown = shown(claim, v.effect);
    return v;
}

std::string expectation(const Claim& claim) {
    auto amount = [&] { return claim.as_share ? text("%g %% of it", 100 * claim.least) : text("%g", claim.least); };
    switch (claim.expected) {
        case Expected::higher:
            return claim.least > 0 ? "higher by " + amount() + " or more" : "higher";
        case Expected::lower:
            return claim.least > 0 ? "lower by " + amount() + " or more" : "lower";
        case Expected::same:
            return "the same to " + amount();
    }
    return {};
}

std::string effect_text(const Verdict& v) {
    if (!v.claim->as_share) return with_interval(v.effect);
    return text("%+.0f %% (%+.0f to %+.0f)", 100 * v.effect.mean, 100 * v.effect.low, 100 * v.effect.high);
}

/// Why a claim is not shown.
std::string reason(const Verdict& v) {
    if (v.claim->expected == Expected::same) return "the interval leaves the bound";
    const double sign = v.claim->expected == Expected::higher ? 1 : -1;
    const double near = sign > 0 ? v.effect.low : v.effect.high, far = sign > 0 ? v.effect.high : v.effect.low;
    if (sign * near > 0) return "smaller than asked";
    return sign * far < 0 ? "the opposite" : "the interval holds 0";
}

std::string rows_of(const Verdict& v) {
    std::string rates = v.searched ? "searched: " + rate_text(v.rate_method) + ", " + rate_text(v.rate_baseline)
                                   : std::string("as designed");
    const std::string beside = v.claim->beside.empty() ? "" : "; " + v.claim->beside + " " + short_number(v.beside);
    return "| " + v.claim->says + " | " + v.claim->number + ": " + v.claim->method + " against " + v.claim->baseline +
           ", " + expectation(*v.claim) + " | " + rates + " | " + with_interval(v.method) + beside + " | " +
           with_interval(v.baseline) + " | " + effect_text(v) + " | " + std::to_string(v.as_expected) + "/" +
           std::to_string(v.effect.count) + " | " + (v.shown ? "shown" : "**not shown**: " + reason(v)) + " |\n";
}
constexpr const char* table_head =
    "| claim | measured | learning rate | method | baseline | effect | seeds | verdict |\n"
    "|---|---|---|---|---|---|---|---|\n";

bool has_search(const Experiment& experiment) { return experiment.rates.size() > 1; }

std::string rollouts_line(const std::vector<Verdict>& verdicts, const Experiment& experiment) {
    std::map<std::string, double> rollouts;
    for (const Verdict& v : verdicts)
        if (v.experiment == &experiment && !v.searched) {
            rollouts[v.claim->method] = v.rollouts_method;
            rollouts[v.claim->baseline] = v.rollouts_baseline;
        }
    std::string line;
    for (const Arm& arm : experiment.arms)
        if (auto found = rollouts.find(arm.name); found != rollouts.end() && found->second > 0)
            line += (line.empty() ? "" : "; ") + arm.name + " " + text("%.0f", found->second);
    return line.empty() ? "" : "Rollouts of a run: " + line + ".\n\n";
}

std::string about(const std::vector<Verdict>& verdicts, const Experiment& experiment) {
    return experiment.setup + "\n\n" + rollouts_line(verdicts, experiment);
}

}  // namespace

Runs::Runs(const program::RunFolder& folder) : folder_(folder) {
    std::ifstream stream(folder.file("runs.jsonl"));
    std::string kept;
    for (std::string line; std::getline(stream, line);) {
        Json json = Json::parse(line, nullptr, false);
        if (json.is_discarded() || !json.contains("numbers")) break;
        runs_[{json.at("experiment"), json.at("arm"), json.at("updates"), json.at("rate"), json.at("seed")}] =
            json.at("numbers").get<Numbers>();
        kept += line + '\n';
    }
    stream.close();
    folder.write("runs.jsonl", kept);
}

const Numbers* Runs::find(const Key& key) const {
    auto found = runs_.find(key);
    return found == runs_.end() ? nullptr : &found->second;
}

void Runs::add(const Key& key, const Numbers& numbers) {
    const auto& [experiment, arm, updates, rate, seed] = key;
    for (const auto& [name, value] : numbers)
        expect(std::isfinite(value), [&, &number = name] {
            return std::get<0>(key) + ", " + std::get<1>(key) + ": '" + number + "' is not finite";
        });
    Json line{{"experiment", experiment}, {"arm", arm}, {"updates", updates}, {"rate", rate}, {"seed", seed},
              {"numbers", numbers}};
    folder_.append_line("runs.jsonl", line.dump());
    runs_[key] = numbers;
}

std::vector<Key> first_runs(const Experiment& experiment, const Plan& plan) {
    std::vector<Key> keys;
    for (const Arm& arm : experiment.arms) {
        for (std::int64_t seed = 0; seed < plan.seeds_of(experiment); ++seed)
            keys.push_back(plan.key(experiment, arm, 1.0, std::uint64_t(seed)));
        if (!has_search(experiment) || plan.smoke) continue;
        for (double rate : experiment.rates)
            for (std::int64_t seed = 0; seed < plan.search_seeds; ++seed)
                keys.push_back(plan.key(experiment, arm, rate, Plan::first_search_seed + std::uint64_t(seed)));
    }
    return keys;
}

std::vector<Key> chosen_runs(const Experiment& experiment, const Plan& plan, const Runs& runs) {
    std::vector<Key> keys;
    if (!has_search(experiment) || plan.smoke) return keys;
    for (const Arm& arm : experiment.arms)
        for (std::int64_t seed = 0; seed < plan.seeds_of(experiment); ++seed)
            keys.push_back(plan.key(experiment, arm, chosen_rate(experiment, arm, plan, runs), std::uint64_t(seed)));
    return keys;
}

double chosen_rate(const Experiment& experiment, const Arm& arm, const Plan& plan, const Runs& runs) {
    auto mean = [&](double rate) {
        double sum = 0;
        for (std::int64_t seed = 0; seed < plan.search_seeds; ++seed)
            sum += number_of(runs, plan.key(experiment, arm, rate, Plan::first_search_seed + std::uint64_t(seed)),
                             experiment.tuned_by);
        return sum;
    };
    auto far = [](double rate) { return std::abs(std::log(rate)); };
    double best = experiment.rates.front();
    for (double rate : experiment.rates) {
        double here = mean(rate), there = mean(best);
        if (here > there || (here == there && far(rate) < far(best))) best = rate;
    }
    return best;
}

std::vector<Verdict> judge(const std::vector<const Experiment*>& experiments, const Plan& plan, const Runs& runs) {
    std::vector<Verdict> verdicts;
    for (const Experiment* experiment : experiments)
        for (const Claim& claim : experiment->claims)
            for (bool searched : {false, true})
                if (!searched || has_search(*experiment))
                    verdicts.push_back(verdict(*experiment, claim, plan, runs, searched));
    return verdicts;
}

Json to_json(const std::vector<Verdict>& verdicts, const Plan& plan) {
    auto interval = [](const metrics::MeanInterval& x) {
        return Json{{"mean", x.mean}, {"low", x.low}, {"high", x.high}};
    };
    Json list = Json::array();
    for (const Verdict& v : verdicts) {
        list.push_back({{"experiment", v.experiment->name},
                        {"paper", v.experiment->paper},
                        {"claim", v.claim->says},
                        {"number", v.claim->number},
                        {"expected", expectation(*v.claim)},
                        {"method",
                         {{"name", v.claim->method},
                          {"rate", v.rate_method},
                          {"of", interval(v.method)},
                          {"rollouts", v.rollouts_method}}},
                        {"baseline",
                         {{"name", v.claim->baseline},
                          {"rate", v.rate_baseline},
                          {"of", interval(v.baseline)},
                          {"rollouts", v.rollouts_baseline}}},
                        {"rate_searched", v.searched},
                        {"updates", plan.updates(*v.experiment)},
                        {"effect", interval(v.effect)},
                        {"effect_is_share", v.claim->as_share},
                        {"seeds", v.effect.count},
                        {"seeds_as_expected", v.as_expected},
                        {"verdict", v.shown ? "shown" : "not shown"},
                        {"reason", v.shown ? "" : reason(v)}});
        if (!v.claim->beside.empty()) list.back()["beside"] = {{v.claim->beside, v.beside}};
    }
    return {{"confidence", 0.95}, {"search_seeds", plan.search_seeds}, {"verdicts", list}};
}

std::string page_of(const std::vector<Verdict>& verdicts, const Plan& plan) {
    std::int64_t shown_count = 0;
    for (const Verdict& v : verdicts) shown_count += v.shown;
    std::string page =
        "# Claims of the papers, in small\n\n"
        "Written by `roars_claims`. What each paper claims is tried on a task that takes seconds and that is "
        "evaluated\n"
        "exactly, without sampling. Every arm has the same number of updates, or of rollouts where an experiment says "
        "so.\n"
        "A row is at the learning rate of the experiment's design; where an experiment searches, a second one is at "
        "the rate\n"
        "that a search found for each arm (its factors are given: method, baseline): the search is the same for both, "
        "with\n" +
        std::to_string(plan.search_seeds) +
        " seeds of its own. The effect is the\n"
        "mean over seeds of method minus baseline, paired by seed, with its 95 % interval by Student's t. *Shown*: "
        "the\n"
        "interval is on the claimed side of 0, and the mean reaches what is asked; *the same*: the whole interval is\n"
        "within the bound. The column \"seeds\" counts those whose own effect is as claimed. There is no search where\n"
        "nothing that is compared is trained (survey-variance, survey-hacking), where training goes on to its end\n"
        "(survey-margin), where the baseline is the policy before training (survey-rows), and in most experiments on\n"
        "control and offline data, which keep the rates of their design.\n\n" +
        std::to_string(shown_count) + " of " + std::to_string(verdicts.size()) +
        " rows are shown.\n\n![The first claim of each experiment: means with 95 % intervals](claims.svg)\n\n";
    const Experiment* last = nullptr;
    for (const Verdict& v : verdicts) {
        if (v.experiment != last)
            page += std::string(last ? "\n" : "") + "## " + v.experiment->name + "\n\narXiv " + v.experiment->paper +
                    " ([page](methods/" + v.experiment->page + ".md)). " + about(verdicts, *v.experiment) + table_head;
        last = v.experiment;
        page += rows_of(v);
    }
    return page;
}

std::string section_of(const std::string& page, const std::vector<Verdict>& verdicts, const Plan& plan) {
    std::string section;
    const Experiment* last = nullptr;
    for (const Verdict& v : verdicts) {
        if (v.experiment->page != page) continue;
        if (v.experiment != last)
            section += std::string(last ? "\n" : "") + about(verdicts, *v.experiment) + "`roars_claims " +
                       v.experiment->name + " --seeds " + std::to_string(plan.seeds_of(*v.experiment)) + "`:\n\n" +
                       table_head;
        last = v.experiment;
        section += rows_of(v);
    }
    return section;
}

bool draw(const Json& results, const std::string& file) {
    std::FILE* gnuplot = popen("gnuplot 2>/dev/null", "w");
    if (!gnuplot) return false;
    std::vector<std::vector<const Json*>> panels;  // the first claim of each experiment, at one rate or at both
    for (const Json& v : results.at("verdicts")) {
        if (panels.empty() || panels.back().front()->at("experiment") != v.at("experiment")) {
            panels.push_back({&v});
        } else {
            const Json& first = *panels.back().front();
            auto same = [&](const char* what) { return v.at(what) == first.at(what); };
            if (same("claim") && same("number") && v.at("rate_searched") != first.at("rate_searched") &&
                panels.back().size() == 1)
                panels.back().push_back(&v);
        }
    }
    const int columns = 4, rows = std::max(1, (int(panels.size()) + columns - 1) / columns);
    std::fprintf(gnuplot,
                 "set terminal svg size 1100,%d enhanced background rgb 'white' font 'sans,10'\nset output '%s'\n"
                 "set multiplot layout %d,%d\nset grid ytics\nunset key\nset xrange [-0.7:4.2]\nset boxwidth 0.8\n"
                 "set xtics ('rate as designed' 0.5, 'rate searched' 3) nomirror\n",
                 190 * rows, file.c_str(), rows, columns);
    for (const auto& panel : panels) {
        std::string baseline, method;
        double top = 0, bottom = 0;
        auto point = [&](std::string& points, double place, const Json& arm) {
            const Json& x = arm.at("of");
            const double mean = x.at("mean");
            auto end = [&](const char* which) { return x.at(which).is_number() ? x.at(which).get<double>() : mean; };
            const double low = end("low"), high = end("high");
            points += text("%g %.9g %.9g %.9g\n", place, mean, low, high);
            top = std::max(top, high);
            bottom = std::min(bottom, low);
        };
        for (const Json* v : panel) {
            const bool searched = v->at("rate_searched");
            point(baseline, searched ? 2.5 : 0, v->at("baseline"));
            point(method, searched ? 3.5 : 1, v->at("method"));
        }
        if (!(top > bottom)) top = bottom + 1;
        const Json& v = *panel.front();
        auto name = [](const Json& of, const char* key) { return of.at(key).get<std::string>(); };
        std::fprintf(gnuplot,
                     "set title \"%s: %s\\n%s (green), %s (grey)\" noenhanced\nset yrange [%.9g:%.9g]\n"
                     "$baseline << EOD\n%sEOD\n$method << EOD\n%sEOD\n"
                     "plot $baseline using 1:2 with boxes fs solid 0.4 lc rgb '#777777', $method using 1:2 with boxes "
                     "fs solid 0.4 lc rgb "
                     "'#2a7f62', $baseline with yerrorbars pt 7 ps 0.4 lc rgb 'black', $method with yerrorbars pt 7 ps "
                     "0.4 lc rgb 'black'\n",
                     name(v, "experiment").c_str(), name(v, "number").c_str(), name(v.at("method"), "name").c_str(),
                     name(v.at("baseline"), "name").c_str(), bottom, bottom + 1.1 * (top - bottom), baseline.c_str(),
                     method.c_str());
    }
    std::fprintf(gnuplot, "unset multiplot\n");
    return pclose(gnuplot) == 0;
}

}  // namespace roars::claims
