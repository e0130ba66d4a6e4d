#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "roars/methods/relift.hpp"
#include "roars/methods/supervised.hpp"
#include "roars/tasks/solution_steps.hpp"
#include "roars/train/trainer_of.hpp"
#include "training.hpp"

namespace roars::claims::of_relift {
namespace {

using Learner = train::TabularLearner<tasks::SolutionSteps>;
constexpr std::int64_t hard_prompts = 20, demonstrations = 8;
constexpr step::Sgd plain{.learning_rate = 40};

/// Answers to 16 prompts, the group's mean as baseline, the sum over tokens.
using Reinforced = Algorithm<sampler::Groups, reward::Verified, advantage::GroupMean, regularizer::EntropyBonus,
                             optimizer::PolicyGradient<surrogate::Clip, aggregate::SequenceSumOfAll, step::Sgd>>;
/// Given answers, each of which counts the same.
template <class Sampler>
using Imitated = Algorithm<Sampler, reward::None, advantage::None, regularizer::EntropyBonus,
                           optimizer::PolicyGradient<surrogate::Likelihood, aggregate::SequenceMeanOfAll, step::Sgd>>;

constexpr Reinforced reinforced{
    .sampler = {.prompts = 16, .group_size = 8}, .regularizer = {.coefficient = 0}, .optimizer = {.step = plain}};
template <class Sampler>
Imitated<Sampler> imitated() {
    return {.sampler = {.batch_size = demonstrations}, .regularizer = {.coefficient = 0}, .optimizer = {.step = plain}};
}

/// The prompts of demonstrations that are not asked for come at random. `shown` says how many a run has used.
template <class Method, class Shown>
Arm arm(std::string name, const Method& method, Shown shown) {
    return {std::move(name), [=](const Trial& trial) {
                tasks::SolutionSteps task(
                    {.prompts = 60, .length = 4, .rows = 0, .right = 0.7, .hard_prompts = hard_prompts}, trial.seed);
                Learner learner(task, {.in_turn = false});
                train::TrainerOf<Method, Learner> trainer(method, learner);
                backend::Host host;
                for (std::int64_t i = 0; i < trial.updates; ++i) {
                    stop_if_interrupted();
                    Run run{host, Random(trial.seed).at(static_cast<std::uint32_t>(i)), Progress{i, trial.updates}};
                    trainer.advance(run);
                }
                Numbers numbers;
                measure(numbers, learner, 0, -1, 64);
                measure(numbers, learner, 0, hard_prompts, 64, ", hard");
                measure(numbers, learner, hard_prompts, -1, 64, ", easy");
                numbers["demonstrations"] = double(shown(trainer, trial));
                return numbers;
            }};
}

}  // namespace

/// What no rollout solves, from a few demonstrations; and demonstrations of everything.
void add(std::vector<Experiment>& all) {
    using Both = Interleaved<Reinforced, Imitated<sampler::HardestPrompts>>;
    Arm relift = arm("ReLIFT", Both{reinforced, imitated<sampler::HardestPrompts>()},
                     [](auto& trainer, const Trial&) { return trainer.side().state.sampler.demonstrations; });
    Arm alone = arm("RL alone", reinforced, [](auto&, const Trial&) { return 0; });
    Arm given = arm("demonstrations alone", imitated<sampler::Demonstrations>(),
                    [](auto&, const Trial& trial) { return demonstrations * trial.updates; });
    Claim hard{.says = "prompts that no rollout solves are learnt",
               .method = relift.name,
               .baseline = alone.name,
               .number = "success, hard",
               .least = 0.75,
               .beside = "success"};
    Claim whole{.says = "and all prompts better than from demonstrations alone",
                .method = relift.name,
                .baseline = given.name,
                .number = "success",
                .beside = "success, easy"};
    Claim fewer{.says = "with less than 15 % of their number",
                .method = relift.name,
                .baseline = given.name,
                .number = "demonstrations",
                .expected = Expected::lower,
                .least = 0.85,
                .as_share = true};
    Claim lost{.says = "while RL alone learns none of the hard ones",
               .method = alone.name,
               .baseline = given.name,
               .number = "success, hard",
               .expected = Expected::lower,
               .least = 0.75,
               .beside = "success, easy"};
    all.push_back(
        {.name = "relift",
         .paper = "2506.07527, ReLIFT",
         .page = "relift",
         .setup =
             "60 prompts of 4 steps, each with rows of its own, 8 tokens, the right one of 0.7 at the start; in 20 "
             "of them one step's is of 1e-4. 16 prompts of 8 rollouts a step, or 8 demonstrations, plain steps of "
             "40, no entropy bonus, 200 steps.",
         .updates = 200,
         .arms = {relift, alone, given},
         .claims = {hard, lost, whole, fewer}});
}

}  // namespace roars::claims::of_relift
