#include "roars/methods/ruscarl.hpp"
#include "roars/tasks/rubrics.hpp"
#include "roars/train/with_criteria.hpp"
#include "training.hpp"

namespace roars::claims::of_ruscarl {
namespace {

/// Steps of 100 on the mean over tokens, then sequences: of 10 on the sum over an answer's ten tokens.
template <class Method>
Arm arm(std::string name, Method method) {
    method.sampler.prompts = 8;
    method.sampler.group_size = 8;
    method.regularizer.coefficient = 0;
    method.optimizer.minibatches = 1;
    auto plain = with_step(method, step::Sgd{.learning_rate = 100});
    return {std::move(name), [=](const Trial& trial) {
                auto scaled = plain;
                scaled.optimizer.step.learning_rate *= trial.rate;
                tasks::Rubrics task({}, trial.seed);
                train::WithCriteria<tasks::Rubrics> learner(task);
                return train_and_measure(scaled, learner, trial, {.also = {20, 40}});
            }};
}

}  // namespace

/// Criteria that some of a group are shown while they answer, measured on prompts that show none.
void add(std::vector<Experiment>& all) {
    using namespace sampler::scaffold;
    methods::Grpo grpo = methods::grpo;
    Claim over{.says = "answers that saw criteria teach to answer without them",
               .method = "RuscaRL",
               .baseline = "GRPO",
               .number = "success@40",
               .least = 0.4,
               .beside = "success"};
    Claim mixed = over;
    mixed.says = "and more so if not all of a group see all of them";
    mixed.baseline = "all shown to all";
    mixed.least = 0.2;
    all.push_back({.name = "ruscarl",
                   .paper = "2508.16949, RuscaRL",
                   .page = "ruscarl",
                   .setup = "12 prompts, each with ten criteria of 1 to 10 points that are met with 0.01 at first; one "
                            "that is shown has 4 more in the logit of its symbol. 8 prompts of 8 answers, plain steps, "
                            "200 batches; measured without a scaffold, behind 20, 40 and all.",
                   .updates = 200,
                   .arms = {arm("GRPO", grpo), arm("RuscaRL", methods::ruscarl),
                            arm("all shown to all", methods::Scaffolded<Lasting, Equal>{}),
                            arm("never fading", methods::Scaffolded<Lasting, Falling>{})},
                   .claims = {over, mixed}});
}

}  // namespace roars::claims::of_ruscarl
