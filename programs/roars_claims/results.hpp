#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include <nlohmann/json.hpp>

#include "../roars/run_folder.hpp"
#include "claim.hpp"
#include "roars/metrics/confidence.hpp"

namespace roars::claims {

/// Which run: experiment, arm, updates, factor of the learning rate, seed.
using Key = std::tuple<std::string, std::string, std::int64_t, double, std::uint64_t>;

/// The finished runs, each a line of runs.jsonl: what is there is not run again.
class Runs {
public:
    /// Reads what the folder holds; a line that a killed run left torn is cut off.
    explicit Runs(const program::RunFolder& folder);

    const Numbers* find(const Key& key) const;
    void add(const Key& key, const Numbers& numbers);

private:
    const program::RunFolder& folder_;
    std::map<Key, Numbers> runs_;
};

/// What is asked of all experiments: seeds 0 .. seeds - 1 are reported; the learning rate is chosen on others.
struct Plan {
    std::int64_t seeds = 5;
    std::int64_t search_seeds = 3;
    bool smoke = false;  ///< one update of each arm, which shows nothing but that it runs

    static constexpr std::uint64_t first_search_seed = 1000;
    std::int64_t updates(const Experiment& experiment) const { return smoke ? 1 : experiment.updates; }
    std::int64_t seeds_of(const Experiment& e) const { return !smoke && e.seeds > seeds ? e.seeds : seeds; }
    Key key(const Experiment& experiment, const Arm& arm, double rate, std::uint64_t seed) const {
        return {experiment.name, arm.name, updates(experiment), rate, seed};
    }
};

/// Runs that the search needs and those at the design's own rate; and, once these are there, those at the rates found.
std::vector<Key> first_runs(const Experiment& experiment, const Plan& plan);
std::vector<Key> chosen_runs(const Experiment& experiment, const Plan& plan, const Runs& runs);

/// The factor whose mean over the search's seeds is largest; of equal ones the nearest to the design's.
double chosen_rate(const Experiment& experiment, const Arm& arm, const Plan& plan, const Runs& runs);

/// A claim, judged: at the design's learning rate, or with the rate that was found for each arm.
struct Verdict {
    const Experiment* experiment = nullptr;
    const Claim* claim = nullptr;
    bool searched = false;
    double rate_method = 1, rate_baseline = 1;
    metrics::MeanInterval method{}, baseline{}, effect{};
    std::int64_t as_expected = 0;  ///< seeds whose own effect is
    double rollouts_method = 0, rollouts_baseline = 0, beside = 0;
    bool shown = false;
};
std::vector<Verdict> judge(const std::vector<const Experiment*>& experiments, const Plan& plan, const Runs& runs);

nlohmann::json to_json(const std::vector<Verdict>& verdicts, const Plan& plan);
/// The page of all claims.
std::string page_of(const std::vector<Verdict>& verdicts, const Plan& plan);
/// The part of a method's page: the claims of its experiments. Empty where it has none.
std::string section_of(const std::string& page, const std::vector<Verdict>& verdicts, const Plan& plan);
/// A panel for the first claim of each experiment, of what to_json gives: means with their intervals. False where
/// gnuplot is not there.
bool draw(const nlohmann::json& results, const std::string& file);

}  // namespace roars::claims
