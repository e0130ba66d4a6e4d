#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "../advantage/random_batch.hpp"
#include "roars/actors/decision_transformer.hpp"
#include "roars/data/transitions.hpp"
#include "roars/environments/continuous_bandit.hpp"
#include "roars/environments/tabular_mdp.hpp"
#include "roars/methods/decision_transformer.hpp"
#include "roars/train/sequence_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::sequence_test {
namespace {

using Values = std::vector<double>;

/// Windows of 1, 3 and 2 random steps.
struct Steps {
    std::vector<std::int64_t> offsets{0, 1, 4, 6};
    Values state = Values(12), action = Values(18), to_go = Values(6), number{7, 0, 1, 2, 30, 31};
    std::vector<std::int32_t> token{0, 2, 1, 1, 0, 2};

    explicit Steps(Draw& draw) {
        for (Values* values : {&state, &action, &to_go})
            for (double& x : *values) x = draw.real(-1, 1);
    }
    actor::StepWindows<double> windows() const { return {offsets, state, action, to_go, token, number}; }
};
actor::DecisionTransformer<double> small_model(bool discrete) {
    return actor::DecisionTransformer<double>({.state_width = 2,
                                               .outputs = 3,
                                               .discrete = discrete,
                                               .length = 3,
                                               .steps = 20,
                                               .layers = 2,
                                               .width = 8,
                                               .heads = 2,
                                               .hidden = 12},
                                              5);
}

TEST(DecisionTransformer, TheGradientIsTheFiniteDifference) {
    for (bool discrete : {false, true}) {
        Draw draw(3);
        Steps steps(draw);
        auto model = small_model(discrete);
        Values weight(18);
        for (double& x : weight) x = draw.real(-1, 1);
        auto loss = [&] {
            auto out = model.forward(steps.windows());
            double sum = 0;
            for (std::size_t i = 0; i < weight.size(); ++i) sum += weight[i] * out[i];
            return sum;
        };
        loss();
        model.parameters().zero_gradients();
        model.backward(steps.windows(), weight);
        auto values = model.parameters().values();
        Values gradient(model.parameters().gradients().begin(), model.parameters().gradients().end());
        for (std::size_t i = 0; i < values.size(); ++i) {
            const double start = values[i];
            values[i] = start + 1e-6;
            double above = loss();
            values[i] = start - 1e-6;
            EXPECT_NEAR((above - loss()) / 2e-6, gradient[i], 1e-6) << discrete << " " << i;
            values[i] = start;
        }
    }
}

/// What is said of a step depends on what was before it, its own return to go among it, and on nothing behind it.
TEST(DecisionTransformer, SeesThePastAndTheReturnAskedFor) {
    for (bool discrete : {false, true}) {
        Draw draw(4);
        Steps steps(draw);
        auto model = small_model(discrete);
        auto said = [&](const Steps& of) {
            auto out = model.forward(of.windows());
            return Values(out.begin(), out.end());
        };
        const Values before = said(steps);
        auto last = model.forward_last(steps.windows());
        for (std::size_t window = 0; window < 3; ++window)
            for (std::size_t j = 0; j < 3; ++j)
                EXPECT_NEAR(last[window * 3 + j], before[(std::size_t(steps.offsets[window + 1]) - 1) * 3 + j], 1e-12);
        // Steps 1 to 3 are a window; something of step 2 is changed.
        auto expect_changed = [&](const Steps& other, std::size_t first) {
            Values after = said(other);
            for (std::size_t t = 0; t < 6; ++t) {
                bool same = true;
                for (std::size_t j = 0; j < 3; ++j) same = same && after[t * 3 + j] == before[t * 3 + j];
                EXPECT_EQ(same, t < first || t > 3) << t;
            }
        };
        Steps other = steps;
        other.to_go[2] += 0.5;
        expect_changed(other, 2);
        other = steps, other.state[5] += 0.5;
        expect_changed(other, 2);
        other = steps, other.action[6] += 0.5, other.token[2] = 0;
        expect_changed(other, 3);
    }
    EXPECT_THROW(small_model(false).forward({.offsets = std::vector<std::int64_t>{0, 4},
                                             .state = Values(8),
                                             .action = Values(12),
                                             .return_to_go = Values(4),
                                             .number = Values(4)}),
                 Error);
}

TEST(Transformer, NumbersBesideItsTokensAreAsManyAsItsWidth) {
    actor::Transformer<double> model({.vocabulary = 4, .layers = 1, .width = 8, .heads = 2, .hidden = 8}, 1);
    const std::vector<std::int32_t> tokens{1, 3};
    const std::vector<std::int64_t> offsets{0, 2}, rows{1};
    auto plain = model.forward(tokens, offsets, rows).logits;
    const Values before(plain.begin(), plain.end()), nothing(16, 0.0);
    auto same = model.forward(tokens, offsets, rows, nothing).logits;
    EXPECT_EQ(before, Values(same.begin(), same.end()));
    EXPECT_THROW(model.forward(tokens, offsets, rows, Values(8)), Error);
    Values narrow(8);
    EXPECT_THROW(model.backward(Values(4), {}, narrow), Error);
}

/// Five steps in one state; action 1 pays 1, action 0 nothing.
struct Choices : env::TabularMdp<1, 2, 5> {
    Choices() {
        start = {1};
        offsets = {0, 1, 2};
        probability = {1, 1};
        next = {0, 0};
        reward = {0, 1};
        terminated = {0, 0};
    }
};
template <class Environment, class Head, class Method>
auto trained(const Environment& world, const data::Transitions<float>& rows, Method method,
             const train::SequenceSettings& settings, std::int64_t updates) {
    backend::Host host;
    train::SequenceLearner<Environment, Head> learner(world, settings, 1);
    learner.learn_from(rows);
    method.optimizer.step.base.base.learning_rate = 3e-3;
    method.optimizer.step.schedule.warmup_steps = 20;
    method.sampler.length = settings.length;
    method.sampler.batch_size = 32;
    train::Trainer<Method, train::SequenceLearner<Environment, Head>> trainer(method, learner);
    for (std::int64_t i = 0; i < updates; ++i) {
        roars::Run run{host, Random(1).at(std::uint32_t(i)), Progress{i, updates}};
        trainer.advance(run);
    }
    return learner;
}
template <class Learner>
double asked(Learner& learner) {
    backend::Host host;
    roars::Run run{host, Random(1)};
    double mean = learner.evaluate(run).mean;
    EXPECT_EQ(mean, learner.evaluate(run).mean);
    return mean;
}

/// Of data whose episodes return 2.5 on the average it does what it is asked for: 5, 0, or 3.
TEST(SequenceLearner, DiscreteActionsReturnWhatIsAskedFor) {
    Choices world;
    data::Transitions<float> rows;
    rows.observation_size = 1, rows.action_size = 1, rows.action_count = 2;
    RandomStream random{Random(5)};
    double mean = 0;
    for (int e = 0; e < 300; ++e)
        for (int t = 0; t < 5; ++t) {
            const float action = float(random.below(2)), state = 1;
            rows.add(std::span(&state, 1), std::span(&action, 1), action, std::span(&state, 1), false, t == 4);
            mean += double(action) / 300;
        }
    EXPECT_NEAR(mean, 2.5, 0.2);
    for (auto [share, expected] : {std::pair(1.0, 5.0), std::pair(0.0, 0.0), std::pair(0.6, 3.0)}) {
        train::SequenceSettings settings{.length = 5,
                                         .layers = 1,
                                         .width = 16,
                                         .heads = 2,
                                         .hidden = 32,
                                         .target_share = share,
                                         .evaluation_episodes = 3};
        auto learner =
            trained<Choices, actor::Categorical>(world, rows, methods::discrete_decision_transformer, settings, 250);
        EXPECT_DOUBLE_EQ(learner.target_return(), expected);
        EXPECT_EQ(asked(learner), expected);
    }
}

/// One step, r = a: the action is the return that is asked for.
TEST(SequenceLearner, ContinuousActionsReturnWhatIsAskedFor) {
    env::CliffBandit world{.wave = 0.0};
    data::Transitions<float> rows;
    rows.observation_size = 1, rows.action_size = 1;
    RandomStream random{Random(5)};
    double mean = 0;
    for (int i = 0; i < 1000; ++i) {
        const float state = float(2 * random.uniform() - 1), action = float(1.2 * random.uniform() - 0.6);
        rows.add(std::span(&state, 1), std::span(&action, 1), action, std::span(&state, 1), true, false);
        mean += double(action) / 1000;
    }
    EXPECT_NEAR(mean, 0.0, 0.05);
    train::SequenceSettings settings{.length = 1, .steps = 1, .layers = 1, .width = 16, .heads = 2, .hidden = 32};
    auto best = trained<env::CliffBandit, actor::DeterministicAction>(world, rows, methods::decision_transformer,
                                                                      settings, 400);
    EXPECT_NEAR(best.target_return(), 0.6, 0.01);
    EXPECT_NEAR(asked(best), 0.6, 0.05);
    settings.target_share = 0.25;
    auto low = trained<env::CliffBandit, actor::DeterministicAction>(world, rows, methods::decision_transformer,
                                                                     settings, 400);
    EXPECT_NEAR(low.target_return(), -0.3, 0.01);
    EXPECT_NEAR(asked(low), -0.3, 0.05);
}

/// Windows stay within their episode; returns to go are sums to its end, step numbers begin anew.
TEST(SequenceLearner, WindowsAreStepsOfOneEpisode) {
    Choices world;
    data::Transitions<float> rows;
    rows.observation_size = 1, rows.action_size = 1, rows.action_count = 2;
    for (int e = 0; e < 4; ++e)
        for (int t = 0; t <= e; ++t) {
            const float state = float(10 * e + t), action = 0;
            rows.add(std::span(&state, 1), std::span(&action, 1), float(t + 1), std::span(&state, 1), t == e, false);
        }
    train::SequenceLearner<Choices, actor::Categorical> learner(world, {.length = 3, .return_scale = 2.0}, 1);
    learner.learn_from(rows);
    EXPECT_EQ(learner.target_return(), 10);
    backend::Host host;
    roars::Run run{host, Random(2)};
    Batch<float, columns<col::mask, col::state, col::token, col::return_to_go, col::step_number, col::step_reward>>
        batch;
    learner.draw_windows(run, batch, 50, 2);
    ASSERT_EQ(batch.sequences(), 50);
    auto offsets = batch.token_offsets();
    for (std::size_t k = 0; k < 50; ++k)
        for (auto t = offsets[k]; t < offsets[k + 1]; ++t) {
            const auto at = std::size_t(t);
            const int episode = int(batch[col::state{}][at]) / 10, step = int(batch[col::state{}][at]) % 10;
            EXPECT_EQ(batch[col::step_number{}][at], float(step));
            double to_go = 0;
            for (int later = step; later <= episode; ++later) to_go += later + 1;
            EXPECT_EQ(batch[col::return_to_go{}][at], float(to_go / 2));
            EXPECT_EQ(batch[col::mask{}][at], 1.0f);
            EXPECT_LE(offsets[k + 1] - offsets[k], 2);
            if (t > offsets[k]) {
                EXPECT_EQ(batch[col::state{}][at], batch[col::state{}][at - 1] + 1);
            }
        }
    EXPECT_THROW(learner.draw_windows(run, batch, 1, 4), Error);
}

}  // namespace
}  // namespace roars::sequence_test
