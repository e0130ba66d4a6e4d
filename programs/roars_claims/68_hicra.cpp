#include "roars/advantage/normalise.hpp"
#include "roars/advantage/signed_credit.hpp"
#include "roars/methods/hicra.hpp"
#include "roars/tasks/factorised_targets.hpp"
#include "training.hpp"

namespace roars::claims::of_hicra {

constexpr std::int64_t prompts = 32, group = 8, length = 9;  // a strategy and 8 tokens that carry it out

/// Marks token `first` of every answer; or, for the placebo, one of the others, drawn anew for each batch.
struct MarkPosition {
    bool placebo = false;

    using needs = columns<col::token>;
    using gives = columns<col::planning>;

    template <class RunType, class State, BatchWith<col::token, col::planning> BatchType>
    void amend(RunType& run, State&, BatchType& batch) const {
        RandomStream stream(run.random.of(Purpose::user));
        const std::int64_t marked = placebo ? 1 + stream.below(length - 1) : 0;
        auto mark = batch[col::planning{}];
        std::fill(mark.begin(), mark.end(), 0.0f);
        for (std::int64_t i = 0; i < batch.sequences(); ++i)
            mark[static_cast<std::size_t>(batch.token_offsets()[static_cast<std::size_t>(i)] + marked)] = 1.0f;
    }
};
ROARS_FIELDS(MarkPosition, placebo)

/// A strategy is a prompt's own, and a step on it is one on the mean over the group; what carries it out is shared by
/// all prompts, and a step is one on the mean over all of them: so the first token counts `prompts` times.
struct OwnStrategy {
    double factor = double(prompts);

    template <class X>
    double operator()(const X& x) const {
        return x.position() == 0 ? factor : 1.0;
    }
};
ROARS_FIELDS(OwnStrategy, factor)

namespace {

using PlannedCredit =
    advantage::Times<advantage::Times<advantage::GroupMean, weight::SignedCredit<col::planning>>, OwnStrategy>;
using OnPositions = Algorithm<sampler::Then<sampler::Groups, MarkPosition>, reward::Verified, PlannedCredit,
                              regularizer::None, decltype(methods::Hicra::optimizer)>;

/// alpha = 0: GRPO without the spread.
Arm arm(std::string name, double alpha, bool placebo) {
    OnPositions method{.optimizer = methods::hicra.optimizer};
    method.sampler = {.first = {.prompts = prompts, .group_size = group}, .second = {placebo}};
    method.advantage.base.weight.alpha = alpha;
    auto plain = with_step(method, step::Sgd{.learning_rate = double(length)});  // the mean is over tokens, too
    return {std::move(name), [=](const Trial& trial) {
                auto scaled = plain;
                scaled.optimizer.step.learning_rate *= trial.rate;
                tasks::FactorisedTargets task({.prompts = prompts,
                                               .length = length - 1,
                                               .symbols = 3,
                                               .easy_prompts = prompts,
                                               .easy_logit = 2.5,
                                               .strategies = 24,
                                               .shared = true},
                                              trial.seed);
                train::TabularLearner<tasks::FactorisedTargets> learner(task);
                Numbers numbers;
                double sum = 0;
                train(scaled, learner, trial, [&](std::int64_t, const auto&) {
                    measure(numbers, learner, 0, prompts, 64);
                    sum += numbers.at("success");
                });
                numbers["mean success"] = sum / double(trial.updates);
                numbers["rollouts"] = double(learner.position.rollouts);
                return numbers;
            }};
}

}  // namespace

/// More credit and less blame for the token that plans: the plan is found sooner.
void add(std::vector<Experiment>& all) {
    Claim sooner{.says = "credit for the planning token makes learning faster",
                 .method = "HICRA",
                 .baseline = "GRPO",
                 .number = "mean success",
                 .expected = Expected::higher,
                 .least = 0.02};
    Claim end = sooner, placebo = sooner;
    end.says = "at the end both are equal: the gain is speed";
    end.number = "success";
    end.expected = Expected::same;
    end.least = 0.02;
    placebo.says = "the same credit for a token that does not plan gains less";
    placebo.baseline = "placebo";
    placebo.least = 0.02;
    all.push_back({.name = "hicra",
                   .paper = "2509.03646, HICRA",
                   .page = "hicra",
                   .setup =
                       "32 prompts; one of 24 strategies (2 valid in each prompt), then 8 tokens of 3 symbols that "
                       "all prompts share and that succeed 30 % of the time at first. Groups of 8, plain steps of "
                       "1, alpha 0.2, 150 updates. Measured: the mean over the run of the success.",
                   .updates = 150,
                   .rates = eight_rates,
                   .tuned_by = "mean success",
                   .arms = {arm("GRPO", 0, false), arm("HICRA", 0.2, false), arm("placebo", 0.2, true)},
                   .claims = {sooner, end, placebo},
                   .seeds = 10});
}

}  // namespace roars::claims::of_hicra
