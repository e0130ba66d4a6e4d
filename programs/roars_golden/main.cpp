// roars_golden [--strict] PATH...   (files or folders of JSON)
// Prints one line a case; ends with 'N passed, M failed, K unknown'; exits 1 on a failure, with --strict also on an
// unknown case, 2 on bad input.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "engine.hpp"
#include "golden.hpp"

namespace {

using roars::golden::Json;

/// Empty if `actual` agrees with `expected`, else where and how it does not.
std::string difference(const Json& expected, const Json& actual, double tolerance, const std::string& where) {
    if (expected.is_object() || (expected.is_array() && actual.is_array())) {
        if (expected.is_array() && expected.size() != actual.size())
            return where + ": " + std::to_string(actual.size()) + " values, expected " +
                   std::to_string(expected.size());
        for (auto it = expected.begin(); it != expected.end(); ++it) {
            std::string name = expected.is_object() ? it.key() : std::to_string(it - expected.begin());
            std::string inside = where.empty() ? name : where + (expected.is_object() ? "." + name : "[" + name + "]");
            if (expected.is_object() && !actual.contains(name)) return inside + ": not computed";
            const Json& value = expected.is_object() ? actual.at(name) : actual.at(std::size_t(it - expected.begin()));
            if (auto found = difference(*it, value, tolerance, inside); !found.empty()) return found;
        }
        return {};
    }
    if (expected.is_string() && actual.is_string()) return expected == actual ? "" : where + ": " + actual.dump();
    if (expected.is_null() || actual.is_null() || expected.is_array() || actual.is_array() || actual.is_object())
        return expected == actual ? "" : where + ": " + actual.dump() + ", expected " + expected.dump();
    double want = roars::golden::number(expected), got = roars::golden::number(actual);
    bool same = std::isnan(want)   ? std::isnan(got)
                : std::isinf(want) ? want == got
                                   : std::abs(want - got) <= tolerance * std::max(1.0, std::abs(want));
    if (same) return {};
    char text[128];
    std::snprintf(text, sizeof text, ": %.17g, expected %.17g", got, want);
    return where + text;
}

struct Count {
    int passed = 0, failed = 0, unknown = 0, on_device = 0;
};

void run_case(const roars::golden::Registry& registry, const Json& test, const std::string& file, Count& count) {
    std::string method = test.at("method"), stage = test.at("stage"), name = test.at("case");
    const Json& inputs = test.at("inputs");
    std::string formula = method == "00-peers" ? inputs.at("rule").get<std::string>() : name;
    std::string label = file + " " + stage + " " + formula;
    auto found = registry.find(roars::golden::key(method, stage, formula));
    if (found == registry.end()) {
        ++count.unknown;
        std::printf("unknown %s\n", label.c_str());
        return;
    }
    std::string wrong;
    auto calls = roars::golden::engine::calls_on_device();
    try {
        Json actual = found->second(roars::golden::Inputs(inputs));
        wrong = difference(test.at("expected"), actual, test.value("tolerance", 1e-9), "");
    } catch (const std::exception& error) {
        wrong = error.what();
    }
    ++(wrong.empty() ? count.passed : count.failed);
    if (roars::golden::engine::calls_on_device() > calls) ++count.on_device;
    std::printf("%s %s%s%s\n", wrong.empty() ? "passed" : "FAILED", label.c_str(), wrong.empty() ? "" : ": ",
                wrong.c_str());
}

std::vector<std::filesystem::path> files_of(const std::string& path) {
    namespace fs = std::filesystem;
    if (!fs::exists(path)) throw roars::Error(path + ": no such file or folder");
    if (!fs::is_directory(path)) return {path};
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(path))
        if (entry.path().extension() == ".json") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace

int main(int argc, char** argv) {
    bool strict = false;
    std::vector<std::string> paths;
    for (int i = 1; i < argc; ++i) {
        if (std::string(argv[i]) == "--strict")
            strict = true;
        else
            paths.emplace_back(argv[i]);
    }
    if (paths.empty()) {
        std::fprintf(stderr, "roars_golden: expected a file or a folder: roars_golden [--strict] PATH...\n");
        return 2;
    }
    roars::golden::Registry registry;
    roars::golden::of_baselines::add(registry);
    roars::golden::of_peers_advantages::add(registry);
    roars::golden::of_peers_losses::add(registry);
    roars::golden::of_peers_rest::add(registry);
    roars::golden::of_random_calculation::add(registry);
    roars::golden::of_lite_ppo::add(registry);
    roars::golden::of_ruscarl::add(registry);
    roars::golden::of_rl_plus::add(registry);
    roars::golden::of_disco::add(registry);
    roars::golden::of_copo::add(registry);
    roars::golden::of_dler::add(registry);
    roars::golden::of_agentic_recipe::add(registry);
    roars::golden::of_reseek::add(registry);
    roars::golden::of_observe_r1::add(registry);
    roars::golden::of_igpo::add(registry);
    roars::golden::of_open_rs::add(registry);
    roars::golden::of_llm_rl_survey::add(registry);
    roars::golden::of_light_if::add(registry);
    roars::golden::of_adacot::add(registry);
    roars::golden::of_prorl::add(registry);
    roars::golden::of_direct_advantage_po::add(registry);
    roars::golden::of_kdrl::add(registry);
    roars::golden::of_hicra::add(registry);
    roars::golden::of_otc::add(registry);
    roars::golden::of_spa_rl::add(registry);
    roars::golden::of_arpo::add(registry);
    roars::golden::of_relift::add(registry);
    roars::golden::of_seele::add(registry);
    roars::golden::of_router_r1::add(registry);
    roars::golden::of_rex_rag::add(registry);
    roars::golden::of_residual_rl::add(registry);
    roars::golden::of_tscac::add(registry);
    roars::golden::of_snapshot_rl::add(registry);
    roars::golden::of_famo2o::add(registry);
    roars::golden::of_dual_rl::add(registry);
    roars::golden::of_prdc::add(registry);
    roars::golden::of_a2pr::add(registry);
    roars::golden::of_zero_shot::add(registry);
    roars::golden::of_demonstration_regularized::add(registry);
    roars::golden::of_dataset_perspective::add(registry);
    roars::golden::of_metrics::add(registry);
    roars::golden::of_rlax::add(registry);
    roars::golden::of_d3rlpy::add(registry);
    roars::golden::of_trl::add(registry);
    Count count;
    try {
        for (const auto& path : paths)
            for (const auto& file : files_of(path)) {
                std::ifstream stream(file);
                Json cases = Json::parse(stream);
                for (const auto& test : cases) run_case(registry, test, file.filename().string(), count);
            }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "roars_golden: %s\n", error.what());
        return 2;
    }
    if (count.on_device > 0) std::printf("%d of them on a device\n", count.on_device);
    std::printf("%d passed, %d failed, %d unknown\n", count.passed, count.failed, count.unknown);
    return count.failed || (strict && count.unknown) ? 1 : 0;
}
