#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>

#include "roars/methods/router_r1.hpp"
#include "roars/tasks/routed_questions.hpp"
#include "training.hpp"

namespace roars::claims::of_router_r1 {
namespace {

/// "aim" is what a rate is chosen by: what the reward asks for, the cost between the cheapest and the dearest pair of
/// replies. The rewards of two runs do not compare, for each has a window of its own.
template <class Method>
Arm arm(std::string name, Method method, double alpha, const tasks::RoutedQuestionsSettings& settings) {
    method.reward.second.alpha = alpha;
    method.regularizer.coefficient = 0;
    method.optimizer.minibatches = 1;
    auto adam = with_step(method, step::AdamW{.learning_rate = 0.08});
    return {std::move(name), [=](const Trial& trial) {
                auto scaled = adam;
                scaled.optimizer.step.learning_rate *= trial.rate;
                tasks::RoutedQuestions task(settings);
                train::TabularLearner<tasks::RoutedQuestions, float, true> learner(task, {.in_turn = false});
                Numbers numbers = train_and_measure(scaled, learner, trial, {});
                for (std::int64_t kind = 0; kind < task.prompts(); ++kind)
                    numbers["cost"] += task.mean_cost(std::span<const float>(learner.policy().logits()), kind) /
                                       double(task.prompts());
                const double cheapest = task.mean_reply() * 2, dearest = cheapest * settings.large_price;
                const double cheap = (dearest - numbers.at("cost")) / (dearest - cheapest);
                const double worth = std::is_same_v<Method, methods::RouterR1> ? numbers.at("success") * cheap : cheap;
                numbers["aim"] = (1 - alpha) * numbers.at("success") + alpha * worth;
                return numbers;
            }};
}

}  // namespace

/// Two rounds choose a model for each part of a question; a share of the reward for what it costs makes them cheap, and
/// must not be paid for wrong answers.
void add(std::vector<Experiment>& all) {
    Claim surer{.says = "a model for each part: answers are right more often",
                .method = "two rounds",
                .baseline = "one round",
                .number = "success",
                .expected = Expected::higher,
                .least = 0.08};
    Claim cheaper = surer;
    cheaper.says = "at less than half the cost";
    cheaper.number = "cost";
    cheaper.expected = Expected::lower;
    cheaper.least = 0.5;
    cheaper.as_share = true;
    Experiment rounds{.name = "router-r1",
                      .paper = "2506.09033, Router-R1",
                      .page = "router-r1",
                      .setup =
                          "Questions of two parts from three fields each. Three small models (right with 0.9 in "
                          "their own field, 0.3 in others, price 1) and a large one (0.8, price 5), replies of 20 "
                          "to 39 tokens. PPO with a table of values, 64 rollouts, Adam 0.08, 200 updates; the cost "
                          "is the exact mean.",
                      .updates = 200,
                      .rates = eight_rates,
                      .tuned_by = "aim"};
    Experiment prices = rounds;
    rounds.arms = {arm("two rounds", methods::router_r1, 0.0, {}),
                   arm("one round", methods::router_r1, 0.0, {.one_round = true})};
    rounds.claims = {surer, cheaper};
    rounds.seeds = 6;

    const tasks::RoutedQuestionsSettings sure{.large_skill = 0.97};
    Claim falls = cheaper;
    falls.says = "where the large model is the surest (0.97), a share of 0.3 for the cost takes 70 % of it away";
    falls.method = "alpha 0.3";
    falls.baseline = "alpha 0";
    falls.least = 0.7;
    Claim still = falls, gated = falls;
    still.says = "a larger share takes a little more";
    still.method = "alpha 0.9";
    still.baseline = "alpha 0.3";
    still.least = 0;
    gated.says = "and with a share of 0.9 it must not be paid for wrong answers";
    gated.method = "alpha 0.9";
    gated.baseline = "alpha 0.9, ungated";
    gated.number = "success";
    gated.expected = Expected::higher;
    gated.least = 0.04;
    gated.as_share = false;
    prices.name = "router-r1-prices";
    prices.setup += " The large model is right with 0.97.";
    prices.arms = {arm("alpha 0", methods::router_r1, 0.0, sure), arm("alpha 0.3", methods::router_r1, 0.3, sure),
                   arm("alpha 0.6", methods::router_r1, 0.6, sure), arm("alpha 0.9", methods::router_r1, 0.9, sure),
                   arm("alpha 0.9, ungated", methods::router_r1_ungated, 0.9, sure)};
    prices.claims = {falls, still, gated};
    prices.seeds = 6;
    all.push_back(std::move(rounds));
    all.push_back(std::move(prices));
}

}  // namespace roars::claims::of_router_r1
