#include "roars/methods/observe_r1.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/tasks/thought_length.hpp"
#include "training.hpp"

namespace roars::claims::of_observe_r1 {
namespace {

using Learner = train::TabularLearner<tasks::ThoughtLength>;

/// The parts of the reward and the advantage at work on the group's z-score, in plain steps.
template <class Reward, class Advantage>
Arm arm(std::string name, const Reward& reward, const Advantage& advantage) {
    using Method = Algorithm<sampler::Groups, Reward, Advantage, regularizer::None,
                             optimizer::PolicyGradient<surrogate::Clip, aggregate::SequenceSum, step::Sgd>>;
    return {std::move(name), [=](const Trial& trial) {
                const Method method{.sampler = {.prompts = 16, .group_size = 8},
                                    .reward = reward,
                                    .advantage = advantage,
                                    .optimizer = {.step = {.learning_rate = 3 * trial.rate}}};
                tasks::ThoughtLength task({}, trial.seed);
                Learner learner(task);
                Numbers numbers = train_and_measure(method, learner, trial, {.also = {30}});
                numbers["thought"] = numbers.at("length") - 2;
                return numbers;
            }};
}

}  // namespace

/// What the bonus for the shortest right answer saves, and what the weight of unsure groups makes of it.
void add(std::vector<Experiment>& all) {
    auto reward = methods::observe_r1.reward;
    reward.second.min_length = 0;
    const auto& advantage = methods::observe_r1.advantage.base;
    Claim shorter{.says = "the bonus for the shortest right answer alone makes thoughts shorter",
                  .method = "bonus",
                  .baseline = "GRPO",
                  .number = "thought",
                  .expected = Expected::lower,
                  .least = 0.3,
                  .as_share = true};
    Claim both = shorter, accurate = shorter, both_accurate = shorter, faster = shorter;
    both.says = "with the weight it saves less: groups that are all right weigh nothing";
    both.method = "Observe-R1";
    both.least = 0.1;
    accurate.says = "at the same accuracy, with the bonus alone";
    accurate.number = "success";
    accurate.expected = Expected::same;
    accurate.least = 0.01;
    accurate.as_share = false;
    both_accurate = accurate;
    both_accurate.says = "and with both";
    both_accurate.method = "Observe-R1";
    faster = accurate;
    faster.says = "the weight alone is faster at first";
    faster.method = "weight";
    faster.number = "success@30";
    faster.expected = Expected::higher;
    faster.least = 0;
    all.push_back({.name = "observe-r1",
                   .paper = "2505.12432, Observe-R1",
                   .page = "observe-r1",
                   .setup = "How long to think before concluding: four classes that need 1, 2, 3 and 4 units of "
                            "thought and begin with a skill of 1, 0, -1 and -2; thoughts of 0 to 7 units, all as "
                            "likely at first. 16 groups of 8, plain steps of 3, 150 batches.",
                   .updates = 150,
                   .rates = eight_rates,
                   .tuned_by = "success",
                   .arms = {arm("GRPO", reward.first, advantage.base), arm("bonus", reward, advantage.base),
                            arm("weight", reward.first, advantage), arm("Observe-R1", reward, advantage)},
                   .claims = {shorter, both, accurate, both_accurate, faster}});
}

}  // namespace roars::claims::of_observe_r1
