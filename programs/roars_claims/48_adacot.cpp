#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "roars/methods/adacot.hpp"
#include "roars/metrics/reasoning.hpp"
#include "roars/tasks/when_to_reason.hpp"
#include "training.hpp"

namespace roars::claims::of_adacot {
namespace {

using tasks::WhenToReason;
using Learner = train::TabularLearner<WhenToReason, float, true>;

/// What the policy does with all ten levels, whichever it was trained on.
Numbers on_all_levels(Learner& learner, bool frozen) {
    const WhenToReason all({.frozen = frozen});
    std::span<const float> logits = learner.policy().logits();
    double reasons = 0, needed = 0, rightly = 0;
    for (std::int64_t level = 0; level < WhenToReason::levels; ++level) {
        auto odds = [&](std::int64_t row) {
            return double(logits[std::size_t(2 * row + 1)] - logits[std::size_t(2 * row)]);
        };
        const double p = 1 / (1 + std::exp(-odds(all.row(level, 0)) - odds(all.shared_row(level, 0))));
        reasons += p;
        if (!WhenToReason::needs_reasoning(level)) continue;
        needed += 1;
        rightly += p;
    }
    const std::vector<double> rate{reasons / double(WhenToReason::levels)},
        score{tasks::mean_exact_score(all, logits).success};
    return {{"trigger rate", rate[0]},
            {"precision", rightly / reasons},
            {"recall", rightly / needed},
            {"success", score[0]},
            {"chord gain", frozen ? metrics::chord_gain(rate, score, 0.5, 0.865)[0] : 0.0}};
}

/// Both logits of a row move, so that their difference makes steps of 0.05.
template <class Method>
Arm arm(std::string name, Method method, const tasks::WhenToReasonSettings& settings) {
    method.sampler = {.prompts = 256, .group_size = 1};
    method.optimizer.epochs = 1;
    auto adam = with_step(method, step::AdamW{.learning_rate = 0.025, .weight_decay = 0});
    return {std::move(name), [=](const Trial& trial) {
                auto scaled = adam;
                scaled.optimizer.step.learning_rate *= trial.rate;
                WhenToReason task(settings);
                Learner learner(task);
                train(scaled, learner, trial, [](std::int64_t, const train::Record&) {});
                return on_all_levels(learner, settings.frozen);
            }};
}

Arm with_costs(std::string name, double missing, double needless) {
    methods::AdaCot method = methods::adacot;
    method.regularizer.coefficient = 0;
    method.reward.missing = missing;
    method.reward.needless = needless;
    return arm(std::move(name), method, {.frozen = true});
}

}  // namespace

/// A boundary that skewed training erases or leaves, and the front that two costs draw.
void add(std::vector<Experiment>& all) {
    const tasks::WhenToReasonSettings hard{.first = 6};
    methods::Ppo ppo = methods::ppo;
    ppo.regularizer.coefficient = 0;
    methods::AdaCotMasked masked = methods::adacot_masked;
    get<0>(masked.regularizer).coefficient = 0;
    Arm start{"start", [=](const Trial&) {
                  WhenToReason task(hard);
                  Learner learner(task);
                  return on_all_levels(learner, false);
              }};
    all.push_back({.name = "adacot-mask",
                   .paper = "2505.11896, AdaCoT",
                   .page = "adacot",
                   .setup =
                       "Ten levels of difficulty, of which the upper five need reasoning; the decision has a logit "
                       "of its level and one that all share. Trained on levels 6 to 9 alone: 300 batches of 256, "
                       "Adam 0.05; measured on all ten.",
                   .updates = 300,
                   .arms = {arm("PPO", ppo, hard), arm("AdaCoT, masked", masked, hard), start},
                   .claims = {{.says = "skewed training erases the boundary, the mask keeps it",
                               .method = "AdaCoT, masked",
                               .baseline = "PPO",
                               .number = "precision",
                               .least = 0.25,
                               .beside = "trigger rate"},
                              {.says = "with the mask the decision is what it was",
                               .method = "AdaCoT, masked",
                               .baseline = "start",
                               .number = "trigger rate",
                               .expected = Expected::same,
                               .least = 1e-12},
                              {.says = "and the answers learn all the same",
                               .method = "AdaCoT, masked",
                               .baseline = "start",
                               .number = "success",
                               .least = 0.15}}});
    Arm blend{"never and always, blended", [](const Trial&) { return Numbers{{"chord gain", 0.0}}; }};
    Claim above{.says = "a point above the blend",
                .method = "0.1, 0.1",
                .baseline = blend.name,
                .number = "chord gain",
                .least = 0.03,
                .beside = "trigger rate"};
    Claim further = above;
    further.method = "0.1, 0.3";
    further.least = 0.05;
    all.push_back({.name = "adacot-front",
                   .paper = "2505.11896, AdaCoT",
                   .page = "adacot",
                   .setup =
                       "All ten levels, answers right with fixed probabilities: direct 0.97 to 0.03, reasoned 0.98 "
                       "to 0.75. 400 batches of 256, Adam 0.05. An arm is its costs: missing, needless.",
                   .updates = 400,
                   .arms = {with_costs("0, 0", 0, 0), with_costs("0.1, 0.1", 0.1, 0.1),
                            with_costs("0.1, 0.3", 0.1, 0.3), with_costs("0, 1", 0, 1), blend},
                   .claims = {{.says = "the dearer a needless reasoning, the fewer",
                               .method = "0.1, 0.3",
                               .baseline = "0.1, 0.1",
                               .number = "trigger rate",
                               .expected = Expected::lower,
                               .least = 0.1,
                               .beside = "success"},
                              {.says = "and without any cost it nearly always reasons",
                               .method = "0, 0",
                               .baseline = "0.1, 0.1",
                               .number = "trigger rate",
                               .least = 0.05,
                               .beside = "success"},
                              above,
                              further}});
}

}  // namespace roars::claims::of_adacot
