#include "roars/methods/arpo.hpp"
#include "roars/tasks/tool_chain.hpp"
#include "roars/train/with_continuations.hpp"
#include "training.hpp"

namespace roars::claims::of_arpo {
namespace {

/// With as many initial rollouts as there are at all nothing branches, and this is GRPO.
Arm arm(std::string name, std::int64_t rollouts, std::int64_t initial) {
    methods::Arpo method = methods::arpo;
    method.sampler = {.prompts = 6, .rollouts = rollouts, .initial = initial, .window = 1};
    method.optimizer.minibatches = 1;
    auto adam = with_step(method, step::AdamW{.learning_rate = 0.05});
    return {std::move(name), [=](const Trial& trial) {
                auto scaled = adam;
                scaled.optimizer.step.learning_rate *= trial.rate;
                tasks::ToolChain task({}, trial.seed);
                train::WithContinuations<tasks::ToolChain> learner(task, {.in_turn = false});
                Numbers numbers = train_and_measure(scaled, learner, trial, {.also = {trial.updates / 2}});
                numbers["success halfway"] = numbers["success@" + std::to_string(trial.updates / 2)];
                numbers["tool calls"] = double(learner.position.tool_results);
                return numbers;
            }};
}

}  // namespace

/// Tool calls of prefixes that rollouts share are paid once.
void add(std::vector<Experiment>& all) {
    Claim same{.says = "as much is learnt from groups of 16, half of them branches",
               .method = "ARPO",
               .baseline = "GRPO, 16 rollouts",
               .number = "success",
               .expected = Expected::same,
               .least = 0.03};
    Claim cheaper = same, better = same;
    cheaper.says = "with at most 70 % of the tool calls";
    cheaper.number = "tool calls";
    cheaper.expected = Expected::lower;
    cheaper.least = 0.3;
    cheaper.as_share = true;
    better.says = "and more, in half of the updates, than from 8 rollouts alone";
    better.baseline = "GRPO, 8 rollouts";
    better.number = "success halfway";
    better.expected = Expected::higher;
    better.least = 0.1;
    all.push_back({.name = "arpo",
                   .paper = "2507.19849, ARPO",
                   .page = "arpo",
                   .setup =
                       "Three decisions with 4, 8 and 8 options, a tool call behind each of the first two; 6 types "
                       "of question, the right option 4, 1 and 0 above the others at the start. Six prompts a batch in "
                       "groups of 16, half of ARPO's branches; Adam 0.05, 100 updates.",
                   .updates = 100,
                   .rates = eight_rates,
                   .tuned_by = "success halfway",
                   .arms = {arm("GRPO, 16 rollouts", 16, 16), arm("ARPO", 16, 8), arm("GRPO, 8 rollouts", 8, 8)},
                   .claims = {same, cheaper, better},
                   .seeds = 8});
}

}  // namespace roars::claims::of_arpo
