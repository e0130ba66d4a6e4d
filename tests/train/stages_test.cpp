#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "roars/methods/grpo.hpp"
#include "roars/methods/supervised.hpp"
#include "roars/tasks/bandit_prompts.hpp"
#include "roars/train/checkpoint.hpp"
#include "roars/train/staged_trainer.hpp"
#include "roars/train/tabular_learner.hpp"

namespace roars::stages_test {
namespace {

using methods::Grpo;
using methods::SupervisedLikelihood;
using Task = tasks::BanditPrompts;
using Learner = train::TabularLearner<Task>;
using WarmStart = Stages<Stage<SupervisedLikelihood>, Stage<Grpo, take::Reference>>;
using SameState = Stages<Stage<Grpo>, Stage<Grpo, take::Sampler, take::Optimizer>>;

Grpo small_grpo() {
    Grpo grpo = methods::grpo;
    grpo.sampler.prompts = 4;
    grpo.sampler.group_size = 4;
    return grpo;
}
SupervisedLikelihood small_supervised() {
    SupervisedLikelihood supervised = methods::supervised;
    supervised.sampler.batch_size = 8;
    return supervised;
}
WarmStart warm_start(std::int64_t first, std::int64_t second) {
    return {Stage<SupervisedLikelihood>{small_supervised(), first}, Stage<Grpo, take::Reference>{small_grpo(), second}};
}
Task task() { return Task({.prompts = 4, .answers = 5}, 1); }

template <class Trainer>
train::Record iterate(Trainer& trainer, std::int64_t iteration, std::int64_t total = 10) {
    backend::Host host;
    roars::Run run{host, Random(7), Progress{iteration, total}};
    return trainer.iterate(run);
}
std::vector<float> values(Learner& learner) {
    return {learner.parameters().values().begin(), learner.parameters().values().end()};
}

TEST(Stages, EveryIterationHasItsPlace) {
    auto stages = warm_start(3, 2);
    EXPECT_EQ(stages.iterations(), 5);
    EXPECT_EQ(stages.at(2).stage, 0u);
    EXPECT_EQ(stages.at(3).stage, 1u);
    EXPECT_EQ(stages.at(3).iteration, 0);
    EXPECT_EQ(stages.at(9).stage, 1u) << "behind the end the last stage goes on";
    EXPECT_EQ(stages.at(9).iteration, 6);
    EXPECT_EQ(warm_start(0, 2).at(0).stage, 1u);
}

TEST(Stages, AStageAloneIsWhatATrainerDoes) {
    Task one = task(), other = task();
    Learner staged(one), plain(other);
    train::StagedTrainer<WarmStart, Learner> stages(warm_start(5, 5), staged);
    train::Trainer<SupervisedLikelihood, Learner> trainer(small_supervised(), plain);
    for (std::int64_t k = 0; k < 5; ++k) {
        iterate(stages, k);
        iterate(trainer, k, 5);
    }
    EXPECT_EQ(values(staged), values(plain));
}

TEST(Stages, ThePolicyGoesOnAndBecomesTheReference) {
    Task one = task();
    Learner learner(one);
    learner.set_reference();
    train::StagedTrainer<WarmStart, Learner> stages(warm_start(5, 5), learner);
    for (std::int64_t k = 0; k < 5; ++k) EXPECT_EQ(iterate(stages, k).back().second, 0.0);
    auto before = values(learner);
    auto record = iterate(stages, 5);
    EXPECT_EQ(stages.position.stage, 1);
    EXPECT_EQ(record.back(), (std::pair<std::string, double>{"stage", 1.0}));
    double divergence = 1.0;
    for (const auto& [name, value] : record)
        if (name == "kl_loss") divergence = value;
    EXPECT_EQ(divergence, 0.0) << "the reference is the policy that stage 0 left";
    EXPECT_NE(values(learner), before);
}

TEST(Stages, WhatIsTakenOverGoesOnAndTheRestBeginsAnew) {
    Task one = task();
    Learner learner(one);
    SameState stages{Stage<Grpo>{small_grpo(), 3}, Stage<Grpo, take::Sampler, take::Optimizer>{small_grpo(), 3}};
    train::StagedTrainer<SameState, Learner> kept(stages, learner);
    for (std::int64_t k = 0; k < 4; ++k) iterate(kept, k);
    auto steps = [](const auto& state) { return to_json(state.optimizer); };
    EXPECT_NE(steps(kept.state_of<1>()), steps(kept.state_of<0>())) << "a step further";
    auto taken = Stage<Grpo, take::Optimizer>::begin(kept.state_of<0>());
    EXPECT_EQ(steps(taken), steps(kept.state_of<0>()));
    EXPECT_EQ(steps(Stage<Grpo>::begin(kept.state_of<0>())), steps(Grpo::State{}));
}

TEST(Stages, AStageOfNoIterationsStillHandsOver) {
    using Three = Stages<Stage<Grpo>, Stage<Grpo, take::Optimizer>, Stage<Grpo, take::Optimizer>>;
    Task one = task();
    Learner learner(one);
    Three stages{Stage<Grpo>{small_grpo(), 2}, Stage<Grpo, take::Optimizer>{small_grpo(), 0},
                 Stage<Grpo, take::Optimizer>{small_grpo(), 2}};
    train::StagedTrainer<Three, Learner> trainer(stages, learner);
    for (std::int64_t k = 0; k < 2; ++k) iterate(trainer, k);
    auto after_first = to_json(trainer.state_of<0>().optimizer);
    iterate(trainer, 2);
    EXPECT_EQ(trainer.position.stage, 2);
    EXPECT_EQ(to_json(trainer.state_of<1>().optimizer), after_first);
}

TEST(Stages, GoesOnFromACheckpoint) {
    Task one = task(), other = task();
    Learner whole(one), resumed(other);
    train::StagedTrainer<WarmStart, Learner> first(warm_start(3, 5), whole);
    Tensors file;
    for (std::int64_t k = 0; k < 6; ++k) {
        if (k == 4) {
            whole.write(file);
            first.for_each_state([&](const std::string& name, auto& state) { train::write_state(file, state, name); });
        }
        iterate(first, k);
    }
    train::StagedTrainer<WarmStart, Learner> second(warm_start(3, 5), resumed);
    resumed.read(file);
    second.for_each_state([&](const std::string& name, auto& state) { train::read_state(file, state, name); });
    resumed.position = {3 * 8 + 4, 16};  // three batches of demonstrations, one of answers
    for (std::int64_t k = 4; k < 6; ++k) iterate(second, k);
    EXPECT_EQ(values(resumed), values(whole));
}

/// What a sampler draws is a function of the iteration in every stage, as under a Trainer.
TEST(Stages, AStageKeepsThePlaceOfItsRandomNumbers) {
    Random random = Random(7).at(3).of(Purpose::resample);
    EXPECT_EQ(random.under(7).uniform(1, 2), random.uniform(1, 2));
    EXPECT_NE(random.under(8).uniform(1, 2), random.uniform(1, 2));
    EXPECT_NE(random.under(8).uniform(1, 2), random.at(4).under(8).uniform(1, 2)) << "another iteration";
}

TEST(Stages, AreSettingsLikeAnyOther) {
    auto stages = warm_start(3, 2);
    EXPECT_TRUE(set_setting(stages, "stage.iterations", "7"));
    EXPECT_TRUE(set_setting(stages, "stage_2.algorithm.sampler.group_size", "6"));
    EXPECT_EQ(stages.iterations(), 9);
    static_assert(std::is_trivially_copyable_v<WarmStart>);
    static_assert(is_staged<WarmStart> && !is_staged<Grpo>);
    std::int64_t sizes = 0;
    for_each_algorithm(stages, [&](auto& algorithm) {
        if constexpr (requires { algorithm.sampler.group_size; }) sizes += algorithm.sampler.group_size;
    });
    EXPECT_EQ(sizes, 6);
}

}  // namespace
}  // namespace roars::stages_test
