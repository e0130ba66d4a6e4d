#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/methods/grpo.hpp"
#include "roars/methods/ppo.hpp"
#include "roars/methods/rloo.hpp"
#include "roars/methods/supervised.hpp"
#include "roars/regularizer/sum.hpp"
#include "roars/reward/over_turns.hpp"
#include "roars/tasks/bandit_prompts.hpp"
#include "roars/tasks/chain.hpp"
#include "roars/tasks/factorised_targets.hpp"
#include "roars/tasks/stop_time.hpp"
#include "roars/train/checkpoint.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::train_tabular_test {
namespace {

using train::TabularLearner;

/// Without a value head a table does not serve PPO.
using OfTable = TabularLearner<tasks::Chain>::gives;
static_assert(within_v<methods::Grpo::Inputs, OfTable> && !within_v<methods::Ppo::Inputs, OfTable>);
static_assert(within_v<methods::Ppo::Inputs, TabularLearner<tasks::Chain, float, true>::gives>);

template <class A, class Learner>
using BatchOf = Batch<typename Learner::Real, unite_t<typename A::Columns, typename Learner::keeps>>;

/// What a trainer does before the first step.
template <class A, class Learner>
BatchOf<A, Learner> collected(const A& algorithm, Run<backend::Host>& run, typename A::State& state, Learner& learner) {
    BatchOf<A, Learner> batch;
    algorithm.sampler.collect(run, state.sampler, learner, batch,
                              [&](auto& drawn) { algorithm.score(run, state, drawn); });
    learner.refresh(run, batch);
    algorithm.estimate(run, state, batch);
    return batch;
}

/// Clip, a divergence from the reference and an entropy bonus: every way in which a logit enters a loss.
using Clipped = Algorithm<sampler::Groups, reward::Verified, advantage::GroupZScore,
                          regularizer::Sum<regularizer::Kl<kl::K3>, regularizer::EntropyBonus>,
                          optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::AdamW>>;

template <bool value_head, class A>
void gradient_is_the_finite_difference(A algorithm) {
    tasks::StopTime task({.classes = 2, .limit = 4, .start_logit = -1, .first_difficulty = 2, .difficulty_step = 1});
    TabularLearner<tasks::StopTime, double, value_head> learner(task);
    backend::Host host;
    roars::Run run{host, Random(3)};
    algorithm.sampler = {.prompts = 4, .group_size = 6, .generation = {.temperature = 0.8}};
    typename A::State state;
    RandomStream noise{Random(4)};
    for (double& value : learner.parameters().values().last(learner.policy().values().size())) value = noise.normal();
    auto batch = collected(algorithm, run, state, learner);
    // Away from the policy that drew: ratios on both sides of the clips, a divergence above 0.
    for (double& parameter : learner.parameters().values()) parameter += 0.3 * noise.normal();
    learner.parameters().zero_gradients();
    auto loss = [&] { return learner.accumulate(algorithm, run, state, batch).loss(); };
    loss();
    auto gradients = learner.parameters().gradients();
    std::vector<double> analytic(gradients.begin(), gradients.end());
    for (std::size_t i = 0; i < analytic.size(); ++i) {
        double& parameter = learner.parameters().values()[i];
        const double kept = parameter, h = 1e-6;
        parameter = kept + h;
        double above = loss();
        parameter = kept - h;
        double below = loss();
        parameter = kept;
        EXPECT_NEAR(analytic[i], (above - below) / (2 * h), 1e-8) << "parameter " << i;
    }
}

TEST(TabularLearner, GradientIsTheFiniteDifferenceOfTheLoss) {
    gradient_is_the_finite_difference<false>(Clipped{});
    gradient_is_the_finite_difference<true>(methods::ppo);
}

/// The values of PPO's critic become the chance of success.
TEST(TabularLearner, ACriticLearnsTheValueOfEachRow) {
    tasks::BanditPrompts task({.prompts = 2, .answers = 4, .right = 1, .easy_prompts = 1, .easy_logit = 2});
    TabularLearner<tasks::BanditPrompts, float, true> learner(task);
    auto algorithm = methods::ppo;
    algorithm.sampler = {.prompts = 2, .group_size = 64};
    algorithm.regularizer.coefficient = 0;
    algorithm.optimizer.surrogate = {.low = 0, .high = 0};
    algorithm.advantage.base.critic = {.coefficient = 1, .clip = 10};
    algorithm.optimizer.step.base.base.learning_rate = 0.01;
    train::Trainer trainer(algorithm, learner);
    backend::Host host;
    for (int i = 0; i < 100; ++i) {
        roars::Run run{host, Random(5).at(std::uint32_t(i)), Progress{i, 100}};
        trainer.iterate(run);
    }
    for (std::int64_t prompt : {0, 1}) {
        double success = 0;
        std::vector<float> probability(4);
        learner.policy().probabilities(prompt, probability);
        for (std::int64_t a = 0; a < 4; ++a)
            if (task.is_right(prompt, a)) success += double(probability[std::size_t(a)]);
        EXPECT_NEAR(learner.policy().values()[std::size_t(prompt)], success, 0.06) << "prompt " << prompt;
    }
}

TEST(TabularLearner, PairsAreFlippedAsOftenAsAsked) {
    tasks::BanditPrompts task({.prompts = 4, .answers = 6, .right = 2});
    TabularLearner learner(task, train::TabularSettings{.flipped_pairs = 0.1});
    backend::Host host;
    roars::Run run{host, Random(7)};
    Batch<float, columns<col::groups, col::token, col::mask, col::prompt, col::chosen>> batch;
    learner.preference_pairs(run, batch, 2000);
    double flipped = 0;
    for (std::size_t i = 0; i < std::size_t(batch.sequences()); i += 2)
        flipped += !task.is_right(batch[col::prompt{}][i], batch[col::token{}][i]);
    EXPECT_NEAR(flipped / double(batch.groups()), 0.1, 5 * std::sqrt(0.09 / 2000));
    EXPECT_THROW(TabularLearner(task, train::TabularSettings{.flipped_pairs = 1.5}), Error);
}

/// Leave-one-out is unbiased, so the mean of its gradients must be -d (exact success) / d logits: sampler, task, actor
/// and formula at once, within five standard errors of 400 batches.
template <class Task>
void mean_gradient_is_that_of_the_exact_success(const Task& task) {
    TabularLearner<Task, double> learner(task);
    backend::Host host;
    methods::Rloo algorithm = methods::rloo;
    algorithm.sampler = {.prompts = task.prompts(), .group_size = 16};
    methods::Rloo::State state;
    const auto size = static_cast<std::size_t>(learner.parameters().size());
    std::vector<double> sum(size), squares(size);
    constexpr int batches = 400;
    for (int k = 0; k < batches; ++k) {
        roars::Run run{host, Random(11)};
        auto batch = collected(algorithm, run, state, learner);
        learner.parameters().zero_gradients();
        learner.accumulate(algorithm, run, state, batch);
        for (std::size_t i = 0; i < size; ++i) {
            double g = learner.parameters().gradients()[i];
            sum[i] += g;
            squares[i] += g * g;
        }
    }
    auto values = learner.parameters().values();
    std::vector<double> logits(values.begin(), values.end());
    auto success = [&] { return tasks::mean_exact_score(task, std::span<const double>(logits)).success; };
    for (std::size_t i = 0; i < size; ++i) {
        const double kept = logits[i], h = 1e-5;
        logits[i] = kept + h;
        double above = success();
        logits[i] = kept - h;
        double below = success();
        logits[i] = kept;
        double mean = sum[i] / batches, variance = squares[i] / batches - mean * mean;
        EXPECT_NEAR(mean, -(above - below) / (2 * h), 5 * std::sqrt(variance / batches) + 1e-9) << "logit " << i;
    }
}

TEST(TabularLearner, MeanGradientIsThatOfTheExactSuccess) {
    mean_gradient_is_that_of_the_exact_success(tasks::BanditPrompts({.prompts = 2, .answers = 3, .spread = 1}, 5));
    mean_gradient_is_that_of_the_exact_success(tasks::Chain({.steps = 2, .places = 3, .actions = 2}, 5));
    mean_gradient_is_that_of_the_exact_success(tasks::FactorisedTargets(
        {.prompts = 2, .length = 2, .symbols = 2, .easy_prompts = 1, .strategies = 3, .valid_strategies = 1}, 5));
    mean_gradient_is_that_of_the_exact_success(
        tasks::StopTime({.classes = 2, .limit = 3, .start_logit = -1, .first_difficulty = 2, .difficulty_step = 1}));
}

/// Frequencies of what was drawn against the exact score: success, length, answers that were cut.
template <class Task>
void sampled_is_exact(const Task& task) {
    TabularLearner<Task> learner(task);
    backend::Host host;
    roars::Run run{host, Random(21)};
    using Columns = columns<col::groups, col::token, col::mask, col::prompt, col::logp, col::outcome, col::truncated,
                            col::logp_behaviour>;
    Batch<float, Columns> batch;
    const std::int64_t copies = 4000;
    learner.roll_out(run, batch, task.prompts(), copies, Generation{});
    auto exact = learner.evaluate(run);
    double n = double(batch.sequences()), success = 0, truncated = 0, length = 0, squares = 0, surprise = 0,
           surprises = 0;
    for (std::size_t i = 0; i < std::size_t(batch.sequences()); ++i) {
        success += batch[col::outcome{}][i];
        truncated += batch[col::truncated{}][i];
        double tokens = double(batch.token_offsets()[i + 1] - batch.token_offsets()[i]), logp = 0;
        for (std::int64_t t = batch.token_offsets()[i]; t < batch.token_offsets()[i + 1]; ++t)
            logp += batch[col::logp_behaviour{}][std::size_t(t)];
        length += tokens;
        squares += tokens * tokens;
        surprise -= logp;
        surprises += logp * logp;
    }
    auto near = [&](double mean, double expected, double variance) {
        EXPECT_NEAR(mean, expected, 4 * std::sqrt(std::max(variance, 0.0) / n) + 1e-5);
    };
    near(success / n, exact.success, exact.success * (1 - exact.success));
    near(truncated / n, exact.truncated, exact.truncated * (1 - exact.truncated));
    near(length / n, exact.length, squares / n - length * length / n / n);
    near(surprise / n, exact.entropy, surprises / n - surprise * surprise / n / n);
}

TEST(TabularLearner, WhatIsDrawnAgreesWithTheExactScore) {
    sampled_is_exact(tasks::BanditPrompts({.prompts = 3, .answers = 6, .right = 2, .spread = 1}, 1));
    sampled_is_exact(tasks::Chain({.steps = 4}, 1));
    sampled_is_exact(tasks::FactorisedTargets({.prompts = 3, .length = 2, .symbols = 4, .easy_prompts = 2}, 1));
    sampled_is_exact(tasks::StopTime({.limit = 8, .start_logit = -1}));
}

methods::Grpo small_grpo() {
    methods::Grpo method = methods::grpo;
    method.sampler = {.prompts = 12, .group_size = 8};
    method.optimizer.step = step::recipe({.learning_rate = 0.05});
    return method;
}

template <class Learner>
std::vector<float> trained(Learner& learner, train::Trainer<methods::Grpo, Learner>& trainer, int first, int last) {
    backend::Host host;
    for (int i = first; i < last; ++i) {
        roars::Run run{host, Random(5).at(std::uint32_t(i)), Progress{i, 20}};
        trainer.iterate(run);
    }
    auto values = learner.parameters().values();
    return {values.begin(), values.end()};
}

using Bandit = TabularLearner<tasks::BanditPrompts>;

TEST(TabularLearner, ASeedIsARunAndACheckpointGoesOn) {
    tasks::BanditPrompts task({.prompts = 5, .answers = 7, .spread = 0.5, .reward_noise = 0.1}, 2);
    Bandit once(task), again(task);
    train::Trainer<methods::Grpo, Bandit> first(small_grpo(), once), second(small_grpo(), again);
    auto whole = trained(once, first, 0, 20);
    auto half = trained(again, second, 0, 10);
    EXPECT_NE(whole, half);

    Tensors file;
    again.write(file);
    train::write_state(file, second.state, "method");
    train::write_state(file, again.position, "position");
    Bandit resumed(task);
    train::Trainer<methods::Grpo, Bandit> third(small_grpo(), resumed);
    resumed.read(file);
    train::read_state(file, third.state, "method");
    train::read_state(file, resumed.position, "position");
    EXPECT_EQ(trained(resumed, third, 10, 20), whole);
    EXPECT_EQ(trained(again, second, 10, 20), whole);
}

TEST(TabularLearner, TheReferenceStaysWhatItWas) {
    tasks::BanditPrompts task({.prompts = 2, .answers = 3});
    Bandit learner(task);
    learner.set_reference();
    learner.policy().logits(0)[1] += 1.0f;
    backend::Host host;
    roars::Run run{host, Random(1)};
    using Columns = columns<col::groups, col::token, col::mask, col::prompt, col::logp, col::logp_old, col::logp_ref,
                            col::entropy, col::sum_pi_squared>;
    Batch<float, Columns> batch;
    learner.roll_out(run, batch, 2, 8, Generation{});
    learner.refresh(run, batch);
    std::vector<float> p(3);
    for (std::size_t t = 0; t < 16; ++t) {
        const std::int64_t row = batch[col::prompt{}][t];
        learner.policy().probabilities(row, p);
        EXPECT_NEAR(batch[col::logp_ref{}][t], -std::log(3.0), 1e-6);
        EXPECT_NEAR(batch[col::logp_old{}][t], std::log(p[std::size_t(batch[col::token{}][t])]), 1e-6);
        EXPECT_NEAR(batch[col::entropy{}][t], learner.policy().entropy(row), 1e-6);
        EXPECT_NEAR(batch[col::sum_pi_squared{}][t], p[0] * p[0] + p[1] * p[1] + p[2] * p[2], 1e-6);
    }
}

TEST(TabularLearner, GroupsArePromptsInTurnAndGreedyAnswersAreJudged) {
    tasks::FactorisedTargets task({.prompts = 3, .length = 2, .symbols = 4, .easy_prompts = 1}, 3);
    TabularLearner<tasks::FactorisedTargets> learner(task);
    backend::Host host;
    roars::Run run{host, Random(1)};
    using Columns = columns<col::groups, col::token, col::mask, col::prompt, col::logp, col::outcome, col::answer,
                            col::greedy_outcome, col::external, col::truncated>;
    Batch<float, Columns> batch;
    learner.roll_out(run, batch, 4, 2, Generation{});
    ASSERT_EQ(batch.groups(), 4);
    ASSERT_EQ(batch.tokens(), 16);
    for (std::size_t i = 0; i < 8; ++i) {
        const std::int64_t prompt = batch[col::prompt{}][i];
        EXPECT_EQ(prompt, std::int64_t(i) / 2 % 3);
        auto tokens = std::span<const std::int32_t>(batch[col::token{}]).subspan(2 * i, 2);
        auto solution = task.solution(prompt);
        EXPECT_EQ(batch[col::outcome{}][i], tokens[0] == solution[0] && tokens[1] == solution[1] ? 1.0f : 0.0f);
        EXPECT_EQ(batch[col::answer{}][i], tokens[0] * 4 + tokens[1]);
        EXPECT_EQ(batch[col::greedy_outcome{}][i], prompt == 0 ? 1.0f : 0.0f);
        EXPECT_EQ(batch[col::external{}][i], 0.0f);
    }
    learner.demonstrate(run, batch, 3);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(batch[col::outcome{}][i], 1.0f);
    EXPECT_EQ(batch[col::external{}][0], 1.0f);
    std::vector<std::int64_t> chosen{2, 2, 0};
    learner.roll_out(run, batch, std::span<const std::int64_t>(chosen), 1, Generation{});
    EXPECT_EQ(batch[col::prompt{}][1], 2);
    EXPECT_EQ(batch[col::prompt{}][2], 0);
}

TEST(TabularLearner, ForbiddenSymbolsAreNeverDrawnNorLearnt) {
    tasks::FactorisedTargets task(
        {.prompts = 2, .length = 3, .symbols = 2, .easy_prompts = 0, .strategies = 6, .shared = true}, 3);
    using Learner = TabularLearner<tasks::FactorisedTargets>;
    Learner learner(task);
    auto method = small_grpo();
    method.optimizer.step.base.base.weight_decay = 0.1;
    train::Trainer<methods::Grpo, Learner> trainer(method, learner);
    trained(learner, trainer, 0, 20);
    backend::Host host;
    roars::Run run{host, Random(1)};
    EXPECT_GT(learner.evaluate(run).success, 0.2);
    for (std::int64_t row = 2; row < task.rows(); ++row) {
        std::vector<float> p(6);
        learner.policy().probabilities(row, p);
        for (std::size_t a = 2; a < 6; ++a) EXPECT_EQ(p[a], 0.0f);
    }
}

TEST(TabularLearner, LearnsDemonstrations) {
    tasks::Chain task({}, 1);
    using Learner = TabularLearner<tasks::Chain>;
    Learner learner(task);
    methods::SupervisedLikelihood method = methods::supervised;
    method.sampler.batch_size = 12;
    method.optimizer.step = step::recipe({.learning_rate = 0.2});
    train::Trainer<methods::SupervisedLikelihood, Learner> trainer(method, learner);
    backend::Host host;
    for (int i = 0; i < 60; ++i) {
        roars::Run run{host, Random(5).at(std::uint32_t(i))};
        trainer.iterate(run);
    }
    roars::Run run{host};
    EXPECT_GT(learner.evaluate(run).success, 0.99);
}

/// Draws (action 0) a card or stops (action 1), three times at most; the environment says whether the card is good (1)
/// or bad (0). Right if the last card is good.
struct Cards {
    using gives = columns<col::tool_calls, col::turn_outcome>;
    std::vector<double> logits{0, 0, 0, 1, 0, 0, 0, 1};

    std::int64_t prompts() const { return 1; }
    std::int64_t rows() const { return 4; }
    std::int64_t actions() const { return 2; }
    std::int64_t states() const { return 16; }
    std::int64_t longest_answer() const { return 6; }
    std::span<const double> start_logits() const { return logits; }
    // State 4 n + k: n cards; k = 0: bad or none, 1: good, 2: a card is being looked at; 3: bad, and 12 + k: ended.
    std::int64_t start(std::int64_t) const { return 0; }
    std::int64_t row(std::int64_t, std::int64_t s) const { return s >= 12 ? -1 : s % 4 == 2 ? 3 : s % 4; }
    bool observation(std::int64_t, std::int64_t s) const { return s < 12 && s % 4 == 2; }
    std::int64_t next(std::int64_t, std::int64_t s, std::int64_t a) const {
        if (s % 4 == 2) return 4 * (s / 4 + 1) + a;
        return a == 1 ? 14 + s % 2 : 4 * (s / 4) + 2;
    }
    bool truncated(std::int64_t, std::int64_t s) const { return s < 14; }
    double success(std::int64_t, std::int64_t s) const { return s % 2 == 1 ? 1 : 0; }
    double outcome(std::int64_t p, std::int64_t s, RandomStream&) const { return success(p, s); }
    std::int32_t answer(std::int64_t, std::span<const std::int32_t>) const { return 0; }
    std::vector<std::int32_t> solution(std::int64_t) const { return {0, 1, 1}; }
    double tell(col::tool_calls, std::int64_t, std::span<const std::int32_t> actions, std::int64_t,
                RandomStream&) const {
        return double(actions.size() / 2);
    }
    /// The card that the turn drew; -1 where it stopped.
    double tell(col::turn_outcome, std::int64_t, std::span<const std::int32_t> actions, std::int64_t turn,
                RandomStream&) const {
        return std::size_t(2 * turn + 1) < actions.size() ? double(actions[std::size_t(2 * turn + 1)]) : -1.0;
    }
};
static_assert(tasks::TabularTask<Cards>);

template <class Reward>
using OfCards = Algorithm<sampler::Groups, Reward, advantage::GroupZScore, regularizer::EntropyBonus,
                          optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::AdamW>>;

/// Observations are masked, belong to the turn before them, and their rows never move.
TEST(TabularLearner, ObservationsAreTheEnvironments) {
    using ByTurns = OfCards<reward::OverTurns<reward::over::Mean>>;
    using ByVerdict = OfCards<reward::Verified>;
    const ByTurns by_turns{.sampler = {.prompts = 4, .group_size = 256}};
    const ByVerdict by_verdict{.sampler = {.prompts = 4, .group_size = 16},
                               .optimizer = {.step = {.learning_rate = 0.1, .weight_decay = 0}}};
    Cards task;
    TabularLearner<Cards> learner(task);
    backend::Host host;
    roars::Run run{host, Random(5)};
    ByTurns::State state;
    auto batch = collected(by_turns, run, state, learner);
    ASSERT_EQ(batch.sequences(), 1024);
    std::int64_t good = 0, seen = 0;
    for (std::int64_t i = 0; i < batch.sequences(); ++i) {
        const std::int64_t first = batch.token_offsets()[std::size_t(i)],
                           last = batch.token_offsets()[std::size_t(i) + 1];
        const std::int64_t begin = batch[col::turn_owner{}][std::size_t(i)],
                           end = batch[col::turn_owner{}][std::size_t(i) + 1];
        ASSERT_EQ(end - begin, (last - first + 1) / 2);
        for (std::int64_t t = first; t < last; ++t) {
            ASSERT_EQ(batch[col::mask{}][std::size_t(t)], (t - first) % 2 == 0 ? 1 : 0);
            if ((t - first) % 2 == 0) continue;
            ++seen;
            good += batch[col::token{}][std::size_t(t)];
            ASSERT_EQ(batch[col::turn_outcome{}][std::size_t(begin + (t - first) / 2)],
                      batch[col::token{}][std::size_t(t)]);
        }
        for (std::int64_t k = begin; k < end; ++k)
            ASSERT_EQ(batch[col::turns{}][std::size_t(k)], first + 2 * (k - begin));
    }
    ASSERT_EQ(batch[col::turns{}].back(), batch.tokens());
    EXPECT_NEAR(double(good) / double(seen), 1 / (1 + std::exp(-1.0)), 0.04);
    train::Trainer<ByVerdict, TabularLearner<Cards>> trainer(by_verdict, learner);
    const double before = learner.evaluate(run).success;
    for (std::uint32_t i = 0; i < 60; ++i) {
        roars::Run each{host, Random(5).at(i)};
        trainer.iterate(each);
    }
    EXPECT_GT(learner.evaluate(run).success, before + 0.2);
    EXPECT_EQ(learner.policy().logits(3)[0], 0.0f);
    EXPECT_EQ(learner.policy().logits(3)[1], 1.0f);
}

}  // namespace
}  // namespace roars::train_tabular_test
