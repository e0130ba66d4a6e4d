#include "roars/methods/relift.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "roars/methods/grpo.hpp"
#include "roars/metrics/difficulty.hpp"
#include "roars/reflect.hpp"
#include "roars/tasks/solution_steps.hpp"
#include "roars/train/checkpoint.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/trainer_of.hpp"

namespace roars::relift_test {
namespace {

using List = std::vector<std::int64_t>;
using Waiting = sampler::WaitingPrompts;

/// Prompts have demonstrations unless they are listed here.
struct Source {
    std::set<std::int64_t> without{};
    List shown{};
    bool has_demonstration(std::int64_t prompt) const { return !without.contains(prompt); }
    template <class RunType, class BatchType>
    void demonstrate(RunType&, BatchType& batch, std::span<const std::int64_t> prompts) {
        shown.assign(prompts.begin(), prompts.end());
        batch = BatchType(List(prompts.size() + 1, 0));
    }
};
using Seen = Batch<float, columns<col::groups, col::reward, col::prompt>>;

/// One group a prompt, with these rewards.
Seen step_of(const std::vector<std::pair<std::int64_t, std::vector<float>>>& prompts) {
    List groups{0};
    for (const auto& [prompt, rewards] : prompts) groups.push_back(groups.back() + std::ssize(rewards));
    Seen batch(List(std::size_t(groups.back()) + 1, 0), groups);
    std::size_t i = 0;
    for (const auto& [prompt, rewards] : prompts)
        for (float reward : rewards) {
            batch[col::prompt{}][i] = static_cast<std::int32_t>(prompt);
            batch[col::reward{}][i++] = reward;
        }
    return batch;
}

struct HardestPrompts : testing::Test {
    backend::Host host;
    roars::Run<backend::Host> run{host};
    Waiting state;
    Source source;
    sampler::HardestPrompts part{.batch_size = 2};

    void watch(const Seen& batch) { part.watch(run, state, source, batch); }
    List take() {
        Seen batch;
        int scored = 0;
        part.collect(run, state, source, batch, [&](Seen&) { ++scored; });
        EXPECT_EQ(scored, 1);
        EXPECT_EQ(batch.sequences(), std::ssize(source.shown));
        return source.shown;
    }
};

TEST_F(HardestPrompts, NothingWaitsBeforeTheFirstEntry) {
    EXPECT_FALSE(part.due(state));
    watch(step_of({{3, {0, 1}}, {4, {1, 1}}, {5, {}}}));
    EXPECT_TRUE(state.prompts.empty()) << "solved, or never tried";
    EXPECT_FALSE(part.due(state));
}

TEST_F(HardestPrompts, TheNewestStepStandsInFrontInItsOrder) {
    watch(step_of({{3, {0, 0}}, {4, {1, 0}}, {5, {0, 0}}, {6, {0, 0}}}));
    EXPECT_EQ(state.prompts, (List{3, 5, 6}));
    EXPECT_TRUE(part.due(state));
    EXPECT_EQ(take(), (List{3, 5})) << "one batch, the rest waits";
    EXPECT_EQ(state.prompts, (List{6}));
    watch(step_of({{9, {0, 0}}, {8, {0, 0}}}));
    EXPECT_EQ(state.prompts, (List{9, 8, 6}));
    EXPECT_EQ(state.demonstrations, 2);
}

TEST_F(HardestPrompts, NobodyWaitsTwice) {
    watch(step_of({{3, {0}}, {3, {0}}}));
    watch(step_of({{3, {0}}}));
    EXPECT_EQ(state.prompts, (List{3}));
    watch(step_of({{3, {1}}, {4, {0}}}));
    EXPECT_EQ(state.prompts, (List{4, 3})) << "solved meanwhile: it is used all the same";
    EXPECT_EQ(take(), (List{4, 3}));
    watch(step_of({{3, {0}}}));
    EXPECT_EQ(state.prompts, (List{3})) << "it has left, and may come again";
}

TEST_F(HardestPrompts, WithoutARightDemonstrationNoneWaits) {
    source.without = {3};
    watch(step_of({{3, {0, 0}}, {4, {0, 0}}}));
    EXPECT_EQ(state.prompts, (List{4}));
}

TEST_F(HardestPrompts, FailingMayCostMoreThanNothing) {
    part.fail_value = -0.1;
    watch(step_of({{3, {0, 0}}, {4, {-0.1f, -0.1f}}, {5, {-0.1f, 0}}}));
    EXPECT_EQ(state.prompts, (List{4})) << "compared as the batch's numbers are";
}

TEST_F(HardestPrompts, ABatchOfNoneIsRefused) {
    part.batch_size = 0;
    EXPECT_THROW(watch(step_of({{3, {0}}})), Error);
}

using Learnt =
    Batch<double, columns<col::mask, col::logp, col::entropy, col::grad<col::logp>, col::grad<col::entropy>>>;

/// Demonstrations of 2, 0 and 1 tokens.
TEST(Relift, EachDemonstrationCountsTheSameAndAnEmptyOneAddsNothing) {
    Learnt batch(List{0, 2, 2, 3});
    for (std::size_t t = 0; t < 3; ++t) {
        batch[col::mask{}][t] = 1;
        batch[col::logp{}][t] = -1.0 - double(t);
        batch[col::entropy{}][t] = 0.5;
    }
    backend::Host host;
    const auto& side = methods::relift.side;
    Weighed likelihood{side.optimizer.surrogate, side.optimizer.aggregate};
    Weighed bonus{regularizer::EntropyBonus{0.1}, side.optimizer.aggregate};
    const Counts counts = count(host, batch);
    const double loss = evaluate(host, batch, {counts, counts}, likelihood, bonus).loss();
    EXPECT_NEAR(loss, (1.5 + 3.0) / 3 - 0.1 * (0.5 + 0.5) / 3, 1e-15);
    const double weight[]{1.0 / 6, 1.0 / 6, 1.0 / 3};
    for (std::size_t t = 0; t < 3; ++t) {
        EXPECT_NEAR(batch[col::grad<col::logp>{}][t], -weight[t], 1e-15);
        EXPECT_NEAR(batch[col::grad<col::entropy>{}][t], -0.1 * weight[t], 1e-15);
    }
}

using Task = tasks::SolutionSteps;
using Learner = train::TabularLearner<Task>;
using Both = train::TrainerOf<methods::Relift, Learner>;
using Main = methods::Relift::MainAlgorithm;

const tasks::SolutionStepsSettings half_hard{
    .prompts = 8, .length = 3, .rows = 0, .tokens = 5, .right = 0.7, .hard_prompts = 4, .hard = 1e-5};
methods::Relift small() {
    methods::Relift method = methods::relift;
    method.main.sampler = {.prompts = 4, .group_size = 6};
    method.side.sampler.batch_size = 3;
    method.main.optimizer.step = step::recipe({.learning_rate = 0.05, .weight_decay = 0});
    method.side.optimizer.step = step::recipe({.learning_rate = 0.2, .weight_decay = 0});
    return method;
}
template <class Trainer>
train::Record iterate(Trainer& trainer, std::int64_t k) {
    backend::Host host;
    roars::Run run{host, Random(7).at(std::uint32_t(k)), Progress{k, 100}};
    return trainer.iterate(run);
}
std::vector<float> values(Learner& learner) {
    return {learner.parameters().values().begin(), learner.parameters().values().end()};
}

TEST(Interleaved, WithoutAHardestPromptItIsItsMainAlgorithm) {
    Task task(half_hard);
    Learner one(task), other(task);
    methods::Relift method = small();
    method.side.sampler.fail_value = -1;
    Both both(method, one);
    train::Trainer<Main, Learner> alone(method.main, other);
    for (std::int64_t k = 0; k < 5; ++k) {
        iterate(both, k);
        iterate(alone, k);
    }
    EXPECT_EQ(both.position.side_iterations, 0);
    EXPECT_EQ(values(one), values(other));
}

TEST(Interleaved, TheSecondOneStepsWhenItIsDueWithMomentsOfItsOwn) {
    Task task(half_hard);
    Learner learner(task);
    Both trainer(small(), learner);
    std::int64_t before = 0;
    for (std::int64_t k = 0; k < 6; ++k) {
        const train::Record record = iterate(trainer, k);
        const std::int64_t now = trainer.position.side_iterations;
        EXPECT_LE(now - before, 1) << "once an iteration at most";
        EXPECT_EQ(record.back().first, now > before ? "side_loss" : "side");
        before = now;
    }
    EXPECT_GT(before, 0);
    EXPECT_LT(before, 6);
    EXPECT_EQ(trainer.side().state.sampler.demonstrations, 3 * before);
    auto steps = [](const auto& state) { return to_json(state.optimizer).dump(); };
    EXPECT_NE(steps(trainer.main().state), steps(trainer.side().state));
}

TEST(Interleaved, GoesOnFromACheckpoint) {
    Task task(half_hard);
    Learner whole(task), resumed(task);
    Both first(small(), whole), second(small(), resumed);
    Tensors file;
    for (std::int64_t k = 0; k < 7; ++k) {
        if (k == 3) {
            EXPECT_FALSE(first.side().state.sampler.prompts.empty()) << "some wait";
            whole.write(file);
            train::write_state(file, whole.position, "position");
            first.for_each_state([&](const std::string& name, auto& state) { train::write_state(file, state, name); });
        }
        iterate(first, k);
    }
    resumed.read(file);
    train::read_state(file, resumed.position, "position");
    second.for_each_state([&](const std::string& name, auto& state) { train::read_state(file, state, name); });
    for (std::int64_t k = 3; k < 7; ++k) iterate(second, k);
    EXPECT_EQ(values(resumed), values(whole));
    EXPECT_EQ(second.position.side_iterations, first.position.side_iterations);
}

TEST(Interleaved, HasTheSettingsOfBoth) {
    methods::Relift method = small();
    EXPECT_TRUE(set_setting(method, "side.sampler.batch_size", "9"));
    EXPECT_TRUE(set_setting(method, "main.sampler.prompts", "7"));
    EXPECT_EQ(method.side.sampler.batch_size, 9);
    EXPECT_EQ(method.main.sampler.prompts, 7);
    static_assert(Composed<methods::Relift> && !Composed<methods::Grpo> && !is_staged<methods::Relift>);
    int algorithms = 0;
    for_each_algorithm(method, [&](auto&) { ++algorithms; });
    EXPECT_EQ(algorithms, 2);
    static_assert(train::draws_from<methods::Relift, Learner>);
}

/// What no rollout solves is learnt from a few demonstrations, and from nothing else.
TEST(Relift, LearnsWhatNoRolloutSolves) {
    auto trained = [](std::int64_t batch_size) {
        Task task(half_hard);
        Learner learner(task);
        methods::Relift method = small();
        method.side.sampler.batch_size = batch_size;
        Both trainer(method, learner);
        for (std::int64_t k = 0; k < 120; ++k) iterate(trainer, k);
        return tasks::mean_exact_score(task, learner.policy().logits(), 64, 0, 4).success;
    };
    EXPECT_GT(trained(3), 0.7);
    EXPECT_LT(trained(1000), 0.05);
}

TEST(Difficulty, HasFourClasses) {
    using metrics::Difficulty;
    const Difficulty expected[]{Difficulty::hardest, Difficulty::hard,   Difficulty::hard,
                                Difficulty::medium,  Difficulty::medium, Difficulty::medium,
                                Difficulty::easy,    Difficulty::easy,   Difficulty::easy};
    for (std::int64_t right = 0; right <= 8; ++right)
        EXPECT_EQ(metrics::difficulty(right, 8), expected[right]) << right;
    EXPECT_EQ(metrics::difficulty(1, 1), Difficulty::easy);
    EXPECT_THROW(metrics::difficulty(0, 0), Error);
    EXPECT_THROW(metrics::difficulty(3, 2), Error);
    const List before{0, 8, 3}, after{8, 0, 3};
    const auto moves = metrics::difficulty_moves(before, after, 8);
    EXPECT_EQ(moves[0][3] + moves[3][0] + moves[2][2], 3);
    EXPECT_THROW(metrics::difficulty_moves(before, List{1}, 8), Error);
}

}  // namespace
}  // namespace roars::relift_test
