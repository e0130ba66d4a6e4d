#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "roars/environments/continuous_bandit.hpp"
#include "roars/environments/tabular_mdp.hpp"
#include "roars/methods/dqn.hpp"
#include "roars/methods/offline.hpp"
#include "roars/methods/sac.hpp"
#include "roars/train/control_learner.hpp"

namespace roars::control_test {
namespace {

/// Three states in a row: right leads on and pays 1 behind the last, left ends the world and pays 0.2 (0.9 in the
/// second).
struct Row : env::TabularMdp<3, 2, 10> {
    Row() {
        start = {1, 0, 0};
        offsets = {0, 1, 2, 3, 4, 5, 6};
        probability = {1, 1, 1, 1, 1, 1};
        next = {0, 1, 0, 2, 0, 0};
        reward = {0.2, 0, 0.9, 0, 0.2, 1};
        terminated = {1, 0, 1, 0, 1, 1};
    }
};

/// Without hidden layers and on states as rows with one 1 the network is a table: the optimum is met exactly.
TEST(Control, DoubleDqnFindsTheOptimumOfASmallMdp) {
    const double gamma = 0.8;
    auto method = methods::double_dqn;
    method.sampler = {.capacity = 2000, .batch_size = 32, .random_steps = 1000000, .warm_up = 50};
    method.advantage.gamma = gamma;
    method.optimizer.surrogate.delta = 100;
    method.optimizer.step.base.base.learning_rate = 0.02;
    using Learner = train::ControlLearner<Row, actor::ActionValues>;
    Learner learner(Row{}, {.layers = 0, .target_tau = 0.1}, 3);
    train::Trainer<methods::DoubleDeepQ, Learner> trainer(method, learner);
    backend::Host host;
    for (std::int64_t i = 0; i < 2500; ++i) {
        roars::Run run{host, Random(3).at(std::uint32_t(i)), Progress{i, 2500}};
        trainer.advance(run);
    }
    const double last = 1, middle = std::max(0.9, gamma * last), first = std::max(0.2, gamma * middle);
    const double expected[3][2] = {{0.2, gamma * middle}, {0.9, gamma * last}, {0.2, last}};
    auto w = learner.parameters().values("policy.layers.0.weight"),
         b = learner.parameters().values("policy.layers.0.bias");
    for (std::size_t s = 0; s < 3; ++s)
        for (std::size_t a = 0; a < 2; ++a) EXPECT_NEAR(w[s * 2 + a] + b[a], expected[s][a], 0.02) << s << " " << a;
    roars::Run run{host, Random(3)};
    EXPECT_NEAR(learner.evaluate(run).mean, 0.9, 1e-9)
        << "the optimal walk goes right, then left; its value is " << first;
}

TEST(Control, SoftActorCriticClimbsAOneStepBandit) {
    auto method = methods::sac;
    method.sampler = {.capacity = 5000, .batch_size = 32, .random_steps = 100, .warm_up = 100};
    method.advantage.network = {.width = 16, .layers = 2};
    method.advantage.step.learning_rate = method.optimizer.step.learning_rate = 3e-3;
    method.regularizer.step.learning_rate = 3e-3;
    method.regularizer.initial = 0.2;
    using Learner = train::ControlLearner<env::TargetBandit<1>, actor::SquashedGaussian>;
    Learner learner(env::TargetBandit<1>{}, {.width = 16, .evaluation_episodes = 50}, 5);
    train::Trainer<methods::SoftActorCritic, Learner> trainer(method, learner);
    backend::Host host;
    roars::Run measure{host, Random(5)};
    const double before = learner.evaluate(measure).mean;
    for (std::int64_t i = 0; i < 1500; ++i) {
        roars::Run run{host, Random(5).at(std::uint32_t(i)), Progress{i, 1500}};
        trainer.advance(run);
    }
    const double after = learner.evaluate(measure).mean;
    EXPECT_LT(before, -0.05);
    EXPECT_GT(after, -0.01) << "from " << before;
    EXPECT_LT(method.regularizer.alpha(trainer.state.regularizer), 0.2) << "the temperature did not learn";
}

template <class Target>
using ColumnsOf =
    unite_t<needs_of<advantage::ActionCritics<Target>>, gives_of<advantage::ActionCritics<Target>>, columns<col::mask>>;
template <class Target>
auto random_batch(std::int64_t rows) {
    Batch<double, ColumnsOf<Target>> batch;
    const std::int64_t whole[] = {0, rows};
    batch.reshape(whole);
    std::uint32_t number = 0;
    auto fill = [&]<class Column>(Column column, std::int64_t width) {
        if constexpr (Batch<double, ColumnsOf<Target>>::template has<Column>) {
            batch.set_width(column, width);
            fill_normal(Random(11), ++number, batch[column]);
        }
    };
    fill(col::state{}, 3), fill(col::next_state{}, 3), fill(col::action{}, 2), fill(col::policy_action{}, 2);
    fill(col::next_policy_action{}, 2), fill(col::next_target_action{}, 2), fill(col::next_bonus{}, 1);
    fill(col::token_reward{}, 1);
    for (std::int64_t t = 0; t < rows; ++t) {
        batch[col::mask{}][std::size_t(t)] = t % 5 != 4;
        batch[col::terminated{}][std::size_t(t)] = t % 3 == 0;
    }
    return batch;
}

/// q_gradient is the slope of q, whichever of the critics it is of, and the critics approach their target.
template <class Target>
void check_critics(std::int64_t critics) {
    advantage::ActionCritics<Target> part{.network = {.width = 8, .layers = 2, .layer_norm = true}, .critics = critics};
    part.step.learning_rate = 1e-3;
    typename advantage::ActionCritics<Target>::template StateOf<double> state;
    auto batch = random_batch<Target>(23);
    backend::Host host;
    roars::Run run{host, Random(2)};
    part.learn(run, state, batch);
    const double first = state.loss;
    for (int i = 0; i < 300; ++i) part.learn(run, state, batch);
    EXPECT_LT(state.loss, 0.5 * first);
    part.estimate(run, state, batch);
    std::vector<double> said(batch[col::q_gradient{}].begin(), batch[col::q_gradient{}].end());
    for (std::size_t c = 0; c < said.size(); ++c) {
        double& action = batch[col::policy_action{}][c];
        const double kept = action, step = 1e-6;
        auto q_at = [&](double value) {
            action = value;
            part.estimate(run, state, batch);
            action = kept;
            return batch[col::q{}][c / 2];
        };
        double above = q_at(kept + step), below = q_at(kept - step);
        EXPECT_NEAR(said[c], (above - below) / (2 * step), 1e-6 * (1 + std::abs(said[c]))) << c;
    }
    // What is masked or terminated is not looked at.
    auto other = batch;
    for (std::size_t t = 4; t < 23; t += 5) other[col::token_reward{}][t] = 1e6;
    auto copy = state;
    part.learn(run, copy, other);
    part.learn(run, state, batch);
    EXPECT_EQ(copy.networks.online, state.networks.online);
}

TEST(Control, CriticsGiveTheSlopeOfWhatThePolicyClimbs) {
    check_critics<critic::SoftTarget>(2);
    check_critics<critic::SmoothedTarget>(2);
    check_critics<critic::RandomSubsetTarget>(4);
}

TEST(Control, TheTemperatureRisesWhereThePolicyIsTooSure) {
    regularizer::EntropyTemperature part{.initial = 0.5};
    using Wide = Batch<double, columns<col::next_policy_action, col::next_logp, col::next_bonus>>;
    const std::int64_t whole[] = {0, 2};
    Wide batch{Offsets(whole)};
    batch.set_width(col::next_policy_action{}, 3);
    batch[col::next_logp{}][0] = -2;
    batch[col::next_logp{}][1] = 4;
    backend::Host host;
    roars::Run run{host};
    regularizer::EntropyTemperature::State state;
    part.shape(run, state, batch);
    EXPECT_NEAR(batch[col::next_bonus{}][0], 1.0, 1e-7);
    EXPECT_NEAR(batch[col::next_bonus{}][1], -2.0, 1e-7);
    auto observed = [&](double logp) {
        Result<regularizer::EntropyTerm> result;
        result.tokens = 2;
        result.metric_sum[0] = 2 * logp;
        double before = part.alpha(state);
        part.observe(run, state, result);
        return part.alpha(state) - before;
    };
    EXPECT_GT(observed(5.0), 0);  // entropy -5 is below the target of -3
    state.moments = {};
    EXPECT_LT(observed(1.0), 0);
}

/// Steps whose reward is their number, in two environments; every fourth step of an environment ends an episode.
struct Counting {
    std::int64_t taken = 0;
    template <class RunType, class BatchType>
    void roll_steps(RunType&, BatchType& batch, std::int64_t steps, bool) {
        const std::int64_t offsets[] = {0, steps, 2 * steps};
        batch.reshape(offsets);
        for (std::int64_t t = 0; t < steps; ++t, ++taken)
            for (std::int64_t e = 0; e < 2; ++e) {
                auto at = std::size_t(e * steps + t);
                batch[col::step_reward{}][at] = float(10 * taken + e);
                batch[col::done{}][at] = taken % 4 == 3;
            }
    }
};

TEST(Control, ADrawFollowsItsEnvironmentToTheEndOfItsEpisode) {
    using Memory = sampler::StepReplay<sampler::places::Uniform>;
    Memory part{.capacity = 30, .batch_size = 200, .random_steps = 0, .warm_up = 10, .steps = 1, .horizon = 3};
    Memory::State state;
    Batch<float, columns<col::step_reward, col::done, col::mask>> batch;
    Counting source;
    backend::Host host;
    bool cut_at_newest = false;
    for (int i = 0; i < 40; ++i) {
        roars::Run run{host, Random(1).at(std::uint32_t(i)), Progress{i, 40}};
        part.collect(run, state, source, batch, [](auto&) {});
        if (i < 4) {
            EXPECT_EQ(batch.tokens(), 0);
            continue;
        }
        ASSERT_EQ(batch.sequences(), 200);
        auto offsets = batch.token_offsets();
        for (std::size_t k = 0; k < 200; ++k) {
            auto first = std::size_t(offsets[k]), end = std::size_t(offsets[k + 1]);
            ASSERT_GE(batch[col::step_reward{}][first], 10.0f * float(std::max(0, i - 14)));
            for (std::size_t t = first; t < end; ++t) {
                EXPECT_EQ(batch[col::mask{}][t], float(t == first));
                EXPECT_EQ(batch[col::step_reward{}][t], batch[col::step_reward{}][first] + 10.0f * float(t - first));
                if (t + 1 < end) {
                    EXPECT_EQ(batch[col::done{}][t], 0.0f);
                }
            }
            if (end - first == 3 || batch[col::done{}][end - 1] != 0) continue;
            EXPECT_GE(batch[col::step_reward{}][end - 1], 10.0f * float(i));
            cut_at_newest = true;
        }
    }
    EXPECT_TRUE(cut_at_newest);
}

TEST(Control, AMemoryIsRecalledFromTheOldestStepOn) {
    using Memory = sampler::StepReplay<sampler::places::Uniform>;
    Memory part{.capacity = 30, .batch_size = 4, .random_steps = 0, .warm_up = 0};
    Memory::State state;
    Batch<float, columns<col::step_reward, col::done, col::mask>> batch, all;
    Counting source;
    backend::Host host;
    for (int i = 0; i < 40; ++i) {
        roars::Run run{host, Random(1).at(std::uint32_t(i)), Progress{i, 40}};
        part.collect(run, state, source, batch, [](auto&) {});
        part.recall(state, all);
        const int kept = std::min(15, i + 1);
        ASSERT_EQ(all.tokens(), 2 * kept);
        for (int k = 0; k < 2 * kept; ++k) {
            const int step = i + 1 - kept + k / 2;
            EXPECT_EQ(all[col::step_reward{}][std::size_t(k)], float(10 * step + k % 2));
            EXPECT_EQ(all[col::done{}][std::size_t(k)], float(step % 4 == 3));
        }
    }
}

TEST(Control, PrioritiesDrawInProportion) {
    sampler::places::Prioritised part{.alpha = 1.0, .beta = 1.0, .eps = 0.0};
    sampler::places::SumTree tree;
    for (std::int64_t i = 0; i < 5; ++i) part.added(tree, i, 5);
    const double error[] = {1, 0, -3, 0.5, 0};
    for (std::int64_t i = 0; i < 5; ++i) part.update(tree, i, error[i]);
    EXPECT_DOUBLE_EQ(tree.total(), 4.5);
    std::array<int, 5> drawn{};
    for (int k = 0; k < 4500; ++k) ++drawn[std::size_t(part.draw(tree, 5, (k + 0.5) / 4500))];
    EXPECT_EQ(drawn, (std::array<int, 5>{1000, 0, 3000, 500, 0}));
    EXPECT_NEAR(part.weight(tree, 2, 5), 4.5 / (5 * 3), 1e-12);
}

/// Bandit data with actions all over, more of them low: imitation has their mean, which is not where a policy begins;
/// methods that look at rewards have the good ones.
TEST(Control, OfflineMethodsLearnFromData) {
    struct Data {
        std::int64_t observation_size = 1, action_size = 1;
        std::vector<float> state, action, reward, next_state;
        std::vector<std::uint8_t> terminated, truncated;
        std::int64_t rows() const { return std::ssize(reward); }
    } data;
    env::CliffBandit world;
    auto episode = env::Episode<env::CliffBandit>::of(9);
    RandomStream random{Random(9)};
    for (int i = 0; i < 2000; ++i) {
        episode.reset(world);
        data.state.push_back(float(episode.state.context));
        data.action.push_back(float(2 * std::pow(random.uniform(), 1.5) - 1));
        data.reward.push_back(float(episode.step(world, std::span<const float>(&data.action.back(), 1)).reward));
        data.next_state.push_back(0);
        data.terminated.push_back(1);
        data.truncated.push_back(0);
    }
    backend::Host host;
    auto train = [&]<class Head, class Method>(Head, Method method, std::int64_t updates = 1000) {
        using Learner = train::ControlLearner<env::CliffBandit, Head>;
        Learner learner(world, {.width = 16, .evaluation_episodes = 50}, 1);
        learner.learn_from(data);
        method.sampler.batch_size = 32;
        method.optimizer.step.learning_rate = 2e-3;
        train::Trainer<Method, Learner> trainer(method, learner);
        for (std::int64_t i = 0; i < updates; ++i) {
            roars::Run run{host, Random(1).at(std::uint32_t(i)), Progress{i, updates}};
            trainer.advance(run);
        }
        roars::Run run{host, Random(1)};
        return learner.evaluate(run).mean;
    };
    auto iql = methods::iql;
    iql.advantage.network = {.width = 16, .layers = 2};
    iql.advantage.step.learning_rate = 2e-3;
    iql.advantage.weight.temperature = 10;
    double imitated = train(actor::DeterministicAction{}, methods::behaviour_cloning);
    double improved = train(actor::DiagonalGaussian<true>{}, iql);
    const double untrained = train(actor::DeterministicAction{}, methods::behaviour_cloning, 0);
    double mean_action = 0;
    for (float action : data.action) mean_action += double(action) / double(data.rows());
    EXPECT_NEAR(mean_action, -0.2, 0.03);
    // The contexts are the same ones, so that what they are worth falls out of the difference.
    EXPECT_NEAR(imitated - untrained, mean_action, 0.05);
    EXPECT_GT(improved, 0.3);

    auto awac = methods::awac;
    awac.advantage.critics.network = {.width = 16, .layers = 2};
    awac.advantage.critics.step.learning_rate = 2e-3;
    awac.advantage.weight.temperature = 5;
    EXPECT_GT(train(actor::DiagonalGaussian<true>{}, awac), 0.2);
    using CriticRegularised =
        Algorithm<sampler::DataRows, reward::StepReward,
                  advantage::CriticWeightOf<advantage::BinaryWeight, advantage::state_value::MeanOfActions,
                                            critic::PolicyValue::mean>,
                  regularizer::None,
                  optimizer::PolicyGradient<surrogate::PolicyGradient, aggregate::TokenMean, step::AdamW>>;
    CriticRegularised crr{
        .sampler = awac.sampler, .advantage = {.critics = awac.advantage.critics}, .optimizer = awac.optimizer};
    EXPECT_GT(train(actor::DiagonalGaussian<true>{}, crr), 0.2);
    EXPECT_GT(train(actor::SquashedGaussian{}, crr), 0.2);
    auto td3_bc = methods::td3_bc;
    td3_bc.advantage.network = {.width = 16, .layers = 2};
    td3_bc.advantage.step.learning_rate = 2e-3;
    td3_bc.regularizer.coefficient = 0.1;
    EXPECT_GT(train(actor::DeterministicAction{}, td3_bc), 0.2);
}

}  // namespace
}  // namespace roars::control_test
