#include "roars/methods/rex_rag.hpp"
#include "roars/tasks/temptation.hpp"
#include "roars/train/with_continuations.hpp"
#include "training.hpp"

namespace roars::claims::of_rex_rag {
namespace {

/// Without a probe this is GRPO.
Arm arm(std::string name, std::int64_t group, double probability) {
    methods::RexRag method = methods::rex_rag;
    method.sampler.prompts = 8;
    method.sampler.group_size = group;
    method.sampler.probability = probability;
    method.regularizer.coefficient = 0;
    method.optimizer.minibatches = 1;
    auto adam = with_step(method, step::AdamW{.learning_rate = 0.05});
    return {std::move(name), [=](const Trial& trial) {
                auto scaled = adam;
                scaled.optimizer.step.learning_rate *= trial.rate;
                tasks::Temptation task({}, trial.seed);
                train::WithContinuations<tasks::Temptation> learner(task, {.in_turn = false});
                return train_and_measure(scaled, learner, trial, {.also = {trial.updates / 2}});
            }};
}

}  // namespace

/// A temptation that own sampling hardly escapes, and hints behind failures.
void add(std::vector<Experiment>& all) {
    Claim escapes{.says = "the temptation is escaped earlier",
                  .method = "REX-RAG",
                  .baseline = "GRPO",
                  .number = "success",
                  .expected = Expected::higher,
                  .least = 0.2};
    Claim more = escapes;
    more.says = "and not by more rollouts";
    more.baseline = "GRPO, 6 rollouts";
    all.push_back({.name = "rex-rag",
                   .paper = "2508.08149, REX-RAG",
                   .page = "rex-rag",
                   .setup =
                       "Six paths, of which a wrong one is chosen at first with a logit of 8 above the others; 3 "
                       "hints, chosen with -5, behind which a path is chosen anew. 4 types, 8 groups of 5 a batch; "
                       "6 rollouts are as many as 5 with all their probes. Adam 0.05, 100 updates.",
                   .updates = 100,
                   .rates = eight_rates,
                   .tuned_by = "success",
                   .arms = {arm("GRPO", 5, 0), arm("GRPO, 6 rollouts", 6, 0), arm("REX-RAG", 5, 0.2)},
                   .claims = {escapes, more},
                   .seeds = 8});
}

}  // namespace roars::claims::of_rex_rag
