#include <algorithm>
#include <string>

#include "claim.hpp"
#include "roars/critic/soft_planning.hpp"
#include "roars/metrics/policy_evaluation.hpp"
#include "roars/regularizer/cloned_policy.hpp"
#include "roars/tasks/lock.hpp"

namespace roars::claims {
namespace {

using Table = std::vector<double>;

/// An episode by a policy's table: its states and actions.
struct Episode {
    std::vector<std::int64_t> state, action, next;
};
Episode play(const tasks::Lock& lock, const Table& policy, RandomStream& random) {
    Episode episode;
    std::int64_t s = 0;
    auto actions = static_cast<std::size_t>(lock.shape.actions);
    for (std::int64_t h = 0; h < lock.shape.horizon; ++h) {
        std::int64_t a =
            tasks::Lock::draw(std::span(policy).subspan(lock.shape.at(h, s, 0), actions), random.uniform());
        std::int64_t to = lock.next(h, s, a, random);
        episode.state.push_back(s), episode.action.push_back(a), episode.next.push_back(to);
        s = to;
    }
    return episode;
}

class Study {
public:
    explicit Study(std::uint64_t seed)
        : lock_({}, seed), uniform_(lock_.shape.step_actions(), 1.0 / double(lock_.shape.actions)) {
        expert_ = critic::SoftPlanning{0.0}.plan(host_, lock_.shape, lock_.transition, lock_.reward, uniform_).policy;
        best_ = worth(expert_);
    }
    /// How far a policy is from the best one.
    double gap(const Table& policy) const { return best_ - worth(policy); }

    Table clone(std::int64_t demonstrations, RandomStream& random) const {
        std::vector<std::int64_t> state, action;
        for (std::int64_t i = 0; i < demonstrations; ++i) {
            Episode shown = play(lock_, expert_, random);
            state.insert(state.end(), shown.state.begin(), shown.state.end());
            action.insert(action.end(), shown.action.begin(), shown.action.end());
        }
        return regularizer::ClonedPolicy{}.clone(lock_.shape, state, action);
    }
    /// The expert's divergence from a reference along its own episodes.
    double divergence(const Table& reference) const {
        return metrics::evaluate_policy(lock_.shape, lock_.transition, lock_.reward, expert_, reference)
            .trajectory_kl[0];
    }

    /// Optimistic episodes, each behind a plan of its own; the gap of the plan without a bonus behind some of them.
    Numbers learn(const Table& reference, double kl_coefficient, std::int64_t episodes, RandomStream& random) {
        critic::OptimisticPlanning optimistic{.kl_coefficient = kl_coefficient, .bonus_scale = 0, .bonus_flat = 0.1};
        Table counts(lock_.shape.transitions());
        Numbers numbers;
        for (std::int64_t i = 1; i <= episodes; ++i) {
            stop_if_interrupted();
            auto plan = optimistic.plan(host_, lock_.shape, counts, lock_.reward, reference);
            Episode episode = play(lock_, plan.policy, random);
            for (std::int64_t h = 0; h < lock_.shape.horizon; ++h) {
                auto t = static_cast<std::size_t>(h);
                counts[lock_.shape.at(h, episode.state[t], episode.action[t], episode.next[t])] += 1;
            }
            if (i == 25 || i == 50 || i == 100 || i == episodes) {
                auto model = critic::empirical_model(lock_.shape, counts);
                auto output =
                    critic::SoftPlanning{kl_coefficient}.plan(host_, lock_.shape, model, lock_.reward, reference);
                numbers["gap@" + std::to_string(i)] = gap(output.policy);
                numbers["gap"] = numbers["gap@" + std::to_string(i)];
            }
        }
        return numbers;
    }

private:
    double worth(const Table& policy) const {
        return metrics::evaluate_policy(lock_.shape, lock_.transition, lock_.reward, policy, uniform_).value[0];
    }

    backend::Host host_;
    tasks::Lock lock_;
    Table uniform_, expert_;
    double best_ = 0.0;
};

Arm learner(std::string name, std::int64_t demonstrations, double kl_coefficient) {
    return {std::move(name), [=](const Trial& trial) {
                Study study(trial.seed);
                RandomStream shown(Random(trial.seed, Purpose::user)), played(Random(trial.seed, Purpose::environment));
                Table reference = study.clone(demonstrations, shown);
                Numbers numbers = study.learn(reference, kl_coefficient, trial.updates, played);
                numbers["episodes"] = double(trial.updates);
                return numbers;
            }};
}
/// Cloning alone, and how near it brings the expert: sums over demonstrations of 1 / n are what the divergence follows.
Arm cloned(std::string name, std::int64_t demonstrations) {
    return {std::move(name), [=](const Trial& trial) {
                Study study(trial.seed);
                RandomStream shown(Random(trial.seed, Purpose::user));
                Table reference = study.clone(demonstrations, shown);
                double gap = study.gap(reference), kl = study.divergence(reference);
                return Numbers{{"gap@25", gap},  {"gap@50", gap},
                               {"gap@100", gap}, {"gap", gap},
                               {"kl", kl},       {"kl times demonstrations", kl * double(demonstrations)}};
            }};
}

}  // namespace

/// Demonstrations replace episodes: the more of them are cloned, the fewer episodes are needed.
void add_demonstrations(std::vector<Experiment>& all) {
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
                  "kl_coefficient 0.05 (UCBVI: 0). Gap: what the plan without a bonus lacks of the best value.",
         .updates = 300,
         .arms = {learner("UCBVI", 0, 0.0), learner("no demonstrations", 0, 0.05), learner("5 demonstrations", 5, 0.05),
                  learner("20 demonstrations", 20, 0.05), learner("100 demonstrations", 100, 0.05),
                  cloned("20 cloned", 20), cloned("40 cloned", 40), cloned("80 cloned", 80), cloned("160 cloned", 160),
                  cloned("100 cloned", 100), cloned("5 cloned", 5)},
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

}  // namespace roars::claims
