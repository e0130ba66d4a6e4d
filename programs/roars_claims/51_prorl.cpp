#include <limits>
#include <utility>

#include "roars/methods/prorl.hpp"
#include "training.hpp"

namespace roars::claims::of_prorl {

/// A pull to the start keeps the policy wide and holds it back; a start that moves along lets it go on.
void add(std::vector<Experiment>& all) {
    constexpr std::int64_t prompts = 32, group = 16, never = std::numeric_limits<std::int64_t>::max();
    auto method = [&](double coefficient, std::int64_t resets) {
        methods::ScheduledProRl prorl = methods::prorl_scheduled;
        prorl.sampler.prompts = prompts;
        prorl.sampler.group_size = group;
        prorl.sampler.max_draws = 1;
        prorl.sampler.generation.temperature = 1.0;
        get<0>(prorl.regularizer).coefficient = coefficient;
        get<1>(prorl.regularizer).when.iterations = resets;
        prorl.optimizer.epochs = 4;
        prorl.optimizer.minibatches = 1;
        // Groups without a contrast leave the batch, and the step on each of the others must not grow for it.
        optimizer::PolicyGradient<surrogate::Clip, aggregate::Constant, step::Sgd> plain{
            prorl.optimizer.surrogate, {.normalizer = double(group)}, {.learning_rate = 0.5}, 4, 1};
        return Algorithm<decltype(prorl.sampler), decltype(prorl.reward), decltype(prorl.advantage),
                         decltype(prorl.regularizer), decltype(plain)>{prorl.sampler, prorl.reward, prorl.advantage,
                                                                       prorl.regularizer, plain};
    };
    tasks::BanditSettings task{.prompts = prompts, .answers = 200, .right = 4, .spread = 0.5};
    Claim further{.says = "with resets the policy goes on where one reference holds it",
                  .method = "resets",
                  .baseline = "one reference",
                  .number = "success",
                  .expected = Expected::higher,
                  .least = 0.3};
    Claim wider = further;
    wider.says = "and more of the right answers stay within the reach of 64 samples than without a pull";
    wider.baseline = "no pull";
    wider.number = "coverage";
    wider.least = 0.15;
    auto experiment = [&](std::string name, std::string setup, double flipped, std::vector<double> rates) {
        task.flipped = flipped;
        all.push_back({.name = std::move(name),
                       .paper = "2505.24864, ProRL",
                       .page = "prorl",
                       .setup = std::move(setup),
                       .updates = 600,
                       .rates = std::move(rates),
                       .tuned_by = "success",
                       .arms = {bandit_arm("no pull", method(0, never), task, {}),
                                bandit_arm("one reference", method(1, never), task, {}),
                                bandit_arm("resets", method(1, 150), task, {})},
                       .claims = {further, wider}});
    };
    experiment("prorl",
               "32 prompts of 200 answers, 4 of them right. Groups of 16, those without a contrast left out, 4 updates "
               "a batch, plain steps of 0.5, coefficient 1, 600 batches, resets at 150, 300 and 450.",
               0.0, eight_rates);
    experiment("prorl-noisy", "The same with 5 % of the verdicts flipped.", 0.05, eight_rates);
}

}  // namespace roars::claims::of_prorl
