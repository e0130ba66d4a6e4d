#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "../advantage/random_batch.hpp"
#include "roars/environments/continuous_bandit.hpp"
#include "roars/methods/behaviour_model.hpp"
#include "roars/train/control_learner.hpp"

namespace roars::behaviour_model_test {
namespace {

using Values = std::vector<double>;

template <class Part>
using BatchOf = Batch<double, unite_t<needs_of<Part>, gives_of<Part>, columns<col::mask>>>;

/// Rows of two numbers of state and of action; the policy says `said` numbers, of the next state `samples` times.
template <class Part>
BatchOf<Part> any_rows(Draw& draw, std::int64_t rows, std::int64_t said, std::int64_t samples) {
    BatchOf<Part> batch{Offsets(std::vector<std::int64_t>{0, rows})};
    auto set = [&]<class Column>(Column column, std::int64_t width) {
        if constexpr (contains_v<Column, needs_of<Part>>) batch.set_width(column, width);
    };
    set(col::state{}, 2), set(col::next_state{}, 2), set(col::action{}, 2);
    set(col::policy_action{}, said), set(col::next_target_action{}, samples * said), set(col::policy_samples{}, 6);
    set(col::proposed_action{}, 2), set(col::next_proposed_action{}, 2 * samples);
    for_each_column(needs_of<Part>{}, [&]<class Column>(Column column) {
        for (double& x : batch[column]) x = draw.real(-0.9, 0.9);
    });
    for (double& x : batch[col::terminated{}]) x = draw.chance(0.3);
    for (double& x : batch[col::mask{}]) x = 1;
    return batch;
}
template <class Part>
Part small_part() {
    Part part;
    part.critics.network = {.width = 6, .layers = 1};
    part.model.width = 5, part.model.layers = 1;
    return part;
}

using Moved = advantage::ModelCritics<critic::carried::Moved, critic::PolicyValue::first>;
using Decoded = advantage::ModelCritics<critic::carried::Decoded, critic::PolicyValue::first>;
using AsSaid = advantage::ModelCritics<critic::carried::AsSaid, critic::PolicyValue::least>;

/// q_gradient is the derivative of q by what the policy says, through model and critics.
template <class Part>
void expect_the_slope(std::int64_t said, std::int64_t samples) {
    Draw draw = any_draw();
    backend::Host host;
    Part part = small_part<Part>();
    typename Part::template StateOf<double> state;
    roars::Run run{host, Random(3)};
    auto batch = any_rows<Part>(draw, 3, said, samples);
    for (int i = 0; i < 2; ++i) part.learn(run, state, batch);
    part.estimate(run, state, batch);
    Values slope(batch[col::q_gradient{}].begin(), batch[col::q_gradient{}].end());
    RC_ASSERT(std::ssize(slope) == 3 * said);
    for (std::size_t i = 0; i < slope.size(); ++i) {
        auto moved = batch;
        auto value = [&](double by) {
            moved[col::policy_action{}][i] = batch[col::policy_action{}][i] + by;
            part.estimate(run, state, moved);
            return double(moved[col::q{}][i / std::size_t(said)]);
        };
        double difference = (value(1e-6) - value(-1e-6)) / 2e-6;
        RC_ASSERT(std::abs(difference - slope[i]) <= 1e-5);
    }
}
RC_GTEST_PROP(ModelCritics, TheSlopeIsByWhatThePolicySays, ()) {
    expect_the_slope<Moved>(2, 3);
    expect_the_slope<Decoded>(4, 1);
    expect_the_slope<AsSaid>(2, 3);
}

/// The target of a row is BatchConstrained's, by critics of the actions that Carried makes.
TEST(ModelCritics, TheTargetIsTheBestOfTheCarriedActions) {
    Draw draw(2);
    backend::Host host;
    Moved part = small_part<Moved>();
    part.carried.move.range = 0.3;
    part.critics.polyak.tau = 0.0;  // the targets stay as they were
    Moved::StateOf<double> state;
    roars::Run run{host, Random(3)};
    auto batch = any_rows<Moved>(draw, 5, 2, 3);
    part.learn(run, state, batch);
    for (std::int64_t t = 0; t < 5; ++t) {
        double best = -1e9;
        for (std::int64_t j = 0; j < 3; ++j) {
            Values row(batch.row(col::next_state{}, t).begin(), batch.row(col::next_state{}, t).end());
            for (std::size_t d = 0; d < 2; ++d)
                row.push_back(std::clamp(batch.row(col::next_proposed_action{}, t)[std::size_t(j) * 2 + d] +
                                             0.3 * batch.row(col::next_target_action{}, t)[std::size_t(j) * 2 + d],
                                         -1.0, 1.0));
            auto& networks = state.critics.networks;
            double first = networks.forward_target(0, row)[0], second = networks.forward_target(1, row)[0];
            best = std::max(best, 0.75 * std::min(first, second) + 0.25 * std::max(first, second));
        }
        double next = batch[col::terminated{}][std::size_t(t)] != 0 ? 0.0 : 0.99 * best;
        EXPECT_NEAR(state.critics.y[std::size_t(t)], batch[col::token_reward{}][std::size_t(t)] + next, 1e-12);
    }
}

TEST(ModelCritics, LearnInTheirOrderAndRefuseWhatDoesNotFit) {
    Draw draw(2);
    backend::Host host;
    Decoded part = small_part<Decoded>();
    part.model_batches = 2, part.critics_after = 3, part.policy_after = 4;
    Decoded::StateOf<double> state;
    auto batch = any_rows<Decoded>(draw, 4, 4, 1);
    Values model, critics;
    for (std::uint32_t i = 0; i < 6; ++i) {
        roars::Run run{host, Random(3).at(i)};
        part.learn(run, state, batch);
        EXPECT_EQ(i > 0 && model == state.model.parameters, i >= 2) << i;
        EXPECT_EQ(critics == state.critics.networks.online, i < 3) << i;
        model = state.model.parameters, critics = state.critics.networks.online;
        part.estimate(run, state, batch);
        double size = 0;
        for (double x : batch[col::q_gradient{}]) size += std::abs(x);
        EXPECT_EQ(size > 0, i >= 4) << i;
    }
    roars::Run run{host, Random(3)};
    auto narrow = any_rows<Decoded>(draw, 4, 3, 1);
    EXPECT_THROW(part.learn(run, state, narrow), Error);
    part.model.loss.threshold = 0.0;
    EXPECT_THROW(part.learn(run, state, batch), Error);
    BatchOf<Decoded> nothing;
    part.learn(run, state, nothing);
    part.estimate(run, state, nothing);
}

/// Bandit data whose actions are all in [-0.5, 0.3], more of them low: the best of them is 0.3. The reward would rise
/// to 0.7, where there is no data.
struct Data {
    std::int64_t observation_size = 1, action_size = 1;
    std::vector<float> state, action, reward, next_state;
    std::vector<std::uint8_t> terminated, truncated;
    std::int64_t rows() const { return std::ssize(reward); }
};
Data bandit_rows() {
    Data data;
    env::CliffBandit world{.wave = 0.0};
    auto episode = env::Episode<env::CliffBandit>::of(9);
    RandomStream random{Random(9)};
    for (int i = 0; i < 2000; ++i) {
        episode.reset(world);
        data.state.push_back(float(episode.state.context));
        data.action.push_back(float(0.8 * std::pow(random.uniform(), 1.5) - 0.5));
        data.reward.push_back(float(episode.step(world, std::span<const float>(&data.action.back(), 1)).reward));
        data.next_state.push_back(0);
        data.terminated.push_back(1);
        data.truncated.push_back(0);
    }
    return data;
}
/// The mean return, which is the mean action.
template <class Head, class Method>
double trained(const Data& data, Method method, std::int64_t updates) {
    backend::Host host;
    env::CliffBandit world{.wave = 0.0};
    using Learner = train::ControlLearner<env::CliffBandit, Head>;
    Learner learner(world, {.width = 16, .candidates = 20, .evaluation_episodes = 50}, 1);
    learner.learn_from(data);
    method.sampler.batch_size = 64;
    method.optimizer.step.learning_rate = 3e-3;
    method.advantage.critics.network = {.width = 16, .layers = 2};
    method.advantage.critics.step.learning_rate = 3e-3;
    method.advantage.model.width = 16;
    method.advantage.model.loss.divergence_weight = 0.01;
    method.advantage.model.step.learning_rate = 3e-3;
    train::Trainer<Method, Learner> trainer(method, learner);
    for (std::int64_t i = 0; i < updates; ++i) {
        roars::Run run{host, Random(1).at(std::uint32_t(i)), Progress{i, updates}};
        trainer.advance(run);
    }
    roars::Run run{host, Random(1)};
    double said = learner.evaluate(run).mean;
    EXPECT_EQ(said, learner.evaluate(run).mean) << "draws of an evaluation are the same ones";
    return said;
}

TEST(BehaviourModel, ThePolicyFindsTheBestActionOfTheDataAndNoneBeyond) {
    Data data = bandit_rows();
    double mean = 0;
    for (float action : data.action) mean += double(action) / double(data.rows());
    EXPECT_NEAR(mean, -0.18, 0.02);
    auto bear = methods::bear;
    bear.advantage.policy_after = 300;
    bear.regularizer.weight.target = 0.08;
    bear.regularizer.weight.step.learning_rate = 1e-2;
    auto plas = methods::plas;
    plas.advantage.model_batches = plas.advantage.critics_after = plas.advantage.policy_after = 500;
    // Codes of proposals are within half a deviation; BCQ moves them by 0.05.
    const double proposed = trained<actor::MovedProposal>(data, methods::bcq, 1000),
                 matched = trained<actor::BestOfDraws>(data, bear, 2000),
                 decoded = trained<actor::ChosenCode>(data, plas, 1000);
    EXPECT_GT(proposed, mean + 0.12);
    EXPECT_LT(proposed, 0.3);
    EXPECT_GT(matched, mean + 0.2);
    EXPECT_LT(matched, 0.45);
    EXPECT_GT(decoded, mean + 0.2);
    EXPECT_LT(decoded, 0.4);
}

/// Without a climb there is the discrepancy alone, and it brings the policy's draws to the data's.
TEST(BehaviourModel, TheDiscrepancyAloneImitates) {
    Data data = bandit_rows();
    for (float& action : data.action) action = 0.5f;
    auto bear = methods::bear;
    bear.regularizer.term.kernel.sigma = 0.5;
    EXPECT_NEAR(trained<actor::BestOfDraws>(data, bear, 800), 0.5, 0.1);
}

}  // namespace
}  // namespace roars::behaviour_model_test
