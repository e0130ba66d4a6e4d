#include "roars/methods/dler.hpp"
#include "roars/tasks/stop_time.hpp"
#include "training.hpp"

namespace roars::claims::of_dler {
namespace {

constexpr std::int64_t prompts = 32, group = 8, limit = 16, classes = 4;

template <class Method>
Arm arm(std::string name, Method method) {
    method.regularizer.coefficient = 0;
    method.optimizer.epochs = 4;
    method.optimizer.minibatches = 1;
    // Both logits of a position move, so that their difference makes steps of 0.05.
    auto adam = with_step(method, step::AdamW{.learning_rate = 0.025});
    return {std::move(name), [=](const Trial& trial) {
                auto scaled = adam;
                scaled.optimizer.step.learning_rate *= trial.rate;
                tasks::StopTime task({.classes = classes, .limit = limit});
                train::TabularLearner<tasks::StopTime> learner(task);
                Numbers numbers = train_and_measure(scaled, learner, trial, {});
                Numbers hardest;
                measure(hardest, learner, classes - 1, classes, 64);
                numbers["success of the hardest class"] = hardest.at("success");
                return numbers;
            }};
}

}  // namespace

/// Truncation as the only price of length: what resampling and the batch's scale make of it.
void add(std::vector<Experiment>& all) {
    methods::Grpo grpo = methods::grpo;
    grpo.sampler = {.prompts = prompts, .group_size = group};
    methods::Dler dler = methods::dler;
    dler.sampler.prompts = prompts;
    dler.sampler.group_size = group;
    dler.sampler.max_draws = 8;
    dler.reward.base.door.max_length = limit;
    methods::Dler once = dler;
    once.sampler.max_draws = 1;
    Claim better{.says = "accuracy within the limit is higher at equal updates (not at equal rollouts)",
                 .method = "DLER",
                 .baseline = "GRPO",
                 .number = "success",
                 .expected = Expected::higher,
                 .least = 0.04};
    Claim hardest = better, redrawn = better, normalised = better;
    hardest.says = "and most so where the longest thought is needed";
    hardest.number = "success of the hardest class";
    hardest.least = 0.1;
    redrawn.says = "drawing again for groups with a contrast is what helps";
    redrawn.baseline = "DLER, one draw";
    redrawn.least = 0.04;
    normalised.says = "the batch's scale and the upper clip alone help";
    normalised.method = "DLER, one draw";
    normalised.least = 0;
    all.push_back({.name = "dler",
                   .paper = "2510.15110, DLER",
                   .page = "dler",
                   .setup = "A stopping time: four classes that need about 3, 6, 9 and 12 of 16 tokens, nearly every "
                            "answer cut at first. 32 groups of 8, 4 updates a batch, Adam 0.05, 30 batches; DLER draws "
                            "up to 8 times for its groups.",
                   .updates = 30,
                   .rates = eight_rates,
                   .tuned_by = "success",
                   .arms = {arm("GRPO", grpo), arm("DLER", dler), arm("DLER, one draw", once)},
                   .claims = {better, hardest, redrawn, normalised}});
}

}  // namespace roars::claims::of_dler
