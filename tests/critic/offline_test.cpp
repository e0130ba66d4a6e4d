#include <gtest/gtest.h>

#include <numeric>

#include "../advantage/random_batch.hpp"
#include "gradient.hpp"
#include "roars/critic/behaviour_cloning.hpp"
#include "roars/critic/categorical.hpp"
#include "roars/critic/conservative.hpp"
#include "roars/critic/quantile.hpp"

namespace roars::offline_test {
namespace {

using Read = critic::Rows<const double>;
using Write = critic::Rows<double>;
using View = std::span<const double>;
using Values = std::vector<double>;

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

Values random_values(Draw& draw, std::size_t count) {
    Values values(count);
    for (double& value : values) value = draw.real(-2, 2);
    return values;
}

RC_GTEST_PROP(Conservative, TheGradientIsThatOfThePenaltyWhichIsNeverNegative, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    Values q = random_values(draw, 12), density = random_values(draw, 12), data = random_values(draw, 3);
    std::vector<std::int32_t> action{0, 3, 1};
    auto penalty = [&](const Values& x, Values& gradient) {
        return critic::conservative_penalty(host, Read{x, 4}, std::span<const std::int32_t>(action),
                                            Write{gradient, 4});
    };
    expect_the_gradient(q, penalty);
    Values gradient(12);
    RC_ASSERT(penalty(q, gradient) >= 0.0);
    RC_ASSERT(std::abs(std::accumulate(gradient.begin(), gradient.end(), 0.0)) <= 1e-12);
    critic::SampledConservative sampled{.temperature = 0.5};
    expect_the_gradient(q, [&](const Values& x, Values& to) {
        return sampled.penalty(host, Read{x, 4}, Read{density, 4}, View(data), Write{to, 4});
    });
    RC_ASSERT(sampled.lagrangian(sampled.threshold) == 0.0);
}

TEST(Conservative, AForbiddenActionHasNoPart) {
    backend::Host host;
    Values q{1.0, minus_infinity, 1.0}, gradient(3);
    std::vector<std::int32_t> action{2};
    double penalty =
        critic::conservative_penalty(host, Read{q, 3}, std::span<const std::int32_t>(action), Write{gradient, 3});
    EXPECT_NEAR(penalty, std::log(2.0), 1e-12);
    EXPECT_EQ(gradient[1], 0.0);
    EXPECT_NEAR(gradient[0], 0.5, 1e-12);
}

RC_GTEST_PROP(BehaviourCloning, TheGradientsAreThoseOfTheLossWithAConstantScale, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    Values q = random_values(draw, 4), action = random_values(draw, 8), policy = random_values(draw, 8), grad_q(4);
    critic::BehaviourCloning part;
    expect_the_gradient(policy, [&](const Values& x, Values& gradient) {
        return part.loss(host, View(q), Read{x, 2}, Read{action, 2}, std::span(grad_q), Write{gradient, 2});
    });
    for (double slope : grad_q) RC_ASSERT(close(slope, -part.scale(host, View(q)) / 4));
    // The scale makes the critic's units disappear.
    Values large = q, unused(8);
    for (double& x : large) x *= 1000;
    auto loss = [&](const Values& x) {
        return part.loss(host, View(x), Read{policy, 2}, Read{action, 2}, std::span(grad_q), Write{unused, 2});
    };
    RC_ASSERT(close(loss(q), loss(large)));
}

TEST(BehaviourCloning, WithoutActionValuesOnlyClones) {
    backend::Host host;
    Values zero(2), grad_q(2), action{1, 1}, policy{0, 3}, gradient(2);
    critic::BehaviourCloning part;
    double loss = part.loss(host, View(zero), Read{policy, 1}, Read{action, 1}, std::span(grad_q), Write{gradient, 1});
    EXPECT_DOUBLE_EQ(loss, 2.5);
    EXPECT_EQ(gradient, (Values{-1, 2}));
    EXPECT_EQ(std::abs(grad_q[0]), 0.0);
}

RC_GTEST_PROP(CategoricalProjection, KeepsTheMassAndTheMean, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    Values atoms, next(22), reward(2), terminated(2), projected(22, 9.0);
    for (int j = 0; j < 11; ++j) atoms.push_back(-10 + 2 * j);
    for (double& p : next) p = draw.real(0, 1);
    for (double& r : reward) r = draw.real(-1, 1);
    terminated[1] = 1;
    critic::CategoricalProjection{.gamma = 0.9}.project(host, View(atoms), View(reward), View(terminated),
                                                        Read{next, 11}, Write{projected, 11});
    for (std::size_t i = 0; i < 2; ++i) {
        double mass = 0, mean = 0, all = 0, expected = 0;
        for (std::size_t j = 0; j < 11; ++j) {
            mass += projected[11 * i + j], mean += projected[11 * i + j] * atoms[j];
            all += next[11 * i + j], expected += next[11 * i + j] * (reward[i] + (i == 0 ? 0.9 * atoms[j] : 0.0));
            RC_ASSERT(projected[11 * i + j] >= 0.0);
        }
        RC_ASSERT(close(mass, all));
        RC_ASSERT(close(mean, expected));  // nothing is clamped here
    }
}

TEST(CategoricalProjection, ClampsToBothEndsAndKnowsASingleAtom) {
    backend::Host host;
    Values atoms{-1, 0, 1}, next{0.5, 0, 0.5, 0.5, 0, 0.5}, reward{100, -100}, running(2), projected(6);
    critic::CategoricalProjection part;
    part.project(host, View(atoms), View(reward), View(running), Read{next, 3}, Write{projected, 3});
    EXPECT_EQ(projected, (Values{0, 0, 1, 1, 0, 0}));
    Values one{2.0}, sure{1.0, 1.0}, kept(2);
    part.project(host, View(one), View(reward), View(running), Read{sure, 1}, Write{kept, 1});
    EXPECT_EQ(kept, sure);
}

RC_GTEST_PROP(CrossEntropy, TheGradientIsThatOfTheLoss, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    Values target(12);
    for (double& p : target) p = draw.real(0, 1);
    expect_the_gradient(random_values(draw, 12), [&](const Values& x, Values& gradient) {
        return critic::cross_entropy(host, Read{x, 4}, Read{target, 4}, Write{gradient, 4});
    });
}

TEST(CrossEntropy, AForbiddenAtomWithoutMassCostsNothing) {
    backend::Host host;
    Values logits{0, minus_infinity, 0}, target{0.5, 0, 0.5}, gradient(3);
    EXPECT_NEAR(critic::cross_entropy(host, Read{logits, 3}, Read{target, 3}, Write{gradient, 3}), std::log(2.0),
                1e-12);
    EXPECT_NEAR(gradient[0], 0.0, 1e-12);
    EXPECT_EQ(gradient[1], 0.0);
}

RC_GTEST_PROP(QuantileHuber, TheGradientIsThatOfTheLoss, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    Values target = random_values(draw, 6);
    critic::QuantileHuber part{.kappa = draw.real(0.3, 2)};
    expect_the_gradient(random_values(draw, 8), [&](const Values& x, Values& gradient) {
        return part.loss(host, Read{x, 4}, Read{target, 3}, Write{gradient, 4});
    });
}

TEST(QuantileHuber, TheQuantilesOfTheTargetsCannotBeImproved) {
    backend::Host host;
    Values target{1, 2, 3, 4}, theta{1.5, 3.5}, gradient(2);  // tau 1/4 and 3/4
    critic::QuantileHuber part{.kappa = 0.0};
    double best = part.loss(host, Read{theta, 2}, Read{target, 4}, Write{gradient, 2});
    EXPECT_NEAR(gradient[0], 0.0, 1e-12);
    EXPECT_NEAR(gradient[1], 0.0, 1e-12);
    Values other{0.5, 4.5};
    EXPECT_LT(best, part.loss(host, Read{other, 2}, Read{target, 4}, Write{gradient, 2}));
    // kappa = 0 is the limit of small ones.
    EXPECT_NEAR(best,
                critic::QuantileHuber{.kappa = 1e-9}.loss(host, Read{theta, 2}, Read{target, 4}, Write{gradient, 2}),
                1e-8);
}

TEST(QuantileHuber, AsManyTargetsAsAreThereAreAPlainLoop) {
    backend::Host host;
    for (double kappa : {0.0, 0.7})
        for (std::size_t targets : {0, 1, 2, 7, 8, 9, 33}) {
            Values theta{-0.4, 0.1, 0.9}, target(targets), gradient(3, 1.0);
            for (std::size_t j = 0; j < targets; ++j) target[j] = 3.0 * std::sin(2.0 * double(j));
            double should = 0.0;
            Values slope(3, 0.0);
            for (std::size_t i = 0; i < 3; ++i)
                for (double y : target) {
                    double u = y - theta[i], tau = (double(i) + 0.5) / 3.0;
                    double weight = std::abs(tau - double(u < 0.0)) / double(targets);
                    double held = kappa > 0.0 ? std::clamp(u / kappa, -1.0, 1.0) : double(u > 0.0) - double(u < 0.0);
                    should += weight * held * (u - 0.5 * kappa * held);
                    slope[i] -= weight * held;
                }
            auto stride = static_cast<std::int64_t>(targets);
            EXPECT_NEAR(
                critic::QuantileHuber{kappa}.loss(host, Read{theta, 3}, Read{target, stride}, Write{gradient, 3}),
                should, 1e-14);
            for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(gradient[i], slope[i], 1e-14) << targets;
        }
}

TEST(QuantileHuber, WhatIsNoNumberIsSeenAndWhatIsInfiniteHasASlope) {
    backend::Host host;
    for (std::size_t at : {0, 10}) {
        Values theta{0.0}, target(11, 0.5), gradient(1);
        target[at] = minus_infinity;
        EXPECT_EQ(critic::QuantileHuber{}.loss(host, Read{theta, 1}, Read{target, 11}, Write{gradient, 1}),
                  -minus_infinity);
        EXPECT_NEAR(gradient[0], (0.5 - 10 * 0.25) / 11, 1e-14);
        target[at] = std::nan("");
        EXPECT_TRUE(
            std::isnan(critic::QuantileHuber{}.loss(host, Read{theta, 1}, Read{target, 11}, Write{gradient, 1})));
        EXPECT_TRUE(std::isnan(gradient[0]));
    }
}

TEST(OfflineTargets, OfNoRowsAreZero) {
    backend::Host host;
    Values none;
    EXPECT_EQ(critic::QuantileHuber{}.loss(host, Read{none, 4}, Read{none, 3}, Write{none, 4}), 0.0);
    EXPECT_EQ(critic::cross_entropy(host, Read{none, 0}, Read{none, 0}, Write{none, 0}), 0.0);
    EXPECT_EQ(critic::BehaviourCloning{}.loss(host, View(none), Read{none, 2}, Read{none, 2}, std::span(none),
                                              Write{none, 2}),
              0.0);
}

}  // namespace
}  // namespace roars::offline_test
