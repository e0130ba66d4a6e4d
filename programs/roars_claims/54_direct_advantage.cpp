#include "roars/methods/direct_advantage.hpp"
#include "roars/tasks/chain.hpp"
#include "roars/train/with_branches.hpp"
#include "training.hpp"

namespace roars::claims::of_direct_advantage {
namespace {

/// Both stages, `outer` times at an equal share of the budget: a data set of states, their completions and the critic
/// that counts them, then 300 updates on it.
Arm direct_advantage(std::string name, std::int64_t outer, std::int64_t states) {
    constexpr std::int64_t inner = 300;
    methods::DirectAdvantage method = methods::direct_advantage;
    method.sampler = {.states = states, .completions = 8, .solutions = 12, .kept = 4};
    method.regularizer.when.iterations = inner;
    method.optimizer.surrogate.beta = 0.05;
    auto adam = with_step(method, step::AdamW{.learning_rate = 0.1});
    return {std::move(name), [=](const Trial& trial) {
                auto scaled = adam;
                scaled.optimizer.step.learning_rate *= trial.rate;
                tasks::Chain task({}, trial.seed);
                train::WithBranches<tasks::Chain> learner(task);
                Trial whole = trial;
                whole.updates = std::min(trial.updates, outer * inner);
                Numbers numbers = train_and_measure(scaled, learner, whole, {});
                numbers["rollouts"] = learner.spent();
                return numbers;
            }};
}

Arm response_level(std::string name, std::int64_t prompts, std::int64_t budget) {
    methods::Grpo method = methods::grpo;
    method.sampler = {.prompts = prompts, .group_size = 16};
    method.regularizer.coefficient = 0;
    auto adam = with_step(method, step::AdamW{.learning_rate = 0.1});
    return {std::move(name), [=](const Trial& trial) {
                auto scaled = adam;
                scaled.optimizer.step.learning_rate *= trial.rate;
                tasks::Chain task({}, trial.seed);
                train::TabularLearner<tasks::Chain> learner(task);
                Trial whole = trial;
                whole.updates = std::min(trial.updates, budget / (prompts * 16));
                return train_and_measure(scaled, learner, whole, {});
            }};
}

}  // namespace

/// Steps that are compared within their state need fewer rollouts than answers that are compared as a whole.
void add(std::vector<Experiment>& all) {
    Claim fewer{.says = "more is learnt from 1,000 rollouts",
                .method = "direct advantage",
                .baseline = "GRPO, 3 prompts a batch",
                .number = "success",
                .expected = Expected::higher,
                .least = 0.05};
    Claim steps = fewer, twice = fewer;
    steps.says = "also than GRPO learns in three times as many steps";
    steps.baseline = "GRPO, 1 prompt a batch";
    steps.least = 0;
    twice.says = "two rounds of half the budget are better than one";
    twice.baseline = "direct advantage, one round";
    twice.least = 0;
    all.push_back(
        {.name = "direct-advantage",
         .paper = "2412.18279, direct advantage",
         .page = "direct-advantage",
         .setup = "A chain of 8 moves between 6 places, 4 actions, one goal. Budget: 1,000 rollouts, of which "
                  "a completion of the last k moves costs k/8. Direct advantage: 12 solutions a start, 4 "
                  "kept, 8 completions a state, beta 0.05, two rounds of 300 steps. GRPO: groups of 16. Adam "
                  "0.1 for all.",
         .updates = 600,
         .rates = eight_rates,
         .tuned_by = "success",
         .arms = {response_level("GRPO, 3 prompts a batch", 3, 1000), response_level("GRPO, 1 prompt a batch", 1, 1000),
                  direct_advantage("direct advantage", 2, 84), direct_advantage("direct advantage, one round", 1, 192)},
         .claims = {fewer, steps, twice}});
}

}  // namespace roars::claims::of_direct_advantage
