#include "roars/methods/open_rs.hpp"
#include "roars/tasks/stop_time.hpp"
#include "training.hpp"

namespace roars::claims::of_open_rs {
namespace {

constexpr std::int64_t limit = 24;

template <class Method>
Arm arm(std::string name, Method method) {
    method.sampler = {.prompts = 16, .group_size = 6};
    method.regularizer.coefficient = 0;
    // Both logits of a position move, so that their difference makes steps of 0.05.
    auto adam = with_step(method, step::AdamW{.learning_rate = 0.025});
    return {std::move(name), [=](const Trial& trial) {
                auto scaled = adam;
                scaled.optimizer.step.learning_rate *= trial.rate;
                tasks::StopTime task({.classes = 1,
                                      .limit = limit,
                                      .start_logit = -3,
                                      .first_difficulty = 5,
                                      .steepness = 1.5,
                                      .ceiling = 0.95});
                train::TabularLearner<tasks::StopTime> learner(task);
                Numbers numbers = train_and_measure(scaled, learner, trial, {});
                numbers["accuracy per token"] = numbers.at("success") / numbers.at("length");
                return numbers;
            }};
}

}  // namespace

/// A reward of correctness that falls with the length keeps answers short, and costs accuracy.
void add(std::vector<Experiment>& all) {
    methods::OpenRs cosine = methods::open_rs;
    reward::Scale<reward::IfVerifiable<reward::HeldCosineLength>>& correctness = get<1>(cosine.reward);
    correctness.base.base.max_length = limit;
    Claim shorter{.says = "answers become shorter by 30 % or more",
                  .method = "format and cosine",
                  .baseline = "format and accuracy",
                  .number = "length",
                  .expected = Expected::lower,
                  .least = 0.3,
                  .as_share = true};
    Claim denser = shorter, costs = shorter;
    denser.says = "a token is worth more: accuracy by length rises";
    denser.number = "accuracy per token";
    denser.expected = Expected::higher;
    denser.least = 0;
    costs.says = "what it costs: accuracy falls";
    costs.number = "success";
    costs.least = 0;
    all.push_back({.name = "open-rs",
                   .paper = "2503.16219, Open-RS",
                   .page = "open-rs",
                   .setup =
                       "A stopping time: 24 positions, right with probability 0.95 sigmoid(1.5 (n - 5)). 16 groups "
                       "of 6, Adam 0.05 on the logit of stopping, no pull to the start, 200 updates.",
                   .updates = 200,
                   .rates = eight_rates,
                   .tuned_by = "own reward",
                   .arms = {arm("format and accuracy", methods::open_rs_accuracy), arm("format and cosine", cosine)},
                   .claims = {shorter, denser, costs}});
}

}  // namespace roars::claims::of_open_rs
