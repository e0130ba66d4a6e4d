#pragma once

#include <csignal>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

/// What a paper says of its method, small enough to be tried in minutes: arms that are run on one task at equal budget,
/// and what one is claimed to do better than another.
namespace roars::claims {

/// What one run measured, by name.
using Numbers = std::map<std::string, double>;

/// One run of an arm: a seed, a factor of the arm's own learning rate, and how many updates it may make.
struct Trial {
    std::uint64_t seed = 0;
    double rate = 1.0;
    std::int64_t updates = 1;
};

struct Arm {
    std::string name;
    std::function<Numbers(const Trial&)> run;
};

/// What is expected of the method's number beside the baseline's.
enum class Expected { higher, lower, same };

/// Two arms of an experiment and a number of both. The effect of a seed is method - baseline, or its share of the
/// baseline. It is shown if the 95 % confidence interval of the mean effect lies on the expected side of 0 and the mean
/// reaches `least`; `same` is shown if the whole interval lies within +-least.
struct Claim {
    std::string says;
    std::string method, baseline, number;
    Expected expected = Expected::higher;
    double least = 0.0;
    bool as_share = false;
    std::string beside{};  ///< a number of the method that is printed next to the one of the claim
};

struct Experiment {
    std::string name;   ///< on the command line
    std::string paper;  ///< its arXiv number and short title
    std::string page;   ///< of docs/methods, without .md
    std::string setup;  ///< the task and the budget, one or two sentences
    std::int64_t updates = 1;
    std::vector<double> rates{1.0};  ///< factors of the learning rate that are tried, the same for every arm
    std::string tuned_by{};          ///< the number that the best of them raises most
    std::vector<Arm> arms{};
    std::vector<Claim> claims{};
    std::int64_t seeds = 0;  ///< where a claim needs another number of seeds than was asked for; 0: it does not
};

/// The factors that nearly every experiment tries: from a quarter to 32 times the rate of its design.
inline const std::vector<double> eight_rates{0.25, 0.5, 1, 2, 4, 8, 16, 32};

/// Set by SIGINT and SIGTERM. An arm that runs asks now and then, and ends by throwing.
inline volatile std::sig_atomic_t interrupted = 0;
struct Interrupted {};
inline void stop_if_interrupted() {
    if (interrupted) throw Interrupted{};
}

// One namespace a translation unit, named as its file is. A new one: a file, a line here,
// a line in all_experiments().
// clang-format off
namespace of_lite_ppo { void add(std::vector<Experiment>& all); }
namespace of_agentic_recipe { void add(std::vector<Experiment>& all); }
namespace of_igpo { void add(std::vector<Experiment>& all); }
namespace of_open_rs { void add(std::vector<Experiment>& all); }
namespace of_ruscarl { void add(std::vector<Experiment>& all); }
namespace of_rl_plus { void add(std::vector<Experiment>& all); }
namespace of_reseek { void add(std::vector<Experiment>& all); }
namespace of_observe_r1 { void add(std::vector<Experiment>& all); }
namespace of_light_if { void add(std::vector<Experiment>& all); }
namespace of_survey { void add(std::vector<Experiment>& all); }
namespace of_survey_rows { void add(std::vector<Experiment>& all); }
namespace of_disco { void add(std::vector<Experiment>& all); }
namespace of_adacot { void add(std::vector<Experiment>& all); }
namespace of_otc { void add(std::vector<Experiment>& all); }
namespace of_prorl { void add(std::vector<Experiment>& all); }
namespace of_arpo { void add(std::vector<Experiment>& all); }
namespace of_router_r1 { void add(std::vector<Experiment>& all); }
namespace of_direct_advantage { void add(std::vector<Experiment>& all); }
namespace of_copo { void add(std::vector<Experiment>& all); }
namespace of_dler { void add(std::vector<Experiment>& all); }
namespace of_kdrl { void add(std::vector<Experiment>& all); }
namespace of_hicra { void add(std::vector<Experiment>& all); }
namespace of_spa_rl { void add(std::vector<Experiment>& all); }
namespace of_relift { void add(std::vector<Experiment>& all); }
namespace of_seele { void add(std::vector<Experiment>& all); }
namespace of_rex_rag { void add(std::vector<Experiment>& all); }
namespace of_dataset_perspective { void add(std::vector<Experiment>& all); }
namespace of_guided_policies { void add_guided_policy(std::vector<Experiment>& all); }
namespace of_guided_policies { void add_dataset_constraint(std::vector<Experiment>& all); }
namespace of_demonstrations { void add(std::vector<Experiment>& all); }
namespace of_dual_rl { void add(std::vector<Experiment>& all); }
namespace of_famo2o { void add(std::vector<Experiment>& all); }
namespace of_tscac { void add(std::vector<Experiment>& all); }
namespace of_residual { void add(std::vector<Experiment>& all); }
namespace of_snapshot_rl { void add(std::vector<Experiment>& all); }
namespace of_zero_shot { void add_zero_shot(std::vector<Experiment>& all); }
namespace of_zero_shot { void add_zero_shot_memory(std::vector<Experiment>& all); }
namespace of_zero_shot_continuous { void add(std::vector<Experiment>& all); }
// clang-format on

std::vector<Experiment> all_experiments();

}  // namespace roars::claims
