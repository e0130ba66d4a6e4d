#include "roars/methods/igpo.hpp"
#include "roars/metrics/groups.hpp"
#include "roars/tasks/two_hop.hpp"
#include "training.hpp"

namespace roars::claims::of_igpo {
namespace {

constexpr std::int64_t prompts = 6, group = 4;

/// Groups of 4, Adam 0.05, no pull to the start. `identical outcomes`: the share of the run's groups whose rollouts all
/// come out alike.
template <class Method>
Arm arm(std::string name, Method method) {
    method.sampler.prompts = prompts;
    method.sampler.group_size = group;
    method.regularizer.coefficient = 0;
    auto adam = with_step(method, step::AdamW{.learning_rate = 0.05, .weight_decay = 0});
    return {std::move(name), [=](const Trial& trial) {
                auto scaled = adam;
                scaled.optimizer.step.learning_rate *= trial.rate;
                tasks::TwoHop task({}, trial.seed);
                train::TabularLearner<tasks::TwoHop> learner(task, {.in_turn = false});
                Numbers numbers;
                double alike = 0;
                train(
                    scaled, learner, trial,
                    [&]<class BatchType>(std::int64_t updates,
                                         const BatchType& batch) requires BatchWith<BatchType, col::reward> {
                        auto rates = metrics::group_rates(batch[col::groups{}], batch[col::reward{}]);
                        alike += (1 - rates.effective) / double(trial.updates);
                        if (updates == 50 || updates == 100)
                            measure(numbers, learner, 0, prompts, 64, "@" + std::to_string(updates));
                    });
                measure(numbers, learner, 0, prompts, 64);
                numbers["identical outcomes"] = alike;
                numbers["rollouts"] = double(learner.position.rollouts);
                return numbers;
            }};
}

}  // namespace

/// A turn that makes the true answer likelier is paid at once, also where no rollout of its group is right.
void add(std::vector<Experiment>& all) {
    auto probability = methods::OfInformationGain<reward::gain::Probability, pool::Separate>{
        .reward = {.first = methods::igpo.reward.first}, .optimizer = methods::igpo.optimizer};
    Claim early{.says = "gains of information teach where all outcomes are alike: success after 50 updates",
                .method = "IGPO",
                .baseline = "GRPO",
                .number = "success@50",
                .expected = Expected::higher,
                .least = 0.15,
                .beside = "identical outcomes"};
    Claim later = early, also = early, end = early;
    later.says = "and after 100";
    later.number = "success@100";
    later.least = 0;
    also.says = "gains of probability do so, too";
    also.method = "IGPO, probability";
    end.says = "at the end, after 150, both have learnt the lookup";
    end.number = "success";
    end.expected = Expected::same;
    end.least = 0.06;
    all.push_back(
        {.name = "igpo",
         .paper = "2510.14967, IGPO",
         .page = "igpo",
         .setup = "A lookup of two hops: 6 types of questions, 6 tools a hop, 8 answers; a policy that can read "
                  "what it is shown and does not know which tool to ask. 6 groups of 4, Adam 0.05, 150 updates.",
         .updates = 150,
         .rates = eight_rates,
         .tuned_by = "success@50",
         .arms = {arm("GRPO", methods::grpo), arm("IGPO", methods::igpo), arm("IGPO, probability", probability)},
         .claims = {early, later, also, end},
         .seeds = 10});
}

}  // namespace roars::claims::of_igpo
