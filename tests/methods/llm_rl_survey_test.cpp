#include <limits>

#include "random_objective.hpp"
#include "roars/methods/actor_critic.hpp"
#include "roars/methods/preference.hpp"
#include "roars/methods/q_learning.hpp"
#include "roars/methods/raft.hpp"
#include "roars/methods/reinforce_plus_plus.hpp"
#include "roars/methods/remax.hpp"
#include "roars/methods/rlhf.hpp"
#include "roars/tasks/bandit_prompts.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::llm_rl_survey_test {
namespace {

template <class Over>
std::vector<double> over_turns(const std::vector<std::int64_t>& turns, const std::vector<double>& scores) {
    Batch<double, columns<col::turns, col::turn_owner, col::turn_outcome, col::reward>> batch{
        Offsets(offsets_of(turns))};
    batch.set_offsets(col::turns{}, offsets_of(std::vector<std::int64_t>(scores.size(), 1)));
    batch.set_offsets(col::turn_owner{}, offsets_of(turns));
    std::copy(scores.begin(), scores.end(), batch[col::turn_outcome{}].begin());
    backend::Host host;
    roars::Run run{host};
    reward::OverTurns<Over>{}.score(run, batch);
    return {batch[col::reward{}].begin(), batch[col::reward{}].end()};
}

TEST(Survey, ScoresOfStepsBecomeOneReward) {
    EXPECT_EQ(over_turns<reward::over::Minimum>({3, 0, 1}, {0.5, 0.25, 1, 0.75}), (std::vector<double>{0.25, 0, 0.75}));
    EXPECT_EQ(over_turns<reward::over::Product>({3, 0, 1}, {0.5, 0.25, 1, 0.75}),
              (std::vector<double>{0.125, 0, 0.75}));
    EXPECT_EQ(over_turns<reward::over::Mean>({2, 0, 1}, {0.5, 0.25, 0.75}), (std::vector<double>{0.375, 0, 0.75}));
    EXPECT_EQ(over_turns<reward::over::Last>({3, 0, 1}, {0.5, 0.25, 1, 0.75}), (std::vector<double>{1, 0, 0.75}));
    EXPECT_TRUE(over_turns<reward::over::Minimum>({}, {}).empty());
}

using Imitation = Batch<double, unite_t<methods::Raft::Columns, columns<col::mask>>>;

Imitation imitated(const methods::Raft& method, const std::vector<double>& outcome, std::int64_t iteration = 0) {
    Imitation batch(offsets_of(std::vector<std::int64_t>(outcome.size(), 2)),
                    offsets_of({std::int64_t(outcome.size())}));
    std::copy(outcome.begin(), outcome.end(), batch[col::outcome{}].begin());
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    std::fill(batch[col::logp{}].begin(), batch[col::logp{}].end(), -0.5);
    if (!outcome.empty()) batch[col::mask{}][1] = 0.0;
    backend::Host host;
    roars::Run run{host, Random(0), Progress{iteration, 100}};
    methods::Raft::State state;
    method.score(run, state, batch);
    method.estimate(run, state, batch);
    auto result = method.objective(run, state, batch);
    EXPECT_TRUE(std::isfinite(result.loss()));
    batch[col::outcome{}][0] = result.loss();
    return batch;
}
std::vector<double> slopes(const Imitation& batch) {
    return {batch[col::grad<col::logp>{}].begin(), batch[col::grad<col::logp>{}].end()};
}

TEST(Survey, TheBestOfAGroupAreImitated) {
    EXPECT_EQ(slopes(imitated(methods::raft, {1, 0, 1})), (std::vector<double>{-1, 0, 0, 0, 0, 0}))
        << "the first of equals, without its masked token, as the mean of what is kept";
    auto nothing = imitated(methods::raft, {0, 0.4, 0});
    EXPECT_EQ(nothing[col::outcome{}][0], 0.0);
    for (double slope : slopes(nothing)) EXPECT_EQ(slope, 0.0);
    auto method = methods::rest;
    method.advantage = {.best = 2, .threshold = 0.5, .rise = 0.1};
    EXPECT_EQ(slopes(imitated(method, {0.55, 0.65, 0.9})), (std::vector<double>{0, 0, -0.25, -0.25, -0.25, -0.25}));
    EXPECT_EQ(slopes(imitated(method, {0.55, 0.65, 0.9}, 2)), (std::vector<double>{0, 0, 0, 0, -0.5, -0.5}))
        << "the threshold has risen to 0.7";
}

template <class Column, class Method, class BatchType>
void expect_slopes_of(Column column, const Method& method, BatchType batch) {
    backend::Host host;
    roars::Run run{host};
    auto value = [&] { return method.objective(run, {}, batch).loss(); };
    value();
    std::vector<double> said(batch[col::grad<Column>{}].begin(), batch[col::grad<Column>{}].end());
    for (std::size_t t = 0; t < said.size(); ++t) {
        const double step = 1e-6, x = batch[column][t];
        batch[column][t] = x + step;
        double up = value();
        batch[column][t] = x - step;
        double down = value();
        batch[column][t] = x;
        EXPECT_NEAR(said[t], (up - down) / (2 * step), 1e-7) << "token " << t;
    }
}

RC_GTEST_PROP(Survey, ARewardModelsSlopesAreThoseOfItsLoss, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    expect_slopes_of(col::value{}, methods::reward_model, random_objective<methods::RewardModel>(random, 3));
    auto soft = random_objective<methods::JudgedRewardModel>(random, 3);
    for (auto& p : soft[col::preference{}]) p = 0.5 * (p + 1.0);
    expect_slopes_of(col::value{}, methods::judged_reward_model, soft);
    expect_slopes_of(col::q{}, methods::deep_q, random_objective<methods::DeepQ>(random, 2));
    RC_ASSERT(!::testing::Test::HasFailure());
}

TEST(Survey, ARewardModelReadsTheLastTrainableToken) {
    Batch<double, ObjectiveColumns<methods::RewardModel>> batch(offsets_of({3, 2, 2, 0}), offsets_of({2, 2}));
    std::vector<double> mask{1, 1, 0, 1, 1, 1, 1}, value{9, 2, 9, 9, 0.5, 9, 9};
    std::copy(mask.begin(), mask.end(), batch[col::mask{}].begin());
    std::copy(value.begin(), value.end(), batch[col::value{}].begin());
    backend::Host host;
    roars::Run run{host};
    double loss = methods::reward_model.objective(run, {}, batch).loss();
    EXPECT_NEAR(loss, std::log1p(std::exp(-1.5)), 1e-15) << "the second pair has an empty answer";
    double pull = 1.0 / (1.0 + std::exp(1.5));
    std::vector<double> expected{0, -pull, 0, 0, pull, 0, 0};
    for (std::size_t t = 0; t < 7; ++t) EXPECT_NEAR(batch[col::grad<col::value>{}][t], expected[t], 1e-15);
    batch[col::value{}][1] = -1e4;
    EXPECT_NEAR(methods::reward_model.objective(run, {}, batch).loss(), 1e4 + 0.5, 1e-9) << "and does not overflow";
}

TEST(Survey, ALabelThatIsSureIsThePlainLoss) {
    using Judged = methods::JudgedRewardModel;
    Batch<double, ObjectiveColumns<Judged>> batch(offsets_of({1, 1}), offsets_of({2}));
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    backend::Host host;
    roars::Run run{host};
    for (double far : {1.5, 1e4}) {
        batch[col::value{}][0] = far;
        for (double label : {0.0, 1.0}) {
            std::fill(batch[col::preference{}].begin(), batch[col::preference{}].end(), label);
            double margin = label == 1.0 ? far : -far;
            double plain = margin > 0 ? std::log1p(std::exp(-margin)) : std::log1p(std::exp(margin)) - margin;
            EXPECT_NEAR(methods::judged_reward_model.objective(run, {}, batch).loss(), plain, 1e-9);
            EXPECT_TRUE(std::isfinite(batch[col::grad<col::value>{}][0]));
        }
    }
}

TEST(Survey, OneStepTargetsLookAtNothingBehindTheEnd) {
    Batch<double, columns<col::token_reward, col::next_value, col::terminated, col::returns>> batch{
        Offsets(offsets_of({2}))};
    batch[col::token_reward{}][0] = batch[col::token_reward{}][1] = 1.0;
    batch[col::next_value{}][0] = 2.0;
    batch[col::next_value{}][1] = std::numeric_limits<double>::quiet_NaN();
    batch[col::terminated{}][1] = 1.0;
    backend::Host host;
    roars::Run run{host};
    advantage::OneStepTarget{.gamma = 0.5}.estimate(run, batch);
    EXPECT_EQ(batch[col::returns{}][0], 2.0);
    EXPECT_EQ(batch[col::returns{}][1], 1.0);
}

TEST(Survey, AConstantBaseline) {
    Batch<double, columns<col::groups, col::reward, col::advantage>> batch(offsets_of({1, 1}), offsets_of({1, 1}));
    batch[col::reward{}][0] = 1.0;
    backend::Host host;
    roars::Run run{host};
    advantage::ConstantBaseline{.center = {0.25}}.estimate(run, batch);
    EXPECT_EQ(batch[col::advantage{}][0], 0.75) << "also where a group has one member";
    EXPECT_EQ(batch[col::advantage{}][1], -0.25);
}

/// Trains on eight bandits of which a quarter of the start's answers is right; returns the success reached.
template <class Method>
double trained(Method method) {
    tasks::BanditPrompts task({.prompts = 8, .answers = 8, .right = 2, .spread = 0.5}, 1);
    train::TabularLearner learner(task);
    if constexpr (requires { method.optimizer.step.base.base.learning_rate; })
        method.optimizer.step.base.base.learning_rate = 0.1;
    if constexpr (requires { method.sampler.group_size; }) {
        method.sampler.prompts = 8 * (method.sampler.group_size == 1 ? 8 : 1);
        method.sampler.group_size = method.sampler.group_size == 1 ? 1 : 8;
    }
    learner.set_reference();
    train::Trainer trainer(method, learner);
    backend::Host host;
    roars::Run last{host};
    for (int i = 0; i < 40; ++i) {
        roars::Run run{host, Random(5).at(std::uint32_t(i)), Progress{i, 40}};
        trainer.iterate(run);
    }
    return learner.evaluate(last).success;
}

TEST(Survey, EveryRowRaisesTheChanceOfSuccess) {
    const double start = [] {
        tasks::BanditPrompts task({.prompts = 8, .answers = 8, .right = 2, .spread = 0.5}, 1);
        train::TabularLearner learner(task);
        backend::Host host;
        roars::Run run{host};
        return learner.evaluate(run).success;
    }();
    auto rises = [&](const char* name, double success) { EXPECT_GT(success, start + 0.2) << name; };
    rises("reinforce++", trained(methods::reinforce_plus_plus));
    rises("remax", trained(methods::remax));
    rises("raft", trained(methods::raft));
    rises("online dpo", trained(methods::online_dpo));
    rises("dpo", trained(methods::dpo));
    rises("ipo", trained(methods::ipo));
    rises("slic", trained(methods::slic));
    rises("kto", trained(methods::kto));
    rises("simpo", trained(methods::simpo));
    rises("cpo", trained(methods::cpo));
    rises("orpo", trained(methods::orpo));
}

TEST(Survey, PreferenceDataIsOfTheReferenceAndTheBetterAnswerIsFirst) {
    tasks::BanditPrompts task({.prompts = 6, .answers = 5, .right = 2}, 2);
    train::TabularLearner learner(task);
    backend::Host host;
    roars::Run run{host};
    Batch<float, columns<col::groups, col::token, col::mask, col::prompt, col::chosen, col::mismatched>> pairs, single;
    learner.preference_pairs(run, pairs, 12);
    ASSERT_EQ(pairs.groups(), 12);
    for (std::size_t i = 0; i < 24; ++i) {
        bool right = task.is_right(pairs[col::prompt{}][i], pairs[col::token{}][i]);
        EXPECT_EQ(right, i % 2 == 0);
        EXPECT_EQ(pairs[col::chosen{}][i], i % 2 == 0 ? 1.0f : 0.0f);
    }
    EXPECT_EQ(learner.position.rollouts, 0) << "data is no rollout";
    learner.labelled_answers(run, single, 7);
    ASSERT_EQ(single.sequences(), 14);
    for (std::size_t i = 0; i < 7; ++i) {
        EXPECT_EQ(single[col::mismatched{}][i], 0.0f);
        EXPECT_EQ(single[col::mismatched{}][i + 7], 1.0f);
        EXPECT_EQ(single[col::token{}][i], single[col::token{}][i + 7]);
        EXPECT_NE(single[col::prompt{}][i], single[col::prompt{}][i + 7]);
    }
    tasks::BanditPrompts sure({.prompts = 3, .answers = 2, .right = 2}, 2);
    train::TabularLearner nothing(sure);
    nothing.preference_pairs(run, pairs, 5);
    EXPECT_EQ(pairs.groups(), 0) << "where all are right there is no pair";
}

/// Without a critic's values these ask for columns that a table does not bring.
template <class Method>
inline constexpr bool fits_a_table =
    within_v<typename Method::Inputs, train::TabularLearner<tasks::BanditPrompts>::gives>;
static_assert(!fits_a_table<methods::ActorCritic> && !fits_a_table<methods::Rlhf> && !fits_a_table<methods::DeepQ>);
static_assert(fits_a_table<methods::Dpo> && fits_a_table<methods::Kto> && fits_a_table<methods::Raft>);

RC_GTEST_PROP(Survey, LossesOfAnyCut, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    expect_any_cut(methods::dpo, random_objective<methods::Dpo>(random, 4), 1);
    expect_any_cut(methods::orpo, random_objective<methods::Orpo>(random, 4), 2);
    expect_any_cut(methods::raft, random_objective<methods::Raft>(random, 4), 1);
    expect_any_cut(methods::process_guided, random_objective<methods::ProcessGuided>(random, 4), 3);
    RC_ASSERT(!::testing::Test::HasFailure());
}

}  // namespace
}  // namespace roars::llm_rl_survey_test
