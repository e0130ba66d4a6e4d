#include "roars/methods/rl_plus.hpp"
#include "roars/tasks/factorised_targets.hpp"
#include "training.hpp"

namespace roars::claims::of_rl_plus {
namespace {

constexpr std::int64_t prompts = 32, easy = 16, group = 8;

template <class Method>
Arm arm(std::string name, const Method& method) {
    return {std::move(name), [=](const Trial& trial) {
                Method scaled = method;
                scaled.optimizer.step.learning_rate *= trial.rate;
                tasks::FactorisedTargets task({.prompts = prompts, .easy_prompts = easy}, trial.seed);
                train::TabularLearner<tasks::FactorisedTargets> learner(task);
                Numbers numbers = train_and_measure(scaled, learner, trial, {.first = easy, .last = prompts});
                numbers["success on easy prompts"] =
                    tasks::mean_exact_score(task, std::span<const float>(learner.parameters().values()), 64, 0, easy)
                        .success;
                return numbers;
            }};
}

}  // namespace

/// Prompts that own sampling never solves: a given solution in every group, and nothing lost on the others.
void add(std::vector<Experiment>& all) {
    // Steps of 2 on the sum over a group's tokens divided by the group's size, whatever the aggregation divides by.
    methods::RlPlus rl_plus = methods::rl_plus;
    rl_plus.sampler = {.prompts = prompts, .group_size = group};
    rl_plus.optimizer.aggregate.normalizer = double(group);
    rl_plus.optimizer.minibatches = 1;
    PlainGrpo grpo = plain_grpo(prompts, group, 2.0 * double(prompts) * 4);
    Claim hard{.says = "prompts that own sampling never solves are learnt",
               .method = "RL-PLUS",
               .baseline = "GRPO",
               .number = "success",
               .expected = Expected::higher,
               .least = 0.8};
    Claim covered = hard, kept = hard;
    covered.says = "and so they are within the reach of 64 samples (pass@64)";
    covered.number = "pass";
    kept.says = "the easy prompts are learnt as well";
    kept.number = "success on easy prompts";
    kept.expected = Expected::same;
    kept.least = 0.02;
    all.push_back({.name = "rl-plus",
                   .paper = "2508.00222, RL-PLUS",
                   .page = "rl-plus",
                   .setup =
                       "32 prompts with a target of 4 tokens over 10 symbols; on 16 hard ones own sampling succeeds "
                       "once in 60,000 tries. Groups of 8, one of RL-PLUS's a given solution, plain steps of 2, "
                       "300 updates. Measured on the hard prompts.",
                   .updates = 300,
                   .rates = eight_rates,
                   .tuned_by = "success on easy prompts",
                   .arms = {arm("GRPO", grpo), arm("RL-PLUS", with_step(rl_plus, step::Sgd{.learning_rate = 2}))},
                   .claims = {hard, covered, kept}});
}

}  // namespace roars::claims::of_rl_plus
