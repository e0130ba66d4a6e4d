#include <string>
#include <utility>
#include <vector>

#include "claim.hpp"
#include "roars/critic/soft_planning.hpp"
#include "roars/methods/demonstration_regularized.hpp"
#include "roars/metrics/policy_evaluation.hpp"
#include "roars/tasks/lock.hpp"
#include "roars/train/finite_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::claims::of_demonstrations {
namespace {

using Table = std::vector<double>;
using Learner = train::FiniteLearner<tasks::Lock>;

/// A lock, and its best policy, which shows `demonstrations` episodes.
class Study {
public:
    Study(std::uint64_t seed, std::int64_t demonstrations)
        : lock_({}, seed),
          expert_(critic::SoftPlanning{0.0}
                      .plan(host_, lock_.shape, lock_.transition, lock_.reward,
                            Table(lock_.shape.step_actions(), 1.0 / double(lock_.shape.actions)))
                      .policy),
          learner(lock_) {
        RandomStream random(Random(seed, Purpose::user));
        learner.learn_from_demonstrations(expert_, demonstrations, random);
    }
    /// How far a value is from the best one.
    double gap(double value) const { return learner.worth(expert_) - value; }

    Table clone() const {
        Batch<double, columns<col::state, col::token, col::next_state, col::mask, col::problem_shape>> shown;
        learner.all_rows(shown);
        Run run{host_};
        regularizer::ClonedPolicy::State cloned;
        regularizer::ClonedPolicy{}.on_dataset(run, cloned, shown);
        return cloned.policy;
    }
    /// The expert's divergence from a reference along its own episodes.
    double divergence(const Table& reference) const {
        return metrics::evaluate_policy(lock_.shape, lock_.transition, lock_.reward, expert_, reference)
            .trajectory_kl[0];
    }

private:
    mutable backend::Host host_;
    tasks::Lock lock_;
    Table expert_;

public:
    Learner learner;
};

/// Episodes behind a plan each, which with `explore` leave it at one step for the action whose bounds are widest apart;
/// the gap of the plan without a bonus behind some of them.
Arm learner(std::string name, std::int64_t demonstrations, double kl_coefficient, bool explore) {
    return {std::move(name), [=](const Trial& trial) {
                Study study(trial.seed, demonstrations);
                auto method = methods::demonstration_regularised;
                method.sampler.explore = explore;
                method.advantage.planning.kl_coefficient = kl_coefficient;
                train::Trainer<methods::DemonstrationRegularised, Learner> trainer(method, study.learner);
                backend::Host host;
                Numbers numbers{{"episodes", double(trial.updates)}};
                for (std::int64_t i = 0; i <= trial.updates; ++i) {
                    stop_if_interrupted();
                    Run run{host, Random(trial.seed), Progress{i, trial.updates + 1}};
                    trainer.advance(run);  // the first iteration plans and plays nothing
                    if (i == 25 || i == 50 || i == 100 || i == trial.updates)
                        numbers["gap@" + std::to_string(i)] = numbers["gap"] =
                            study.gap(study.learner.evaluate(run).output);
                }
                return numbers;
            }};
}
/// Cloning alone, and how near it brings the expert: sums over demonstrations of 1 / n are what the divergence follows.
Arm cloned(std::string name, std::int64_t demonstrations) {
    return {std::move(name), [=](const Trial& trial) {
                const Study study(trial.seed, demonstrations);
                const Table reference = study.clone();
                double gap = study.gap(study.learner.worth(reference)), kl = study.divergence(reference);
                return Numbers{{"gap@25", gap},  {"gap@50", gap},
                               {"gap@100", gap}, {"gap", gap},
                               {"kl", kl},       {"kl times demonstrations", kl * double(demonstrations)}};
            }};
}

}  // namespace

/// Demonstrations replace episodes: the more of them are cloned, the fewer episodes are needed.
void add(std::vector<Experiment>& all) {
    auto lower = [](std::string says, std::string method, std::string baseline, std::string number, double least) {
        return Claim{.says = std::move(says),
                     .method = std::move(method),
                     .baseline = std::move(baseline),
                     .number = std::move(number),
                     .expected = Expected::lower,
                     .least = least};
    };
    all.push_back(
        {.name = "demonstrations",
         .paper = "2310.17303, demonstration-regularized RL",
         .page = "demonstration-regularized",
         .setup = "A lock of 8 steps, 4 states, 3 actions. The expert is the optimal policy, its demonstrations are "
                  "cloned with the logarithmic regulariser; 300 episodes, a plan before each, bonus 0.1 H / sqrt(n), "
                  "kl_coefficient 0.05 and the paper's exploration (UCBVI: 0, and the plan is played as it is). Gap: "
                  "what the plan without a bonus lacks of the best value.",
         .updates = 300,
         .arms = {learner("UCBVI", 0, 0.0, false), learner("no demonstrations", 0, 0.05, true),
                  learner("5 demonstrations", 5, 0.05, true), learner("20 demonstrations", 20, 0.05, true),
                  learner("100 demonstrations", 100, 0.05, true), cloned("20 cloned", 20), cloned("40 cloned", 40),
                  cloned("80 cloned", 80), cloned("160 cloned", 160), cloned("100 cloned", 100), cloned("5 cloned", 5)},
         .claims = {lower("a smaller gap than the plain learner's after 25 episodes", "20 demonstrations", "UCBVI",
                          "gap@25", 0.2),
                    lower("more demonstrations, a smaller gap after 100 episodes", "20 demonstrations",
                          "5 demonstrations", "gap@100", 0.0),
                    lower("and again", "100 demonstrations", "20 demonstrations", "gap@100", 0.0),
                    lower("better than cloning alone after 50 episodes", "5 demonstrations", "5 cloned", "gap@50", 0.0),
                    lower("also with 20", "20 demonstrations", "20 cloned", "gap@50", 0.0),
                    lower("and with 100", "100 demonstrations", "100 cloned", "gap@50", 0.0),
                    Claim{.says = "the expert's divergence from its clone falls as 1 / demonstrations",
                          .method = "160 cloned",
                          .baseline = "20 cloned",
                          .number = "kl times demonstrations",
                          .expected = Expected::same,
                          .least = 2.0,
                          .as_share = true}},
         .seeds = 20});
}

}  // namespace roars::claims::of_demonstrations
