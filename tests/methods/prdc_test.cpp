#include <gtest/gtest.h>

#include "../advantage/random_batch.hpp"
#include "roars/actors/heads.hpp"
#include "roars/advantage/none.hpp"
#include "roars/algorithm.hpp"
#include "roars/environments/continuous_bandit.hpp"
#include "roars/methods/prdc.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/regularizer/dataset_constraint.hpp"
#include "roars/regularizer/sum.hpp"
#include "roars/reward/none.hpp"
#include "roars/reward/scaled_step.hpp"
#include "roars/sampler/groups.hpp"
#include "roars/sampler/standardise.hpp"
#include "roars/train/control_learner.hpp"

namespace roars::prdc_test {
namespace {

using Values = std::vector<double>;
using Transitions = Batch<double, columns<col::state, col::action, col::policy_action, col::mask, col::q,
                                          col::q_gradient, col::neighbour_action, col::grad<col::policy_action>>>;

/// Rows of two state and two action columns, a few values each where `coarse`.
Transitions any_rows(Draw& draw, std::int64_t rows, bool coarse) {
    Transitions batch{Offsets(std::vector<std::int64_t>{0, rows})};
    auto fill = [&](auto column, std::int64_t width) {
        batch.set_width(column, width);
        for (double& x : batch[column]) x = coarse ? 0.5 * double(draw.whole(-2, 2)) : draw.real(-1, 1);
    };
    fill(col::state{}, 2), fill(col::action{}, 2), fill(col::policy_action{}, 2), fill(col::q_gradient{}, 2);
    fill(col::q{}, 1);
    for (double& mask : batch[col::mask{}]) mask = 1;
    return batch;
}

struct Outcome {
    double loss;
    std::vector<Neighbour> found;
};
Outcome constrain(const regularizer::DatasetConstraint& part, const Transitions& data, Transitions& batch) {
    backend::Host host;
    roars::Run run{host};
    regularizer::DataRows rows;
    part.on_dataset(run, rows, data);
    auto term = std::get<0>(part.terms(rows));
    term.prepare(run, batch);
    auto result = evaluate(host, batch, {count(host, batch)}, Weighed{term, aggregate::TokenMean{}});
    return {result.loss(), term.neighbours(run, batch)};
}

RC_GTEST_PROP(DatasetConstraint, PullsToTheNearestRowOfAllAndTheGradientIsTheFiniteDifference, ()) {
    Draw draw = any_draw();
    auto data = any_rows(draw, draw.whole(1, 40), draw.chance(0.5)), batch = any_rows(draw, draw.whole(1, 8), false);
    regularizer::DatasetConstraint part{.coefficient = 0.7, .beta = draw.real(0, 3)};
    auto [loss, found] = constrain(part, data, batch);
    double expected = 0;
    for (std::int64_t i = 0; i < batch.tokens(); ++i) {
        double nearest = std::numeric_limits<double>::infinity();
        std::int64_t index = -1;
        for (std::int64_t j = 0; j < data.tokens(); ++j) {
            double distance = 0;
            for (std::size_t c = 0; c < 2; ++c) {
                double by_state = part.beta * batch.row(col::state{}, i)[c] - part.beta * data.row(col::state{}, j)[c];
                double by_action = batch.row(col::policy_action{}, i)[c] - data.row(col::action{}, j)[c];
                distance += by_state * by_state + by_action * by_action;
            }
            if (distance < nearest - 1e-12) nearest = distance, index = j;
        }
        auto at = std::size_t(i);
        RC_ASSERT(close(found[at].distance, std::sqrt(nearest)));
        for (std::size_t c = 0; c < 2; ++c) {
            double guide = batch.row(col::neighbour_action{}, i)[c];
            RC_ASSERT(guide == data.row(col::action{}, found[at].index)[c]);
            double away = batch.row(col::policy_action{}, i)[c] - guide;
            expected += 0.7 * away * away / double(2 * batch.tokens());
        }
        RC_ASSERT(index == found[at].index);
    }
    RC_ASSERT(close(loss, expected));
    // Moving an action by a little does not change its neighbour, almost surely.
    Values gradient(batch[col::grad<col::policy_action>{}].begin(), batch[col::grad<col::policy_action>{}].end());
    for (std::size_t c = 0; c < gradient.size(); ++c) {
        auto moved = batch;
        moved[col::policy_action{}][c] += 1e-7;
        double above = constrain(part, data, moved).loss;
        moved[col::policy_action{}][c] -= 2e-7;
        RC_ASSERT(std::abs((above - constrain(part, data, moved).loss) / 2e-7 - gradient[c]) <= 1e-5);
    }
}

TEST(DatasetConstraint, ExactHitsOneRowAndTies) {
    Draw draw(1);
    auto data = any_rows(draw, 6, false);
    auto batch = data;
    std::copy(data[col::action{}].begin(), data[col::action{}].end(), batch[col::policy_action{}].begin());
    auto hit = constrain({}, data, batch);
    EXPECT_EQ(hit.loss, 0.0);
    for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(hit.found[i].index, std::int64_t(i));
    for (double slope : batch[col::grad<col::policy_action>{}]) EXPECT_EQ(slope, 0.0);

    auto one = any_rows(draw, 1, false), many = any_rows(draw, 9, false);
    for (const Neighbour& each : constrain({}, one, many).found) EXPECT_EQ(each.index, 0);
    EXPECT_THROW(constrain({.k = 2}, one, many), Error);

    // Mirrored actions, and every row twice.
    auto pair = any_rows(draw, 4, false), asked = any_rows(draw, 1, false);
    for (double& x : pair[col::state{}]) x = 0.0;
    for (double& x : asked[col::state{}]) x = 0.0;
    for (double& x : asked[col::policy_action{}]) x = 0.0;
    const Values mirrored{0.5, 0, -0.5, 0, 0.5, 0, -0.5, 0};
    std::copy(mirrored.begin(), mirrored.end(), pair[col::action{}].begin());
    for (std::int64_t k = 1; k <= 4; ++k) EXPECT_EQ(constrain({.k = k}, pair, asked).found[0].index, k - 1);
}

TEST(DatasetConstraint, BothEndsOfBeta) {
    Draw draw(2);
    auto data = any_rows(draw, 50, false);
    auto batch = data;
    for (double& x : batch[col::policy_action{}]) x = draw.real(-1, 1);
    // States far apart: the row itself, as in behaviour cloning.
    auto own = constrain({.beta = 1e4}, data, batch);
    for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(own.found[i].index, std::int64_t(i));
    backend::Host host;
    auto cloned = batch;
    double cloning =
        evaluate(host, cloned, {count(host, cloned)}, Weighed{regularizer::BehaviourCloning{}, aggregate::TokenMean{}})
            .loss();
    EXPECT_NEAR(own.loss, cloning, 1e-12);
    EXPECT_EQ(constrain({.beta = 1e100}, data, batch).found[7].index, 7);
    EXPECT_THROW(constrain({.beta = 1e200}, data, batch), Error);
    // beta 0: the states do not matter.
    auto elsewhere = batch;
    for (double& x : elsewhere[col::state{}]) x += draw.real(-5, 5);
    auto first = constrain({.beta = 0}, data, batch), second = constrain({.beta = 0}, data, elsewhere);
    for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(first.found[i].index, second.found[i].index);
}

TEST(DatasetConstraint, MaskedRowsAreNotLookedAtAndAFaultIsNamed) {
    Draw draw(3);
    auto data = any_rows(draw, 5, false), batch = any_rows(draw, 3, false);
    batch[col::mask{}][1] = 0;
    batch.row(col::policy_action{}, 1)[0] = not_a_number;
    EXPECT_TRUE(std::isfinite(constrain({}, data, batch).loss));
    EXPECT_EQ(batch.row(col::grad<col::policy_action>{}, 1)[0], 0.0);
    batch[col::mask{}][1] = 1;
    EXPECT_THROW(constrain({}, data, batch), Error);
    Transitions nothing;
    EXPECT_THROW(constrain({}, nothing, batch), Error);
    EXPECT_EQ(constrain({}, data, nothing).loss, 0.0);
    data.row(col::action{}, 2)[1] = std::numeric_limits<double>::infinity();
    EXPECT_THROW(constrain({}, data, batch), Error);
}

/// The actor's loss as an algorithm has it: the climb and the constraint in one pass.
TEST(DatasetConstraint, StandsInAnAlgorithmAndInASum) {
    using Actor =
        Algorithm<sampler::Groups, reward::None, advantage::None, regularizer::Sum<regularizer::DatasetConstraint>,
                  optimizer::PolicyGradient<surrogate::NormalisedClimb, aggregate::TokenMean, step::AdamW>>;
    Draw draw(4);
    auto data = any_rows(draw, 20, false), batch = any_rows(draw, 4, false);
    Actor actor;
    actor.optimizer.surrogate.alpha = 0.1;
    backend::Host host;
    roars::Run run{host};
    Actor::State state;
    roars::detail::call_on_dataset(actor.regularizer, run, state.regularizer, data);
    auto result = actor.objective(run, state, batch);
    double size = 0, q = 0;
    for (double each : batch[col::q{}]) size += std::abs(each) / 4, q += each / 4;
    EXPECT_NEAR(result.loss(), -0.1 / size * q + constrain({}, data, batch).loss, 1e-12);
    static_assert(contains_v<col::state, Actor::Inputs> && !contains_v<col::neighbour_action, Actor::Inputs>);
}

TEST(NormalisedClimb, AFloorForActionValuesOfZero) {
    Draw draw(5);
    backend::Host host;
    roars::Run run{host};
    auto batch = any_rows(draw, 1, false);
    batch[col::q{}][0] = 0.0;
    surrogate::NormalisedClimb climb{.alpha = 2.5, .floor = 1e-8};
    EXPECT_EQ(climb.with(roars::detail::reduce_base(climb, run, batch)).scale, 2.5e8);
    EXPECT_EQ(surrogate::NormalisedClimb{}.with(roars::detail::reduce_base(climb, run, batch)).scale, 0.0);
    batch[col::q{}][0] = -0.5;
    EXPECT_EQ(climb.with(roars::detail::reduce_base(climb, run, batch)).scale, 5.0);
}

RC_GTEST_PROP(Standardise, GivesMeanZeroAndTheInverseOfItsOwnUnits, ()) {
    Draw draw = any_draw();
    backend::Host host;
    std::int64_t rows = draw.whole(1, 30);
    Values states(std::size_t(3 * rows));
    for (std::size_t i = 0; i < states.size(); ++i) states[i] = i % 3 == 2 ? 7.1 : draw.real(-100, 3);
    sampler::Standardise part;
    using Read = critic::Rows<const double>;
    auto moments = part.moments_of(host, Read{states, 3});
    Values before = states;
    part.apply(host, moments, critic::Rows<double>{states, 3});
    for (std::size_t c = 0; c < 3; ++c) {
        double sum = 0;
        for (std::size_t i = c; i < states.size(); i += 3) {
            sum += states[i];
            RC_ASSERT(close(states[i] * (moments.spread[c] + 1e-3) + moments.mean[c], before[i]));
        }
        RC_ASSERT(std::abs(sum) <= 1e-8);
    }
    for (std::size_t i = 2; i < states.size(); i += 3) RC_ASSERT(states[i] == 0.0);  // a column of equal numbers
}
TEST(Standardise, AnotherWidthOrNoRowIsRefused) {
    backend::Host host;
    sampler::Standardise part;
    Values states{1, 2};
    EXPECT_THROW(part.moments_of(host, critic::Rows<const double>{{}, 2}), Error);
    auto moments = part.moments_of(host, critic::Rows<const double>{states, 2});
    EXPECT_THROW(part.apply(host, moments, critic::Rows<double>{states, 1}), Error);
}

TEST(ScaledStep, ScalesThenShifts) {
    backend::Host host;
    roars::Run run{host};
    Batch<double, columns<col::step_reward, col::token_reward>> batch{Offsets(std::vector<std::int64_t>{0, 2})};
    batch[col::step_reward{}][1] = 1.0;
    reward::ScaledStep{10000, -1}.score(run, batch);
    EXPECT_EQ(batch[col::token_reward{}][0], -1.0);
    EXPECT_EQ(batch[col::token_reward{}][1], 9999.0);
}

/// Logged steps of the cliff bandit: the action 0.25 in every second row, -0.5 in the others.
struct Log {
    std::int64_t observation_size = 1, action_size = 1;
    std::vector<float> state, action, reward, next_state;
    std::vector<std::uint8_t> terminated, truncated;
    std::int64_t rows() const { return std::ssize(reward); }
};
Log two_actions() {
    Log log;
    for (int row = 0; row < 40; ++row) {
        log.state.push_back(0.05f * float(row) - 1);
        log.action.push_back(row % 2 == 0 ? 0.25f : -0.5f);
        log.reward.push_back(log.action.back());
        log.terminated.push_back(1), log.truncated.push_back(0);
    }
    log.next_state = log.state;
    return log;
}

/// As a method, trained by the trainer, which shows the data to the constraint before the first update.
TEST(Prdc, IsTrainedOnADataSetAndIsAFunctionOfTheSeed) {
    using Learner = train::ControlLearner<env::CliffBandit, actor::DeterministicAction>;
    auto method = methods::prdc;
    method.sampler.batch_size = 16;
    method.advantage.network.width = 16;
    method.advantage.step.learning_rate = method.optimizer.step.learning_rate = 3e-3;
    method.optimizer.surrogate.alpha = 0.05;
    auto trained = [&](std::uint64_t seed, std::int64_t updates) {
        backend::Host host;
        Learner learner(env::CliffBandit{}, {.width = 16, .layers = 1}, seed);
        learner.learn_from(two_actions());
        train::Trainer<methods::DatasetConstrained, Learner> trainer(method, learner);
        double error = 0;
        for (std::int64_t i = 0; i < updates; ++i) {
            roars::Run run{host, Random(seed).at(std::uint32_t(i)), Progress{i, updates}};
            trainer.advance(run);
            if (i % 2 == 0) error = trainer.result().metric("action_error");
        }
        auto values = learner.parameters().values();
        return std::pair{error, std::vector<float>(values.begin(), values.end())};
    };
    EXPECT_EQ(trained(1, 4).second, trained(1, 4).second);
    EXPECT_NE(trained(1, 4).second, trained(2, 4).second);
    double before = trained(1, 1).first, after = trained(1, 300).first;
    EXPECT_LT(after, 0.5 * before) << "the policy's actions come to actions of the data";
    Learner without(env::CliffBandit{}, {}, 1);
    train::Trainer<methods::DatasetConstrained, Learner> trainer(method, without);
    backend::Host host;
    roars::Run run{host};
    EXPECT_THROW(trainer.advance(run), Error) << "there is no data";
}

}  // namespace
}  // namespace roars::prdc_test
