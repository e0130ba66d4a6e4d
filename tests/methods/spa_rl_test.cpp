#include "roars/methods/spa_rl.hpp"

#include "any_cut.hpp"
#include "roars/metrics/progress.hpp"
#include "roars/reflect.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/tasks/subtasks.hpp"
#include "roars/train/tabular_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::spa_rl_test {
namespace {

using Values = std::vector<double>;
using Lengths = std::vector<std::int64_t>;

TEST(SpaRl, TheLossIsOfTheSumOverATrajectory) {
    const Values contribution{0.5, 0.25, -1.0}, outcome{1, 0.5, 0};
    Values gradient(3);
    const auto owner = offsets_of({2, 0, 1});
    const double loss = progress::loss(owner, std::span(contribution), std::span(outcome), std::span(gradient));
    EXPECT_NEAR(loss, (0.0625 + 0.25 + 1.0) / 3, 1e-15) << "a trajectory without a step predicts 0";
    for (std::size_t k = 0; k < 3; ++k) {
        Values up = contribution, down = contribution;
        up[k] += 1e-6;
        down[k] -= 1e-6;
        const double slope = (progress::loss(owner, std::span<const double>(up), std::span(outcome)) -
                              progress::loss(owner, std::span<const double>(down), std::span(outcome))) /
                             2e-6;
        EXPECT_NEAR(gradient[k], slope, 1e-9);
    }
    EXPECT_EQ(progress::loss(Lengths{0}, std::span<const double>{}, std::span<const double>{}), 0.0);
}

/// A change of weight or bias makes the fitted objective larger.
RC_GTEST_PROP(SpaRl, TheFitIsTheLeast, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal;
    Lengths steps;
    for (int i = 0; i < 6; ++i) steps.push_back(std::int64_t(random() % 4));
    const auto owner = offsets_of(steps);
    constexpr std::int64_t width = 3;
    Values features, outcome;
    for (std::int64_t k = 0; k < owner.back() * width; ++k) features.push_back(normal(random));
    for (int i = 0; i < 6; ++i) outcome.push_back(normal(random));
    const double ridge = 0.1;
    auto objective = [&](const progress::Linear& linear) {
        Values contribution;
        for (std::int64_t k = 0; k < owner.back(); ++k)
            contribution.push_back(
                linear.contribution(std::span(features).subspan(std::size_t(k * width), std::size_t(width))));
        double sum = progress::loss(owner, std::span<const double>(contribution), std::span<const double>(outcome));
        for (double w : linear.weight) sum += ridge * w * w;
        return sum;
    };
    const auto found =
        progress::fit(owner, std::span<const double>(features), width, std::span<const double>(outcome), ridge);
    const double least = objective(found);
    for (int j = 0; j <= width; ++j)
        for (double by : {-1e-3, 1e-3}) {
            auto moved = found;
            (j < width ? moved.weight[std::size_t(j)] : moved.bias) += by;
            RC_ASSERT(objective(moved) >= least - 1e-14);
        }
}

TEST(SpaRl, TheFitOfLittle) {
    const Values one_hot{1, 0, 0, 1, 1, 0}, equal{0.6, 0.6, 0.6}, mixed{-2, 4, -2};
    auto fitted = [&](const Lengths& steps, const Values& outcome, double ridge) {
        return progress::fit(offsets_of(steps), std::span(one_hot), 2, std::span(outcome), ridge);
    };
    const auto constant = fitted({1, 1, 1}, equal, 0.1);
    EXPECT_NEAR(constant.bias, 0.6, 1e-12) << "equal outcomes: equal contributions";
    EXPECT_NEAR(constant.weight[0], 0.0, 1e-12);
    const auto free = fitted({1, 1, 1}, mixed, 1e-9);
    EXPECT_NEAR(free.contribution(std::span(one_hot).first(2)), -2, 1e-6) << "below 0 and above 1";
    EXPECT_NEAR(free.contribution(std::span(one_hot).subspan(2, 2)), 4, 1e-6);
    for (const auto& nothing : {fitted({}, {}, 0.1), fitted({0, 0}, {1, 0}, 0.1), fitted({0, 0}, {1, 0}, 0.0)}) {
        EXPECT_EQ(nothing.weight, (Values{0, 0}));
        EXPECT_EQ(nothing.bias, 0.0);
    }
}

using Turns = Batch<double, columns<col::turns, col::turn_owner, col::mask, col::turn_features, col::executed,
                                    col::outcome, col::turn_reward, col::logp_old, col::logp_ref, col::token_reward,
                                    col::value, col::advantage, col::returns>>;
/// Sequences of so many turns of so many tokens.
Turns turns_of(const std::vector<Lengths>& tokens) {
    Lengths sequences, all, owned;
    for (const Lengths& each : tokens) {
        sequences.push_back(std::accumulate(each.begin(), each.end(), std::int64_t(0)));
        all.insert(all.end(), each.begin(), each.end());
        owned.push_back(std::ssize(each));
    }
    Turns batch(offsets_of(sequences));
    batch.set_offsets(col::turns{}, offsets_of(all));
    batch.set_offsets(col::turn_owner{}, offsets_of(owned));
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    return batch;
}
void put(std::span<double> to, const Values& values) {
    ASSERT_EQ(to.size(), values.size());
    std::copy(values.begin(), values.end(), to.begin());
}
Values values_of(std::span<const double> column) { return {column.begin(), column.end()}; }

TEST(SpaRl, TheEstimatorIsFittedOnceAndThenFrozen) {
    Turns batch = turns_of({{1}, {1}});
    put(batch[col::turn_features{}], {1, -1});
    put(batch[col::outcome{}], {1, 0});
    reward::ProgressAttribution part{.ridge = 1e-9};
    reward::ProgressAttribution::State state;
    backend::Host host;
    auto score_at = [&](std::int64_t iteration) {
        roars::Run run{host, Random(), Progress{iteration, 10}};
        part.score(run, state, batch);
        return values_of(batch[col::turn_reward{}]);
    };
    const Values first = score_at(0);
    EXPECT_NEAR(first[0], 1.0, 1e-6);
    EXPECT_NEAR(first[1], 0.0, 1e-6);
    put(batch[col::outcome{}], {0, 1});
    EXPECT_EQ(score_at(0), first) << "the second batch of an iteration is not fitted on";
    EXPECT_EQ(score_at(7), first);
    part.refit_every = 3;
    EXPECT_EQ(score_at(2), first);
    EXPECT_NEAR(score_at(3)[0], 0.0, 1e-6);
    batch.set_width(col::turn_features{}, 2);
    EXPECT_THROW(score_at(4), Error);
}

template <class Reward>
Values rewarded(const Reward& part, Turns batch) {
    backend::Host host;
    roars::Run run{host};
    state_of<Reward> state;
    roars::detail::call_score(part, run, state, batch);
    return values_of(batch[col::turn_reward{}]);
}
TEST(SpaRl, TheOutcomeIsTheLastTurnsAndAnActionThatIsCarriedOutIsPaid) {
    Turns batch = turns_of({{1, 2, 1}, {}, {1}});
    put(batch[col::outcome{}], {0.5, 1, 0.25});
    put(batch[col::executed{}], {1, 0, 0, 1});
    using Terminal = reward::Then<reward::OnLastTurn<reward::Verified>, reward::Grounding>;
    EXPECT_EQ(rewarded(Terminal{.second = {.beta = 0}}, batch), (Values{0, 0, 0.5, 0.25}));
    EXPECT_EQ(rewarded(Terminal{.second = {.alpha = 2, .beta = 0.5}}, batch), (Values{0.5, 0, 1, 1}));
    EXPECT_EQ(methods::spa_rl.reward.second.alpha, 1.0);
    EXPECT_EQ(methods::spa_rl.reward.second.beta, 0.5);
}

/// The last own token of a turn carries its reward; a turn without one loses it, and that is told.
TEST(SpaRl, ATurnWithoutAnOwnTokenLosesItsReward) {
    Turns batch = turns_of({{3, 2}, {1, 2}});
    put(batch[col::mask{}], {1, 1, 0, 0, 0, 0, 1, 1});
    put(batch[col::turn_reward{}], {1, 2, 3, 4});
    put(batch[col::logp_old{}], {-1, -1, -1, -1, -1, -1, -1, -1});
    put(batch[col::logp_ref{}], {-2, -2, -2, -2, -2, -2, -2, -2});
    backend::Host host;
    roars::Run run{host};
    regularizer::KlInTurnReward part{.coefficient = 0};
    regularizer::KlInTurnReward::State state;
    for (int again = 0; again < 2; ++again) {
        part.shape(run, state, batch);
        EXPECT_EQ(values_of(batch[col::token_reward{}]), (Values{0, 1, 0, 0, 0, 0, 0, 4}));
        EXPECT_EQ(state.dropped, 2);
    }
    part.coefficient = 0.1;
    part.shape(run, state, batch);
    EXPECT_EQ(values_of(batch[col::token_reward{}]), (Values{-0.1, 0.9, 0, 0, 0, 0, -0.1, 3.9}));

    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].begin() + 5, 0.0);  // the first sequence
    put(batch[col::value{}], {1, 1, 1, 1, 1, 1, 1, 1});
    part.shape(run, state, batch);
    EXPECT_EQ(state.dropped, 3);
    state_of<methods::SpaRl::Advantage> none;
    methods::spa_rl.advantage.estimate(run, none, batch);
    for (std::size_t t = 0; t < 6; ++t) EXPECT_EQ(batch[col::advantage{}][t], 0.0) << t;
    EXPECT_NE(batch[col::advantage{}][7], 0.0);
}

/// A source that counts what is asked of it.
struct Counted {
    using BatchType = Batch<double, columns<col::groups>>;
    Lengths asked{};
    template <class RunType>
    void roll_out(RunType&, BatchType& batch, std::int64_t prompts, std::int64_t size, const Generation&) {
        asked.push_back(prompts * size);
        batch = BatchType(offsets_of(Lengths(std::size_t(prompts * size), 1)),
                          offsets_of(Lengths(std::size_t(prompts), size)));
    }
};
TEST(SpaRl, ExplorationIsScoredFirstAndNotLearntFrom) {
    sampler::ExploreFirst<sampler::Groups> part{.base = {.prompts = 2, .group_size = 3}, .rollouts = 50};
    decltype(part)::State state;
    Counted source;
    backend::Host host;
    auto scored_at = [&](std::int64_t iteration) {
        Counted::BatchType batch;
        Lengths scored;
        roars::Run run{host, Random(), Progress{iteration, 10}};
        part.collect(run, state, source, batch, [&](const auto& seen) { scored.push_back(seen.sequences()); });
        EXPECT_EQ(batch.sequences(), 6);
        return scored;
    };
    EXPECT_EQ(scored_at(0), (Lengths{50, 6}));
    EXPECT_EQ(scored_at(1), (Lengths{6}));
    part.every = 4;
    EXPECT_EQ(scored_at(3), (Lengths{6}));
    EXPECT_EQ(scored_at(4), (Lengths{50, 6}));
    EXPECT_EQ(state.rollouts, 100);
    EXPECT_EQ(state.base.rollouts, 24);
    EXPECT_EQ(source.asked, (Lengths{50, 6, 6, 6, 50, 6}));
}

using Learner = train::TabularLearner<tasks::Subtasks, double, true>;

/// What the table and the task tell of turns: which token of which row, whether it was carried out, and values that
/// know the step.
TEST(SpaRl, TurnsHaveFeaturesAndValuesSteps) {
    tasks::Subtasks task({.subtasks = 2, .horizon = 3}, 4);
    Learner learner(task);
    using Columns = columns<col::groups, col::turns, col::turn_owner, col::token, col::mask, col::prompt, col::logp,
                            col::executed, col::turn_features, col::value>;
    Batch<double, Columns> batch;
    backend::Host host;
    roars::Run run{host, Random(4)};
    learner.roll_out(run, batch, 9, 4, Generation{});
    auto values = learner.parameters().values().subspan(std::size_t(task.rows() * task.actions()));
    ASSERT_EQ(std::ssize(values), task.value_rows());
    for (std::size_t v = 0; v < values.size(); ++v) values[v] = double(v);
    learner.refresh(run, batch);
    ASSERT_EQ(batch.turns(), 36 * 3);
    for (std::size_t i = 0; i < 36; ++i) {
        const std::int64_t prompt = batch[col::prompt{}][i];
        std::int64_t state = task.start(prompt);
        for (std::int64_t t = batch.token_offsets()[i]; t < batch.token_offsets()[i + 1]; ++t) {
            const std::int64_t action = batch[col::token{}][std::size_t(t)];
            auto features = batch.row(col::turn_features{}, t);
            for (std::int64_t j = 0; j < std::ssize(features); ++j)
                ASSERT_EQ(features[std::size_t(j)], j == task.row(prompt, state) * task.actions() + action ? 1 : 0);
            ASSERT_EQ(batch[col::executed{}][std::size_t(t)], task.possible(prompt, state, action) ? 1 : 0);
            ASSERT_EQ(batch[col::value{}][std::size_t(t)], double(task.value_row(prompt, state)));
            state = task.next(prompt, state, action);
        }
    }
}

auto small_method() {
    auto method = methods::spa_rl;
    method.sampler.base.prompts = 16;
    method.regularizer.coefficient = 0;
    method.reward.second.beta = 0;
    method.optimizer.step = step::recipe({.learning_rate = 0.03, .weight_decay = 0});
    return method;
}

/// The contributions of the start policy's rollouts add up to their outcomes, and are those of the subtasks.
TEST(SpaRl, AttributesProgressAndLearnsByIt) {
    tasks::Subtasks task({}, 1);
    using Small = train::TabularLearner<tasks::Subtasks, float, true>;
    Small learner(task);
    train::Trainer<methods::SpaRl, Small> trainer(small_method(), learner);
    backend::Host host;
    double before = 0;
    for (std::int64_t i = 0; i < 60; ++i) {
        roars::Run run{host, Random(5).at(std::uint32_t(i)), Progress{i, 60}};
        if (i == 0) before = learner.evaluate(run).success;
        trainer.iterate(run);
        if (i > 0) continue;
        const auto& batch = trainer.batch();
        Values predicted, outcome;
        for (std::size_t k = 0; k < 16; ++k) {
            double sum = 0;
            for (std::int64_t t = batch.token_offsets()[k]; t < batch.token_offsets()[k + 1]; ++t)
                sum += batch[col::turn_reward{}][std::size_t(t)];
            predicted.push_back(sum);
            outcome.push_back(batch[col::outcome{}][k]);
        }
        EXPECT_LT(metrics::prediction_error(predicted, outcome).mean_absolute, 0.03);
        EXPECT_EQ(trainer.state.reward.first.fitted, 0);
    }
    EXPECT_EQ(learner.position.rollouts, 2000 + 60 * 16);
    roars::Run run{host};
    EXPECT_GT(learner.evaluate(run).success, before + 0.25);
}

TEST(SpaRl, ItsStateIsSavedAndItsSettingsAreFlags) {
    methods::SpaRl::State state, back;
    state.reward.first.estimator = {{0.5, -1}, 0.25};
    state.reward.first.fitted = 3;
    state.sampler.explored = 3;
    from_json(to_json(state), back);
    EXPECT_EQ(back.reward.first.estimator.weight, (Values{0.5, -1}));
    EXPECT_EQ(back.reward.first.estimator.bias, 0.25);
    EXPECT_EQ(back.sampler.explored, 3);
    auto method = methods::spa_rl;
    EXPECT_TRUE(set_setting(method, "reward.second.beta", "0.05"));
    EXPECT_TRUE(set_setting(method, "reward.first.refit_every", "20"));
    EXPECT_TRUE(set_setting(method, "sampler.every", "20"));
    EXPECT_EQ(method.reward.second.beta, 0.05);
}

TEST(SpaRl, ErrorsOfPredictions) {
    const auto error = metrics::prediction_error(Values{0.5, 0, 1}, Values{0.45, 0.4, 1});
    EXPECT_NEAR(error.mean_absolute, 0.15, 1e-15);
    EXPECT_NEAR(error.near, 2.0 / 3, 1e-15);
    EXPECT_EQ(metrics::prediction_error({}, {}).near, 0.0);
    EXPECT_THROW(metrics::prediction_error(Values{1}, {}), Error);
    const Values executed{1, 0, 1, 1};
    EXPECT_EQ(metrics::grounding_accuracy(std::span(executed)), 0.75);
    EXPECT_EQ(metrics::grounding_accuracy(std::span<const double>{}), 0.0);
}

}  // namespace
}  // namespace roars::spa_rl_test
