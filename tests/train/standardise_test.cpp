#include <cmath>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "roars/actors/heads.hpp"
#include "roars/environments/pendulum.hpp"
#include "roars/methods/offline.hpp"
#include "roars/train/control_learner.hpp"

/// States in the units of the data: rows, steps of the world and measurements in one and the same.
namespace roars::standardise_test {
namespace {

using Learner = train::ControlLearner<env::Pendulum, actor::DeterministicAction>;
using Method = methods::TwinDelayedCloning;

struct Log {
    std::int64_t observation_size = 3, action_size = 1;
    std::vector<float> state, action, reward, next_state;
    std::vector<std::uint8_t> terminated, truncated;
    std::int64_t rows() const { return std::ssize(reward); }
};
/// Columns of mean 5, -1 and 0.3, the last one always the same.
Log log_of(std::int64_t rows) {
    Log log;
    RandomStream random(Random(3, Purpose::task));
    for (std::int64_t i = 0; i < rows; ++i) {
        for (auto* to : {&log.state, &log.next_state})
            for (double x : {5 + 2 * random.normal(), -1 + 0.1 * random.normal(), 0.3})
                to->push_back(static_cast<float>(x));
        log.action.push_back(static_cast<float>(random.uniform()));
        log.reward.push_back(1);
    }
    log.terminated.assign(log.reward.size(), 0);
    log.truncated.assign(log.reward.size(), 0);
    return log;
}
train::ControlSettings small() { return {.width = 8, .layers = 1, .evaluation_episodes = 2}; }
Method method(bool standardise) {
    Method method = methods::td3_bc;
    method.sampler = {.batch_size = 16, .standardise = standardise};
    method.advantage.network = {.width = 8, .layers = 1};
    return method;
}
using BatchType = train::Trainer<Method, Learner>::BatchType;

BatchType all_rows(const Learner& learner) {
    BatchType batch;
    learner.all_rows(batch);
    return batch;
}

TEST(StandardisedStates, RowsHaveMeanZeroAndSpreadOneAndNextStatesTheSameUnits) {
    Learner learner(env::Pendulum{}, small(), 1);
    auto log = log_of(200);
    learner.learn_from(log);
    train::Trainer<Method, Learner> trainer(method(true), learner);
    auto batch = all_rows(learner);
    const auto& moments = learner.moments();
    for (std::size_t j = 0; j < 3; ++j) {
        double sum = 0, squares = 0;
        for (std::int64_t i = 0; i < 200; ++i) {
            double x = batch.row(col::state{}, i)[j], next = log.next_state[std::size_t(i) * 3 + j];
            sum += x, squares += x * x;
            EXPECT_NEAR(batch.row(col::next_state{}, i)[j], (next - moments.mean[j]) / (moments.spread[j] + 1e-3),
                        1e-5);
        }
        EXPECT_NEAR(sum / 200, 0, 1e-5);
        EXPECT_NEAR(std::sqrt(squares / 200), j < 2 ? moments.spread[j] / (moments.spread[j] + 1e-3) : 0.0, 1e-5);
    }
}

TEST(StandardisedStates, WhatIsMetInTheWorldIsInTheUnitsOfTheData) {
    Learner plain(env::Pendulum{}, small(), 1), shown(env::Pendulum{}, small(), 1);
    shown.standardise();  // before there is data, as well as behind it
    shown.learn_from(log_of(50));
    backend::Host host;
    roars::Run run{host, Random(1)};
    BatchType raw, batch;
    plain.roll_steps(run, raw, 5, true);
    shown.roll_steps(run, batch, 5, true);
    auto in_units = [&](double x, std::size_t j) {
        return (x - shown.moments().mean[j]) / (shown.moments().spread[j] + 1e-3);
    };
    for (std::int64_t t = 0; t < 5; ++t)
        for (std::size_t j = 0; j < 3; ++j) {
            EXPECT_NEAR(batch.row(col::state{}, t)[j], in_units(raw.row(col::state{}, t)[j], j), 1e-3);
            EXPECT_NEAR(batch.row(col::next_state{}, t)[j], in_units(raw.row(col::next_state{}, t)[j], j), 1e-3);
        }
}

TEST(StandardisedStates, MomentsStayThoseOfTheFirstDataAndHoldForAnExpertsRows) {
    Learner learner(env::Pendulum{}, small(), 1);
    learner.learn_from_demonstrations(log_of(10));
    learner.learn_from(log_of(50));
    learner.standardise();
    auto first = learner.moments().mean;
    auto other = log_of(20);
    for (float& x : other.state) x += 100;
    learner.learn_from(other);
    EXPECT_EQ(learner.moments().mean, first);
    backend::Host host;
    roars::Run run{host, Random(1)};
    BatchType given;
    learner.demonstrate(run, given, 8);
    for (float x : given[col::state{}]) EXPECT_LT(std::abs(x), 6);  // in their own units they are about 5 and -1
    EXPECT_NEAR(all_rows(learner).row(col::state{}, 0)[1],
                (other.state[1] - first[1]) / (learner.moments().spread[1] + 1e-3), 1e-2);
}

/// A policy that was trained on standardised states is measured on them, also behind its checkpoint and without data.
TEST(StandardisedStates, AMeasurementAndACheckpointKeepTheUnits) {
    Learner learner(env::Pendulum{}, small(), 1);
    learner.learn_from(log_of(200));
    train::Trainer<Method, Learner> trainer(method(true), learner);
    backend::Host host;
    for (int i = 0; i < 20; ++i) {
        roars::Run run{host, Random(1).at(std::uint32_t(i)), Progress{i, 20}};
        trainer.advance(run);
    }
    roars::Run run{host, Random(1)};
    Tensors file;
    learner.write(file);
    const double mean = learner.evaluate(run).mean;
    Learner restored(env::Pendulum{}, small(), 1), raw(env::Pendulum{}, small(), 1);
    restored.read(file);
    EXPECT_EQ(restored.evaluate(run).mean, mean);
    auto from = std::as_const(learner).parameters().values();
    std::copy(from.begin(), from.end(), raw.parameters().values().begin());
    EXPECT_NE(raw.evaluate(run).mean, mean) << "the same network in other units is another policy";
}

TEST(StandardisedStates, AMethodThatDoesNotAskLeavesThemAlone) {
    Learner learner(env::Pendulum{}, small(), 1);
    auto log = log_of(5);
    learner.learn_from(log);
    train::Trainer<Method, Learner> trainer(method(false), learner);
    EXPECT_TRUE(learner.moments().mean.empty());
    auto rows = all_rows(learner);
    EXPECT_TRUE(std::equal(log.state.begin(), log.state.end(), rows[col::state{}].begin()));
}

TEST(StandardisedStates, ASourceThatCannotIsRefused) {
    struct Plain {
    } source;
    EXPECT_THROW((sampler::DataRows{.standardise = true}.prepare(source)), Error);
    EXPECT_NO_THROW((sampler::DataRows{}.prepare(source)));
}

}  // namespace
}  // namespace roars::standardise_test
