#include "roars/methods/reseek.hpp"
#include "roars/regularizer/none.hpp"
#include "roars/tasks/search_chain.hpp"
#include "training.hpp"

namespace roars::claims::of_reseek {
namespace {

using Learner = train::TabularLearner<tasks::SearchChain>;

/// 4 groups of 5 rollouts, Adam, no divergence.
template <class Reward, class Advantage>
Arm arm(std::string name, const Reward& reward, const Advantage& advantage,
        const tasks::SearchChainSettings& settings) {
    using Method = Algorithm<sampler::Groups, Reward, Advantage, regularizer::None,
                             optimizer::PolicyGradient<surrogate::Clip, aggregate::SequenceMean, step::AdamW>>;
    return {std::move(name), [=](const Trial& trial) {
                const Method method{.sampler = {.prompts = 4, .group_size = 5},
                                    .reward = reward,
                                    .advantage = advantage,
                                    .optimizer = {.step = {.learning_rate = 0.05 * trial.rate}}};
                tasks::SearchChain task(settings, trial.seed);
                Learner learner(task);
                Numbers numbers;
                auto look = [&](const std::string& when) {
                    measure(numbers, learner, 0, -1, 64, when);
                    auto judged = tasks::judgement_score(task, std::span<const float>(learner.policy().logits()));
                    numbers["judge accuracy" + when] = judged.accuracy();
                    numbers["wrong acceptances" + when] = judged.wrong_share();
                };
                train(method, learner, trial, [&](std::int64_t updates, const train::Record&) {
                    if (updates == 25 || updates == 50) look("@" + std::to_string(updates));
                });
                look("");
                numbers["rollouts"] = double(learner.position.rollouts);
                return numbers;
            }};
}
Arm by_answer(const tasks::SearchChainSettings& settings = {}) {
    return arm("answer alone", reward::Verified{}, methods::reseek.advantage, settings);
}
Arm summed(const tasks::SearchChainSettings& settings = {}) {
    return arm("ReSeek", methods::reseek.reward, methods::reseek.advantage, settings);
}
Arm by_turns(const tasks::SearchChainSettings& settings = {}) {
    return arm("ReSeek, turn credit", methods::reseek_turns.reward, methods::reseek_turns.advantage, settings);
}

/// The same reward where the policy chooses what it will judge.
void add_queries(std::vector<Experiment>& all) {
    const tasks::SearchChainSettings settings{.queries = 4, .relevant = 0.8, .other = 0.1};
    Claim hacked{.says = "one number a rollout is hacked: bad queries are asked and rightly rejected",
                 .method = "ReSeek",
                 .baseline = "answer alone",
                 .number = "success",
                 .expected = Expected::lower};
    Claim repaired = hacked, faster = hacked;
    repaired.says = "paid to the judgement's own token it is not";
    repaired.method = "ReSeek, turn credit";
    repaired.baseline = "ReSeek";
    repaired.expected = Expected::higher;
    faster.says = "and then it helps";
    faster.method = "ReSeek, turn credit";
    faster.number = "success@25";
    faster.expected = Expected::higher;
    all.push_back({.name = "reseek-queries",
                   .paper = "2510.00568, ReSeek",
                   .page = "reseek",
                   .setup =
                       "The same chains; before each search one of 4 queries is chosen: the right one finds what is "
                       "sought with probability 0.8, the others with 0.1. 100 updates.",
                   .updates = 100,
                   .rates = eight_rates,
                   .tuned_by = "success",
                   .arms = {by_answer(settings), summed(settings), by_turns(settings)},
                   .claims = {hacked, repaired, faster},
                   .seeds = 10});
}

}  // namespace

/// What a reward for right judgements is worth where documents can only be judged.
void add(std::vector<Experiment>& all) {
    Claim faster{.says = "a reward for right judgements finds right answers sooner",
                 .method = "ReSeek",
                 .baseline = "answer alone",
                 .number = "success@25",
                 .expected = Expected::higher,
                 .least = 0.03};
    Claim judges = faster, rejects = faster, equal = faster;
    judges.says = "it judges better";
    judges.number = "judge accuracy@25";
    judges.least = 0.06;
    rejects.says = "fewer of the documents that it accepts are distractors";
    rejects.number = "wrong acceptances@25";
    rejects.expected = Expected::lower;
    rejects.least = 0.12;
    equal.says = "at the end both are equal";
    equal.number = "success";
    equal.expected = Expected::same;
    equal.least = 0.02;
    all.push_back({.name = "reseek",
                   .paper = "2510.00568, ReSeek",
                   .page = "reseek",
                   .setup =
                       "Chains of 3 facts in at most 6 searches; a document is relevant half the time and shows one "
                       "of 12 cues. 4 groups of 5, Adam 0.05, 200 updates.",
                   .updates = 200,
                   .rates = eight_rates,
                   .tuned_by = "success@25",
                   .arms = {by_answer(), summed(), by_turns()},
                   .claims = {faster, judges, rejects, equal},
                   .seeds = 10});
    add_queries(all);
}

}  // namespace roars::claims::of_reseek
