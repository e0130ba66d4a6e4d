// roars_claims [NAME...] --seeds N --jobs 2 --out DIR
// Tries the papers' claims in small: every arm of every experiment at equal budget, the same search over the learning
// rate for method and baseline, effect, interval and verdict. What is finished is not run again.

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>

#include "../roars/console.hpp"
#include "results.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace roars::claims {

std::vector<Experiment> all_experiments() {
    std::vector<Experiment> all;
    for (auto add : {of_lite_ppo::add,
                     of_agentic_recipe::add,
                     of_igpo::add,
                     of_open_rs::add,
                     of_ruscarl::add,
                     of_rl_plus::add,
                     of_reseek::add,
                     of_observe_r1::add,
                     of_light_if::add,
                     of_survey::add,
                     of_survey_rows::add,
                     of_disco::add,
                     of_adacot::add,
                     of_otc::add,
                     of_prorl::add,
                     of_router_r1::add,
                     of_direct_advantage::add,
                     of_copo::add,
                     of_dler::add,
                     of_kdrl::add,
                     of_hicra::add,
                     of_spa_rl::add,
                     of_arpo::add,
                     of_relift::add,
                     of_seele::add,
                     of_rex_rag::add,
                     of_dataset_perspective::add,
                     of_guided_policies::add_guided_policy,
                     of_zero_shot::add_zero_shot,
                     of_zero_shot::add_zero_shot_memory,
                     of_zero_shot_continuous::add,
                     of_guided_policies::add_dataset_constraint,
                     of_demonstrations::add,
                     of_dual_rl::add,
                     of_famo2o::add,
                     of_tscac::add,
                     of_residual::add,
                     of_snapshot_rl::add})
        add(all);
    return all;
}

namespace {

void interrupt(int) { interrupted = 1; }

struct Request {
    std::vector<std::string> names;
    Plan plan;
    int jobs = 2;
    std::string out, pages;
};

/// Those of these names, all without any. A page tells of all its experiments, so these are chosen together for pages.
std::vector<const Experiment*> chosen(const std::vector<Experiment>& all, const Request& request) {
    std::string known;
    std::set<std::string> pages;
    for (const Experiment& each : all) known += " " + each.name;
    for (const std::string& name : request.names) {
        auto found = std::find_if(all.begin(), all.end(), [&](const Experiment& e) { return e.name == name; });
        expect(found != all.end(), [&] { return "no experiment is named '" + name + "', expected one of:" + known; });
        if (!request.pages.empty()) pages.insert(found->page);
    }
    std::vector<const Experiment*> experiments;
    for (const Experiment& each : all)
        if (request.names.empty() || pages.contains(each.page) ||
            std::find(request.names.begin(), request.names.end(), each.name) != request.names.end())
            experiments.push_back(&each);
    return experiments;
}

/// Runs what is not there yet, `jobs` at a time. An error of one run ends all, and is thrown on.
void run_all(const std::vector<const Experiment*>& experiments, const std::vector<Key>& keys, Runs& runs, int jobs,
             const char* title) {
    struct Work {
        const Arm* arm;
        Key key;
    };
    std::vector<Work> work;
    for (const Experiment* experiment : experiments)
        for (const Arm& arm : experiment->arms)
            for (const Key& key : keys)
                if (std::get<0>(key) == experiment->name && std::get<1>(key) == arm.name && !runs.find(key) &&
                    std::none_of(work.begin(), work.end(), [&](const Work& w) { return w.key == key; }))
                    work.push_back({&arm, key});
    program::ProgressBar bar(title, std::ssize(work));
    std::atomic<std::size_t> next = 0;
    std::int64_t done = 0;
    std::mutex mutex;
    std::exception_ptr failure;
    auto worker = [&] {
#if defined(_OPENMP)
        omp_set_num_threads(1);  // a table is too small to share
#endif
        for (std::size_t i; (i = next++) < work.size();) try {
                const auto& [experiment, arm, updates, rate, seed] = work[i].key;
                stop_if_interrupted();
                Numbers numbers = work[i].arm->run({seed, rate, updates});
                std::lock_guard lock(mutex);
                runs.add(work[i].key, numbers);
                bar.show(++done, experiment + ", " + arm);
            } catch (...) {
                std::lock_guard lock(mutex);
                if (!failure) failure = std::current_exception();
                next = work.size();
            }
    };
    std::vector<std::thread> threads;
    for (int k = 0; k < jobs; ++k) threads.emplace_back(worker);
    for (std::thread& each : threads) each.join();
    if (failure) std::rethrow_exception(failure);
}

/// The page of a method, cut at the two lines between which its claims stand.
struct Page {
    std::string before, behind;
};
Page read_page(const std::string& file) {
    constexpr std::string_view begin = "<!-- claims -->\n", end = "<!-- end of claims -->\n";
    std::ifstream stream(file, std::ios::binary);
    expect(stream.good(), [&] { return file + ": cannot be read"; });
    const std::string text((std::istreambuf_iterator<char>(stream)), {});
    const auto from = text.find(begin), to = text.find(end);
    expect(from != text.npos && to != text.npos && from < to,
           [&] { return file + ": has no lines '<!-- claims -->' and '<!-- end of claims -->'"; });
    return {text.substr(0, from + begin.size()), text.substr(to)};
}

void picture(const nlohmann::json& results, const program::RunFolder& folder) {
    if (!draw(results, folder.file("claims.svg")))
        std::fprintf(stderr, "no picture: gnuplot was not found (Debian: gnuplot-nox), or had nothing to draw\n");
}
/// The picture of a claims.json that is there, anew.
int draw_again(const program::RunFolder& folder) {
    const std::string file = folder.file("claims.json");
    std::ifstream stream(file);
    const auto results = nlohmann::json::parse(stream, nullptr, false);
    expect(results.is_object() && results.contains("verdicts"), [&] { return file + ": holds no claims"; });
    picture(results, folder);
    return 0;
}

int run(const Request& request) {
    const std::vector<Experiment> all = all_experiments();
    const auto experiments = chosen(all, request);
    const Plan& plan = request.plan;
    const program::RunFolder folder(request.out), pages(request.pages);
    std::map<std::string, Page> page;
    if (!request.pages.empty())
        for (const Experiment* each : experiments) page[each->page] = read_page(pages.file(each->page + ".md"));
    folder.create();
    Runs runs(folder);
    try {
        std::vector<Key> keys;
        for (const Experiment* each : experiments)
            for (Key& key : first_runs(*each, plan)) keys.push_back(std::move(key));
        run_all(experiments, keys, runs, request.jobs, plan.smoke ? "smoke" : "search");
        keys.clear();
        for (const Experiment* each : experiments)
            for (Key& key : chosen_runs(*each, plan, runs)) keys.push_back(std::move(key));
        run_all(experiments, keys, runs, request.jobs, "claims");
    } catch (const Interrupted&) {
        std::fprintf(stderr, "\nstopped; go on with the same command\n");
        return 130;
    }
    if (plan.smoke) {
        std::printf("every arm of %zu experiments runs\n", experiments.size());
        return 0;
    }
    const auto verdicts = judge(experiments, plan, runs);
    const auto results = to_json(verdicts, plan);
    folder.write("claims.json", results.dump(2) + "\n");
    folder.write("claims.md", page_of(verdicts, plan));
    picture(results, folder);
    for (const auto& [name, text] : page)
        pages.write(name + ".md", text.before + section_of(name, verdicts, plan) + text.behind);
    for (const Verdict& v : verdicts)
        std::printf("%-18s %-24s %-34s %s - %s: %.4f [%.4f, %.4f]  %s\n", v.experiment->name.c_str(),
                    v.searched ? "rate searched" : "rate as designed", v.claim->number.c_str(), v.claim->method.c_str(),
                    v.claim->baseline.c_str(), v.effect.mean, v.effect.low, v.effect.high,
                    v.shown ? "shown" : "not shown");
    std::printf("%s\n", folder.file("claims.md").c_str());
    return 0;
}

int main(int argc, char** argv) {
    CLI::App app{"Tries the papers' claims in small, at equal budget, each against its baseline."};
    Request request;
    bool list = false, only_picture = false;
    app.add_option("name", request.names, "experiments, as --list prints them; all without any");
    app.add_option("--seeds", request.plan.seeds, "seeds that are reported")
        ->default_val(5)
        ->check(CLI::Range(1, 1000));
    app.add_option("--search-seeds", request.plan.search_seeds, "further seeds, on which the learning rate is chosen")
        ->default_val(3)
        ->check(CLI::Range(1, 1000));
    app.add_option("--jobs", request.jobs, "runs at a time")->default_val(2)->check(CLI::Range(1, 256));
    auto* out = app.add_option("--out", request.out, "folder for the runs, JSON, the table and the picture");
    app.add_option("--pages", request.pages, "folder of the methods' pages, to write the results into");
    app.add_flag("--smoke", request.plan.smoke, "one update of every arm, one seed: only shows that they run");
    app.add_flag("--list", list, "the experiments and their claims");
    app.add_flag("--picture", only_picture, "nothing is run: claims.svg of the claims.json that --out holds");
    try {
        app.parse(argc, argv);
        if (list) {
            for (const Experiment& each : all_experiments()) {
                std::printf("%-18s arXiv %s\n", each.name.c_str(), each.paper.c_str());
                for (const Claim& claim : each.claims)
                    std::printf("%-18s   %s (%s against %s)\n", "", claim.says.c_str(), claim.method.c_str(),
                                claim.baseline.c_str());
            }
            return 0;
        }
        expect(out->count() > 0, "--out is required: a folder for the results");
        if (only_picture) return draw_again(program::RunFolder(request.out));
        if (request.plan.smoke) request.plan.seeds = 1;
        std::signal(SIGINT, interrupt);
        std::signal(SIGTERM, interrupt);
        return run(request);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);
        std::fprintf(stderr, "roars_claims: %s\n", error.what());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "roars_claims: %s\n", error.what());
    }
    return 2;
}

}  // namespace
}  // namespace roars::claims

int main(int argc, char** argv) { return roars::claims::main(argc, argv); }
