#include "roars/methods/kdrl.hpp"
#include "roars/reward/combine.hpp"
#include "roars/train/with_teacher.hpp"
#include "training.hpp"

namespace roars::claims::of_kdrl {
namespace {

constexpr std::int64_t prompts = 64, answers = 64, taught = 48, group = 8;

/// Logits 0.5 * standard normal, and 5 for the right answer; in the last 16 prompts 5 for a wrong one, 4 for the right.
actor::Tabular<float> teacher_of(const tasks::BanditPrompts& task, std::uint64_t seed) {
    RandomStream noise{Random(seed, Purpose::user)};
    actor::Tabular<float> teacher(prompts, answers);
    for (std::int64_t prompt = 0; prompt < prompts; ++prompt) {
        auto logits = teacher.logits(prompt);
        for (float& logit : logits) logit = static_cast<float>(0.5 * noise.normal());
        const std::int32_t right = task.solution(prompt).front();
        const bool knows = prompt < taught;
        logits[static_cast<std::size_t>(right)] += knows ? 5.0f : 4.0f;
        if (!knows) logits[static_cast<std::size_t>((right + 1 + noise.below(answers - 1)) % answers)] += 5.0f;
    }
    return teacher;
}

template <class Method>
Arm arm(std::string name, Method method) {
    method.sampler = {.prompts = prompts, .group_size = group};
    auto plain = with_step(method, step::Sgd{.learning_rate = double(prompts)});
    return {std::move(name), [=](const Trial& trial) {
                auto scaled = plain;
                scaled.optimizer.step.learning_rate *= trial.rate;
                tasks::BanditPrompts task({.prompts = prompts, .answers = answers, .spread = 0.3}, trial.seed);
                train::WithTeacher<BanditLearner> learner(task);
                learner.set_teacher(teacher_of(task, trial.seed));
                return train_and_measure(scaled, learner, trial, {.also = {30, 60}});
            }};
}

/// Distillation alone: the reward counts nothing.
using Distilled = Algorithm<sampler::Groups, reward::Scale<reward::Verified>, advantage::GroupZScore,
                            methods::TeacherKl, decltype(methods::ConstantKdrl::optimizer)>;
using TeacherK3 = regularizer::Kl<kl::ExactK3, col::logp_teacher>;

}  // namespace

/// A teacher first, a verifier later: sooner than the verifier alone, further than the teacher.
void add(std::vector<Experiment>& all) {
    methods::Kdrl annealed = methods::kdrl;
    annealed.regularizer.base.coefficient = 0.5;
    annealed.regularizer.schedule = {.decay = 0.005, .least = 0.02};
    methods::Kdrl reward_alone = annealed;
    reward_alone.regularizer.base.coefficient = 0;
    reward_alone.regularizer.schedule = {.decay = 0, .least = 0};
    methods::ConstantKdrl constant = methods::kdrl_constant;
    constant.regularizer.coefficient = 0.5;
    methods::DistilledReinforcement<TeacherK3> third{.regularizer = {.coefficient = 0.5}};
    Distilled distilled{.reward = {.factor = 0}, .regularizer = {.coefficient = 1}};
    Claim sooner{.says = "the teacher makes the beginning faster: after 30 updates",
                 .method = "KDRL",
                 .baseline = "GRPO",
                 .number = "success@30",
                 .expected = Expected::higher,
                 .least = 0.2};
    Claim further = sooner, end = sooner, estimator = sooner;
    further.says = "the verifier leads beyond the teacher";
    further.baseline = "distillation";
    further.number = "success";
    further.least = 0.3;
    end.says = "what decays costs nothing at the end";
    end.number = "success";
    end.expected = Expected::same;
    end.least = 0.01;
    estimator = further;
    estimator.says = "under a constant pull k2 is better than k3";
    estimator.method = "constant, k2";
    estimator.baseline = "constant, k3";
    estimator.least = 0.05;
    all.push_back({.name = "kdrl",
                   .paper = "2506.02208, KDRL",
                   .page = "kdrl",
                   .setup =
                       "64 prompts of 64 answers; the teacher is sure of the right one on 48 and of a wrong one on "
                       "16. Groups of 8, plain steps of 1, 200 updates.",
                   .updates = 200,
                   .rates = eight_rates,
                   .tuned_by = "success@30",
                   .arms = {arm("GRPO", reward_alone), arm("distillation", distilled), arm("KDRL", annealed),
                            arm("constant, k2", constant), arm("constant, k3", third)},
                   .claims = {sooner, further, end, estimator}});
}

}  // namespace roars::claims::of_kdrl
