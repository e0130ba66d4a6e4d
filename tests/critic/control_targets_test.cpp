#include <gtest/gtest.h>

#include "../advantage/random_batch.hpp"
#include "../limits.hpp"
#include "gradient.hpp"
#include "roars/critic/batch_constrained.hpp"
#include "roars/critic/behaviour_regularised.hpp"
#include "roars/critic/conservative.hpp"
#include "roars/critic/double_q.hpp"
#include "roars/critic/expected_sarsa.hpp"
#include "roars/critic/multistep.hpp"
#include "roars/critic/pop_art.hpp"
#include "roars/critic/quantile.hpp"
#include "roars/critic/target_network.hpp"
#include "roars/critic/twin_delayed.hpp"
#include "roars/critic/two_hot.hpp"
#include "roars/critic/value_transform.hpp"
#include "roars/networks/variational.hpp"
#include "roars/regularizer/mean_discrepancy.hpp"
#include "roars/simd.hpp"

namespace roars::control_targets_test {
namespace {

using StepColumns =
    columns<col::token_reward, col::next_value, col::terminated, col::done, col::q, col::logp, col::logp_old>;
using Read = critic::Rows<const double>;
using Write = critic::Rows<double>;
using View = std::span<const double>;
using Values = std::vector<double>;

Values random_values(Draw& draw, std::size_t count, double low = -2, double high = 2) {
    Values values(count);
    for (double& value : values) value = draw.real(low, high);
    return values;
}
void expect_close(View a, View b, double tolerance = 1e-9) {
    RC_ASSERT(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) RC_ASSERT(close(a[i], b[i], tolerance));
}

// Targets over several steps.

RC_GTEST_PROP(OffPolicyTargets, AreOneRecursionWithAnotherTrace, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<StepColumns>(draw);
    backend::Host host = small_grain(draw);
    auto steps = critic::steps_of(batch);
    auto count = static_cast<std::size_t>(batch.tokens());
    View q = batch[col::q{}], logp = batch[col::logp{}], logp_old = batch[col::logp_old{}];
    Values tree(count), retrace(count), corrected(count), zeros(count);
    // A behaviour of density 1 makes the ratio the policy's probability.
    critic::TreeBackup{.gamma = 0.9, .lambda = 0.7}.target(host, steps, q, logp, std::span(tree));
    critic::Retrace{.gamma = 0.9, .lambda = 0.7}.target(host, steps, q, logp, View(zeros), std::span(retrace));
    expect_close(tree, retrace);
    // On-policy no ratio is cut.
    critic::CorrectedQLambda{.gamma = 0.9, .lambda = 0.7}.target(host, steps, q, std::span(corrected));
    critic::Retrace{.gamma = 0.9, .lambda = 0.7}.target(host, steps, q, logp_old, logp_old, std::span(retrace));
    expect_close(corrected, retrace);
    // Without lookahead it is one step.
    Values one(count);
    critic::CorrectedQLambda{.gamma = 0.9, .lambda = 0.0}.target(host, steps, q, std::span(corrected));
    critic::NStep{.gamma = 0.9, .n = 1}.target(host, steps, std::span(one));
    expect_close(corrected, one);
}

RC_GTEST_PROP(OffPolicyTargets, TheTreeBackupIsItsDefinition, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<StepColumns>(draw);
    backend::Host host;
    auto steps = critic::steps_of(batch);
    Values target(static_cast<std::size_t>(batch.tokens()));
    critic::TreeBackup part{.gamma = 0.9, .lambda = 0.8};
    part.target(host, steps, View(batch[col::q{}]), View(batch[col::logp{}]), std::span(target));
    auto offsets = batch.token_offsets();
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
        for (auto t = std::size_t(offsets[i]); t < std::size_t(offsets[i + 1]); ++t) {
            double next = batch[col::next_value{}][t];
            if (batch[col::done{}][t] == 0 && t + 1 < std::size_t(offsets[i + 1]))
                next += part.lambda * std::exp(batch[col::logp{}][t + 1]) * (target[t + 1] - batch[col::q{}][t + 1]);
            if (batch[col::terminated{}][t] != 0) next = 0.0;
            RC_ASSERT(close(target[t], batch[col::token_reward{}][t] + part.gamma * next));
        }
    // Behind a termination nothing is read.
    for (std::size_t t = 0; t < target.size(); ++t)
        if (batch[col::terminated{}][t] != 0) batch[col::next_value{}][t] = not_a_number;
    Values again(target.size());
    part.target(host, critic::steps_of(batch), View(batch[col::q{}]), View(batch[col::logp{}]), std::span(again));
    expect_close(target, again);
}

// Targets of one step.

const Values reward{1, 2}, terminated{0, 1}, nan_row{not_a_number, not_a_number, not_a_number};

RC_GTEST_PROP(ExpectedSarsa, OfTheGreedyPolicyIsQLearning, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    Values q = random_values(draw, 6), greedy(6), own(2), expected(2);
    for (int row = 0; row < 2; ++row)
        greedy[std::size_t(
            3 * row + (std::max_element(q.begin() + 3 * row, q.begin() + 3 * row + 3) - (q.begin() + 3 * row)))] = 1.0;
    critic::DoubleQ{.gamma = 0.9}.target(host, View(reward), View(terminated), Read{q, 3}, Read{q, 3},
                                         std::span(expected));
    // An action that is never taken has no part, and nothing is looked at behind a termination.
    for (std::size_t j = 0; j < 3; ++j) {
        if (greedy[j] == 0.0) q[j] = -infinity;
        q[3 + j] = greedy[3 + j] = not_a_number;
    }
    critic::ExpectedSarsa{.gamma = 0.9}.target(host, View(reward), View(terminated), Read{greedy, 3}, Read{q, 3},
                                               std::span(own));
    expect_close(own, expected);
}

TEST(ExpectedSarsa, IsTheMeanUnderThePolicy) {
    backend::Host host;
    Values probability{0.25, 0.75, 0, 1, 0, 0}, q{4, 8, 100, 0, 0, 0}, target(2);
    critic::ExpectedSarsa{.gamma = 0.5}.target(host, View(reward), View(terminated), Read{probability, 3}, Read{q, 3},
                                               std::span(target));
    EXPECT_EQ(target, (Values{1 + 0.5 * 7, 2}));
}

TEST(PersistentQ, GoesFromTheBestActionToTheOneChosen) {
    backend::Host host;
    Values q{4, 8, 6, not_a_number, not_a_number, not_a_number}, target(2);
    std::vector<std::int32_t> action{2, 0};
    auto with = [&](double persistence) {
        critic::PersistentQ{.gamma = 0.5, .persistence = persistence}.target(
            host, View(reward), View(terminated), std::span<const std::int32_t>(action), Read{q, 3}, std::span(target));
        return target;
    };
    EXPECT_EQ(with(0.0), (Values{5, 2}));
    EXPECT_EQ(with(1.0), (Values{4, 2}));
    EXPECT_EQ(with(0.5), (Values{4.5, 2}));
    action[0] = 3;
    EXPECT_THROW(with(0.5), Error);
}

RC_GTEST_PROP(BehaviourRegularised, WithoutAPriceIsTwinDelayed, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    Values q1 = random_values(draw, 2), q2 = random_values(draw, 2), policy = random_values(draw, 4),
           taken = random_values(draw, 4), own(2), expected(2);
    q1[1] = policy[2] = not_a_number;
    critic::TwinDelayed{.gamma = 0.9}.target(host, View(reward), View(terminated), View(q1), View(q2),
                                             std::span(expected));
    auto with = [&](double beta, const Values& action) {
        critic::BehaviourRegularised{.gamma = 0.9, .beta = beta}.target(
            host, View(reward), View(terminated), View(q1), View(q2), Read{action, 2}, Read{taken, 2}, std::span(own));
        return own;
    };
    expect_close(with(0.0, policy), expected);
    expect_close(with(3.0, taken), expected);
    double away = std::pow(policy[0] - taken[0], 2) + std::pow(policy[1] - taken[1], 2);
    RC_ASSERT(close(with(3.0, policy)[0], expected[0] - 0.9 * 3.0 * away));
}

RC_GTEST_PROP(BatchConstrained, OfOneCriticIsTheBestSample, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    Values q = random_values(draw, 6), target(2);
    critic::BatchConstrained{.gamma = 0.9, .pessimism = draw.real(0, 1)}.target(host, View(reward), View(terminated),
                                                                                Read{q, 6}, std::span(target));
    RC_ASSERT(close(target[0], 1 + 0.9 * std::max({q[0], q[1], q[2]})));
    RC_ASSERT(target[1] == 2.0);
}

TEST(BatchConstrained, MixesTheCriticsBeforeItChooses) {
    backend::Host host;
    // Two critics, two samples of the first row: the mixed values are .75 * 0 + .25 * 10 and .75 * 2 + .25 * 3.
    Values q{0, 3, not_a_number, not_a_number, 10, 2, not_a_number, not_a_number}, target(2), none;
    critic::BatchConstrained part{.gamma = 1.0};
    part.target(host, View(reward), View(terminated), Read{q, 4}, std::span(target));
    EXPECT_EQ(target, (Values{1 + 2.5, 2}));
    EXPECT_THROW(part.target(host, View(reward), View(terminated), Read{q, 1}, std::span(target)), Error);
    EXPECT_THROW(part.target(host, View(reward), View(terminated), Read{none, 4}, std::span(target)), Error);
    part.target(host, View(none), View(none), Read{none, 0}, std::span(none));
}

RC_GTEST_PROP(Perturbation, IsSmallAndHasTheSlopeItSays, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    Values action = random_values(draw, 5, -1, 1), u = random_values(draw, 5, -1, 1), moved(5), ones(5, 1.0), slope(5);
    critic::Perturbation part{.range = 0.3};
    auto sum = [&](const Values& x) {
        part.apply(host, View(action), View(x), std::span(moved));
        double total = 0;
        for (double each : moved) total += each;
        return total;
    };
    sum(u);
    for (std::size_t i = 0; i < 5; ++i) RC_ASSERT(std::abs(moved[i] - action[i]) <= 0.3 && std::abs(moved[i]) <= 1.0);
    expect_the_gradient(u, [&](const Values& x, Values& gradient) {
        part.backward(host, View(action), View(x), View(ones), std::span(gradient));
        return sum(x);
    });
}

/// PLAS: a policy of codes climbs its critic through the decoder.
RC_GTEST_PROP(Variational, TheSlopeByTheCodeIsTheFiniteDifference, ()) {
    Draw draw = any_draw();
    network::Variational<double> model(
        {.state_width = 2, .action_width = 2, .code_width = 3, .hidden = {5}, .bound = 1.5});
    Values parameters(std::size_t(model.parameters())), state = random_values(draw, 4),
                                                        by_action = random_values(draw, 4);
    model.initialise(parameters, 1);
    expect_the_gradient(random_values(draw, 6), [&](const Values& code, Values& gradient) {
        auto action = model.decode(View(parameters), View(state), View(code));
        double sum = 0;
        for (std::size_t j = 0; j < action.size(); ++j) sum += action[j] * by_action[j];
        model.backward_code(View(parameters), View(by_action), std::span(gradient));
        return sum;
    });
    RC_ASSERT_THROWS_AS(model.backward_code(View(parameters), View(by_action).first(2), std::span(state)), Error);
}

// Targets that keep still, and how critics see values.

TEST(Periodic, CopiesInEverySoManiethUpdate) {
    backend::Host host;
    const Values online{1, 2};
    Values target{0, 0};
    critic::Periodic part{.every = 3};
    for (std::int64_t update : {1, 2}) part.follow(host, update, View(online), std::span(target));
    EXPECT_EQ(target, (Values{0, 0}));
    part.follow(host, 3, View(online), std::span(target));
    EXPECT_EQ(target, online);
    critic::Periodic{.every = 1, .rule = {0.5}}.follow(host, 7, View(Values{3, 4}), std::span(target));
    EXPECT_EQ(target, (Values{2, 3}));
    EXPECT_THROW(critic::Periodic{.every = 0}.due(1), Error);
}

template <class Transform>
void expect_an_odd_bijection(const Transform& transform, Draw& draw) {
    double before = -infinity;
    for (double size : {-1e8, -1e3, -1.0, -1e-9, 0.0, 1e-9, 0.3, 7.0, 1e3, 1e8}) {
        double x = size * draw.real(0.5, 1.0), y = transform.apply(x);
        RC_ASSERT(close(transform.invert(y) / (x == 0 ? 1 : x), x == 0 ? 0 : 1, 1e-9));
        RC_ASSERT(transform.apply(-x) == -y);
        RC_ASSERT(y > before);
        before = y;
        using V = math::Lanes<double>;
        RC_ASSERT(close(math::largest(transform.apply(V(x))), y, 1e-12));
        RC_ASSERT(close(math::largest(transform.invert(V(y))), transform.invert(y), 1e-12));
    }
}
RC_GTEST_PROP(ValueTransforms, AreOddBijections, ()) {
    Draw draw = any_draw();
    expect_an_odd_bijection(critic::transform::SignedHyperbolic{.eps = draw.real(1e-4, 0.1)}, draw);
    expect_an_odd_bijection(critic::transform::SignedLogarithm{}, draw);
}

TEST(ValueTransforms, AreTheirFormulas) {
    critic::transform::SignedHyperbolic part{.eps = 0.01};
    EXPECT_DOUBLE_EQ(part.apply(8.0), 3.0 - 1.0 + 0.08);
    EXPECT_DOUBLE_EQ(critic::transform::SignedLogarithm{}.apply(-std::expm1(2.0)), -2.0);
    backend::Host host;
    Values next{part.apply(8.0), not_a_number}, target(2);
    critic::TransformedTarget<>{.gamma = 0.5, .transform = part}.target(host, View(reward), View(next),
                                                                        View(terminated), std::span(target));
    EXPECT_DOUBLE_EQ(target[0], part.apply(1.0 + 0.5 * 8.0));
    EXPECT_DOUBLE_EQ(target[1], part.apply(2.0));
}

RC_GTEST_PROP(TwoHot, DecodesWhatItEncoded, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    critic::TwoHot part{.low = -3, .high = 5, .bins = draw.whole(2, 9)};
    Values x = random_values(draw, 6, -3, 5), said(6);
    x[0] = -3, x[1] = 5;
    Values probability(std::size_t(6 * part.bins), 9.0);
    part.encode(host, View(x), Write{probability, part.bins});
    part.decode(host, Read{probability, part.bins}, std::span(said));
    expect_close(said, x);
    for (std::size_t row = 0; row < 6; ++row) {
        double mass = 0;
        std::int64_t hot = 0;
        for (auto j = std::size_t(0); j < std::size_t(part.bins); ++j) {
            double p = probability[row * std::size_t(part.bins) + j];
            RC_ASSERT(p >= 0.0);
            mass += p, hot += p > 0.0;
        }
        RC_ASSERT(close(mass, 1.0) && hot <= 2);
    }
}

TEST(TwoHot, HoldsWhatIsOutside) {
    backend::Host host;
    Values x{-100, 100}, probability(6), said(2);
    critic::TwoHot part{.low = -1, .high = 1, .bins = 3};
    part.encode(host, View(x), Write{probability, 3});
    EXPECT_EQ(probability, (Values{1, 0, 0, 0, 0, 1}));
    EXPECT_THROW(part.encode(host, View(x), Write{probability, 2}), Error);
    EXPECT_THROW((critic::TwoHot{.low = 0, .high = 1, .bins = 1}.decode(host, Read{probability, 1}, std::span(said))),
                 Error);
}

RC_GTEST_PROP(PopArt, KeepsWhatTheCriticSays, ()) {
    Draw draw = any_draw();
    const std::int64_t inputs = draw.whole(1, 4), outputs = draw.whole(1, 3);
    Values weight = random_values(draw, std::size_t(inputs * outputs)),
           bias = random_values(draw, std::size_t(outputs)), x = random_values(draw, std::size_t(inputs));
    critic::PopArt part{.step = 0.05};
    critic::PopArt::State state;
    part.open(state, outputs);
    auto said = [&] {
        Values all;
        for (std::size_t k = 0; k < bias.size(); ++k) {
            double sum = bias[k];
            for (std::size_t i = 0; i < x.size(); ++i) sum += weight[i * bias.size() + k] * x[i];
            all.push_back(critic::PopArt::restore(state, sum, k));
        }
        return all;
    };
    const Values before = said();
    for (int round = 0; round < 5; ++round) {
        Values target = random_values(draw, 8, -50, 100);
        std::vector<std::int32_t> output(8);
        for (auto& each : output) each = std::int32_t(draw.whole(0, outputs - 1));
        part.update(state, View(target), std::span<const std::int32_t>(output), Write{weight, outputs},
                    std::span(bias));
        expect_close(said(), before);
        RC_ASSERT(close(critic::PopArt::restore(state, critic::PopArt::normalise(state, 3.5)), 3.5));
    }
}

TEST(PopArt, LearnsTheScaleAndRefusesWhatItCannotUse) {
    Values weight{1.0}, bias{0.0};
    critic::PopArt part{.step = 0.01, .least = 1e-4};
    critic::PopArt::State state;
    std::vector<std::int32_t> first(2, 0);
    auto update = [&](double a, double b) {
        part.update(state, View(Values{a, b}), std::span<const std::int32_t>(first), Write{weight, 1}, std::span(bias));
    };
    for (int k = 0; k < 2000; ++k) update(90.0, 110.0);
    EXPECT_NEAR(state.shift[0], 100.0, 1e-9);
    EXPECT_NEAR(state.scale[0], 10.0, 1e-6);
    auto kept = weight;
    EXPECT_THROW(update(1.0, not_a_number), Error);
    EXPECT_EQ(weight, kept);
    for (int k = 0; k < 3000; ++k) update(5.0, 5.0);  // no spread: the scale is held
    EXPECT_NEAR(state.scale[0], 1e-4, 1e-5);
    first[1] = 1;
    EXPECT_THROW(update(1.0, 1.0), Error);
}

// Losses of critics.

RC_GTEST_PROP(ImplicitQuantile, IsQuantileHuberAtTheMiddles, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    Values target = random_values(draw, 6), tau(8), unused(8);
    for (double& each : tau) each = draw.real(0.01, 0.99);
    critic::ImplicitQuantile part{{.kappa = draw.real(0.3, 2)}};
    expect_the_gradient(random_values(draw, 8), [&](const Values& x, Values& gradient) {
        return part.loss(host, Read{x, 4}, Read{tau, 4}, Read{target, 3}, Write{gradient, 4});
    });
    for (std::size_t i = 0; i < 8; ++i) tau[i] = (double(i % 4) + 0.5) / 4;
    Values theta = random_values(draw, 8);
    RC_ASSERT(close(part.loss(host, Read{theta, 4}, Read{tau, 4}, Read{target, 3}, Write{unused, 4}),
                    part.rule.loss(host, Read{theta, 4}, Read{target, 3}, Write{unused, 4})));
}

RC_GTEST_PROP(CalibratedConservative, FloorsTheSampledValues, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    Values q = random_values(draw, 12), floor = random_values(draw, 12), density = random_values(draw, 12),
           data = random_values(draw, 3), plain(12), same(12);
    critic::CalibratedConservative part{{.temperature = 0.5}};
    expect_the_gradient(q, [&](const Values& x, Values& to) {
        return part.penalty(host, Read{x, 4}, Read{floor, 4}, Read{density, 4}, View(data), Write{to, 4});
    });
    Values none(12, -infinity);
    double expected = part.rule.penalty(host, Read{q, 4}, Read{density, 4}, View(data), Write{plain, 4});
    RC_ASSERT(part.penalty(host, Read{q, 4}, Read{none, 4}, Read{density, 4}, View(data), Write{same, 4}) == expected);
    RC_ASSERT(same == plain);
    RC_ASSERT(part.penalty(host, Read{q, 4}, Read{floor, 4}, Read{density, 4}, View(data), Write{same, 4}) >= expected);
}

RC_GTEST_PROP(MeanDiscrepancy, HasTheGradientItSaysAndVanishesForEqualSets, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    Values data = random_values(draw, 2 * 4 * 2), policy = random_values(draw, 2 * 3 * 2), unused(data.size());
    auto check = [&](const auto& part) {
        auto penalty = [&](const Values& x, Values& to) {
            return part.penalty(host, Read{x, 6}, Read{data, 8}, 2, Write{to, 6});
        };
        expect_the_gradient(policy, penalty);
        RC_ASSERT(close(part.penalty(host, Read{data, 8}, Read{data, 8}, 2, Write{unused, 8}), std::sqrt(part.eps)));
    };
    check(regularizer::MeanDiscrepancy<regularizer::kernel::Gaussian>{.kernel = {.sigma = 1.5}, .eps = 1e-2});
    check(regularizer::MeanDiscrepancy<>{.kernel = {.sigma = 2.0}, .eps = 1e-2});
    RC_ASSERT_THROWS_AS(
        (regularizer::MeanDiscrepancy<>{}.penalty(host, Read{policy, 6}, Read{data, 8}, 5, Write{unused, 6})), Error);
}

}  // namespace
}  // namespace roars::control_targets_test
