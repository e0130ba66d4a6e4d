#include "roars/methods/agentic_recipe.hpp"
#include "roars/tasks/option_paths.hpp"
#include "training.hpp"

namespace roars::claims::of_agentic_recipe {
namespace {

/// Right or wrong: without tools the recipe's reward says no more.
template <class Regularizer>
Arm arm(std::string name, double high, const Regularizer& regularizer) {
    using Method = Algorithm<sampler::Groups, reward::Verified, advantage::GroupZScore, Regularizer,
                             optimizer::PolicyGradient<surrogate::DualClip, aggregate::TokenMean, step::AdamW>>;
    return {std::move(name), [=](const Trial& trial) {
                Method method{.sampler = {.prompts = 6, .group_size = 16}, .regularizer = regularizer};
                method.optimizer.surrogate = {.low = 0.2, .high = high, .bound = 10.0};
                method.optimizer.step.learning_rate = 0.05 * trial.rate;
                method.optimizer.epochs = 8;
                tasks::OptionPaths task({}, trial.seed);
                train::TabularLearner<tasks::OptionPaths> learner(task);
                return train_and_measure(method, learner, trial, {.samples = 32, .also = {20, 40}});
            }};
}

}  // namespace

/// What a higher upper clip without a divergence gains where the clip binds.
void add(std::vector<Experiment>& all) {
    Claim early{.says = "a higher upper clip without a divergence learns faster",
                .method = "GRPO-TCR",
                .baseline = "GRPO-T",
                .number = "success@20",
                .expected = Expected::higher,
                .least = 0.02};
    Claim late = early, pass = early, wider = early;
    late.says = "and is better at the end";
    late.number = "success";
    pass.says = "what 32 samples find is not less";
    pass.number = "pass";
    pass.expected = Expected::same;
    pass.least = 0.02;
    wider.says = "a clip of 0.315 is faster still";
    wider.method = "upper clip 0.315";
    wider.baseline = "GRPO-TCR";
    wider.least = 0;
    all.push_back(
        {.name = "agentic-recipe",
         .paper = "2510.11701, the agentic recipe",
         .page = "agentic-recipe",
         .setup = "12 problems of 3 decisions with 6 options, two right paths each, normal logits of 1.2. 6 "
                  "problems x 16, 8 passes over each batch, Adam 0.05, 60 updates; GRPO-T with clip 0.2 and a "
                  "divergence of 0.02.",
         .updates = 60,
         .rates = eight_rates,
         .tuned_by = "success",
         .arms = {arm("GRPO-T", 0.2, regularizer::Kl<kl::K3>{.coefficient = 0.02}),
                  arm("GRPO-TCR", 0.28, regularizer::None{}), arm("upper clip 0.315", 0.315, regularizer::None{})},
         .claims = {early, late, pass, wider},
         .seeds = 16});
}

}  // namespace roars::claims::of_agentic_recipe
