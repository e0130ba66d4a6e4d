#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "roars/methods/seele.hpp"
#include "roars/tasks/solution_steps.hpp"
#include "training.hpp"

namespace roars::claims::of_seele {
namespace {

using Learner = train::TabularLearner<tasks::SolutionSteps>;
constexpr std::int64_t rounds = 4, completions = 4, prompts = 8, steps_an_epoch = 4;

/// Accuracy behind the hints that were fitted in the same step, rounds 2 to 4, over all prompts of an epoch; from the
/// second epoch on.
class Accuracy {
public:
    template <class BatchType>
    void note(std::int64_t update, const BatchType& batch) {
        for (std::size_t i = 0; i < std::size_t(batch.sequences()); ++i)
            if (i / completions % rounds > 0) right_ += double(batch[col::outcome{}][i]);
        if (update % steps_an_epoch != 0) return;
        if (update > steps_an_epoch)
            seen_.push_back(right_ / double(steps_an_epoch * prompts * (rounds - 1) * completions));
        right_ = 0;
    }
    /// Nothing of a run that has no second epoch.
    void tell(Numbers& numbers) const {
        if (seen_.empty()) return;
        numbers["lowest accuracy"] = *std::min_element(seen_.begin(), seen_.end());
        numbers["highest accuracy"] = *std::max_element(seen_.begin(), seen_.end());
    }

private:
    double right_ = 0;
    std::vector<double> seen_;
};

template <class Hints>
Arm arm(std::string name, const Hints& hints) {
    methods::Hinted<Hints> method;
    method.sampler = hints;
    get<0>(method.regularizer).coefficient = get<1>(method.regularizer).coefficient = 0;
    const auto plain = with_step(method, step::Sgd{.learning_rate = 20});
    return {std::move(name), [=](const Trial& trial) {
                tasks::SolutionSteps task({}, trial.seed);
                Learner learner(task);
                train::Trainer trainer(plain, learner);
                backend::Host host;
                Accuracy accuracy;
                for (std::int64_t i = 0; i < trial.updates; ++i) {
                    stop_if_interrupted();
                    Run run{host, Random(trial.seed).at(static_cast<std::uint32_t>(i)), Progress{i, trial.updates}};
                    trainer.advance(run);
                    accuracy.note(i + 1, trainer.batch());
                }
                Numbers numbers;
                accuracy.tell(numbers);
                measure(numbers, learner, 0, -1, 64);
                return numbers;
            }};
}
Arm scheduled(std::string name, double first, double last) {
    return arm(
        std::move(name),
        sampler::ScheduledHints{.prompts = prompts, .group_size = rounds * completions, .first = first, .last = last});
}

}  // namespace

/// Hints that hold accuracy at a half, and what is learnt behind them.
void add(std::vector<Experiment>& all) {
    Arm fitted = arm("SEELE", sampler::FittedHints{.prompts = prompts, .rounds = rounds, .completions = completions});
    Arm none = scheduled("GRPO, no hint", 0, 0), half = scheduled("hints of a half", 0.5, 0.5),
        fading = scheduled("fading hints", 1, 0);
    Arm aim{"a half", [](const Trial&) { return Numbers{{"lowest accuracy", 0.5}, {"highest accuracy", 0.5}}; }};
    Claim lowest{.says = "accuracy behind fitted hints is in no epoch far below a half",
                 .method = fitted.name,
                 .baseline = aim.name,
                 .number = "lowest accuracy",
                 .expected = Expected::same,
                 .least = 0.15};
    Claim highest = lowest;
    highest.says = "and in none far above";
    highest.number = "highest accuracy";
    Claim learns{.says = "what is never right without a hint is learnt",
                 .method = fitted.name,
                 .baseline = none.name,
                 .number = "success",
                 .least = 0.3};
    Claim fixed = learns;
    fixed.says = "a hint of fixed length does not do";
    fixed.baseline = half.name;
    Claim faded = learns;
    faded.says = "and hints that fade away do less well";
    faded.baseline = fading.name;
    faded.least = 0;
    all.push_back(
        {.name = "seele",
         .paper = "2509.06923, SEELE",
         .page = "seele",
         .setup = "32 prompts of 16 steps from 48 rows of 8 tokens, the right one of 0.45 at the start, so that an "
                  "answer is right once in 300,000. 8 prompts of 16 rollouts a step, 4 steps an epoch, 8 epochs, "
                  "plain steps of 20 on the sum over tokens, no imitation and no KL. Accuracy: of rounds 2 to 4, "
                  "the epoch with the lowest and with the highest, from the second one on.",
         .updates = 32,
         .arms = {fitted, none, half, fading, aim},
         .claims = {lowest, highest, learns, fixed, faded}});
}

}  // namespace roars::claims::of_seele
