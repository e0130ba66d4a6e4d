#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "claim.hpp"
#include "roars/methods/grpo.hpp"
#include "roars/optimizer/preference/preference.hpp"
#include "roars/optimizer/step/sgd.hpp"
#include "roars/tasks/bandit_prompts.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::claims {

template <class Surrogate, class Aggregate, class Old, class Step>
auto with_step(const optimizer::PolicyGradient<Surrogate, Aggregate, Old>& from, const Step& step) {
    return optimizer::PolicyGradient<Surrogate, Aggregate, Step>{from.surrogate, from.aggregate, step, from.epochs,
                                                                 from.minibatches};
}
template <class Surrogate, class Old, class Step>
auto with_step(const optimizer::Preference<Surrogate, Old>& from, const Step& step) {
    return optimizer::Preference<Surrogate, Step>{from.surrogate, step, from.epochs, from.minibatches};
}
/// A method with another step rule: the small experiments take plain steps on a table of logits.
template <class S, class R, class A, class G, class O, class Step>
auto with_step(const Algorithm<S, R, A, G, O>& method, const Step& step) {
    auto optimizer = with_step(method.optimizer, step);
    return Algorithm<S, R, A, G, decltype(optimizer)>{method.sampler, method.reward, method.advantage,
                                                      method.regularizer, optimizer};
}
template <class Method, class Step = step::Sgd>
using WithStep = decltype(with_step(std::declval<const Method&>(), std::declval<const Step&>()));

/// Trains for trial.updates iterations; watch(iterations so far, what the last one measured) is called behind each, or
/// watch(iterations so far, its batch).
template <class Method, class Learner, class Watch>
void train(const Method& method, Learner& learner, const Trial& trial, Watch&& watch) {
    learner.set_reference();
    train::Trainer<Method, Learner> trainer(method, learner);
    backend::Host host;
    for (std::int64_t i = 0; i < trial.updates; ++i) {
        stop_if_interrupted();
        Run run{host, Random(trial.seed).at(static_cast<std::uint32_t>(i)), Progress{i, trial.updates}};
        const train::Record record = trainer.iterate(run);
        if constexpr (std::is_invocable_v<Watch&, std::int64_t, decltype(trainer.batch())>)
            watch(i + 1, trainer.batch());
        else
            watch(i + 1, record);
    }
}

/// The exact score of the policy over prompts [first, last), under the names that claims use; `when` goes behind them.
template <class Learner>
void measure(Numbers& numbers, Learner& learner, std::int64_t first, std::int64_t last, std::int64_t samples,
             const std::string& when = "") {
    auto score = tasks::mean_exact_score(learner.task(), learner.policy().logits(), samples, first, last);
    numbers["success" + when] = score.success;
    numbers["pass" + when] = score.pass;
    numbers["coverage" + when] = score.coverage;
    numbers["entropy" + when] = score.entropy;
    numbers["length" + when] = score.length;
    numbers["unfinished" + when] = score.truncated;
}

/// On which prompts a policy is measured, with how many samples for pass@k and coverage, and, beside the end, behind
/// which updates: those numbers are named "success@20".
struct Measured {
    std::int64_t first = 0, last = -1;
    std::int64_t samples = 64;
    std::vector<std::int64_t> also{};
};

/// Trains a policy of its own from the task's start logits, and measures it. "own reward" is the mean of what the arm
/// itself is trained for, over the last tenth of the run.
template <class Method, class Learner>
Numbers train_and_measure(const Method& method, Learner& learner, const Trial& trial, const Measured& measured) {
    Numbers numbers;
    auto look = [&](const std::string& when) {
        measure(numbers, learner, measured.first, measured.last, measured.samples, when);
    };
    double reward = 0;  // of the last tenth of the run
    const std::int64_t last = (trial.updates + 9) / 10;
    train(method, learner, trial, [&](std::int64_t updates, const train::Record& record) {
        for (std::int64_t each : measured.also)
            if (each == updates) look("@" + std::to_string(each));
        for (const auto& [name, value] : record)
            if (name == "reward" && updates > trial.updates - last) reward += value / double(last);
    });
    look("");
    numbers["own reward"] = reward;
    numbers["rollouts"] = double(learner.position.rollouts);
    return numbers;
}

/// GRPO without a pull to its start, by plain steps: the baseline of most claims on bandit prompts. Compiled once.
using PlainGrpo = WithStep<methods::Grpo>;
inline PlainGrpo plain_grpo(std::int64_t prompts, std::int64_t group_size, double learning_rate) {
    methods::Grpo method = methods::grpo;
    method.sampler = {.prompts = prompts, .group_size = group_size};
    method.regularizer.coefficient = 0;
    return with_step(method, step::Sgd{.learning_rate = learning_rate});
}
using BanditLearner = train::TabularLearner<tasks::BanditPrompts>;
extern template Numbers train_and_measure(const PlainGrpo&, BanditLearner&, const Trial&, const Measured&);

/// An arm on bandit prompts, whose seed draws the task too. The method's learning rate is multiplied with the trial's.
template <class Method>
Arm bandit_arm(std::string name, const Method& method, const tasks::BanditSettings& settings,
               const Measured& measured) {
    return {std::move(name), [=](const Trial& trial) {
                Method scaled = method;
                scaled.optimizer.step.learning_rate *= trial.rate;
                tasks::BanditPrompts task(settings, trial.seed);
                BanditLearner learner(task);
                return train_and_measure(scaled, learner, trial, measured);
            }};
}

}  // namespace roars::claims
