#include "roars/networks/implicit_quantiles.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "roars/critic/quantile.hpp"
#include "roars/optimizer/step/adamw.hpp"

namespace roars::implicit_quantiles_test {
namespace {

using Network = network::ImplicitQuantiles<double>;

std::vector<double> numbers(std::size_t count, double low, double high, unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> any(low, high);
    std::vector<double> values(count);
    for (double& x : values) x = any(random);
    return values;
}

TEST(ImplicitQuantiles, GradientIsTheFiniteDifference) {
    Network net({.inputs = 3, .outputs = 2, .hidden = {5, 4}, .cosines = 6, .activation = network::Activation::tanh});
    auto values = numbers(std::size_t(net.parameters()), -0.7, 0.7, 1);
    auto input = numbers(4 * 3, -1, 1, 2), tau = numbers(4 * 5, 0, 1, 3), slope = numbers(4 * 5 * 2, -1, 1, 4);
    auto loss = [&] {
        auto out = net.forward(values, input, tau);
        double sum = 0;
        for (std::size_t i = 0; i < out.size(); ++i) sum += out[i] * slope[i];
        return sum;
    };
    std::vector<double> gradients(values.size());
    loss();
    net.backward(values, slope, gradients);
    for (std::size_t i = 0; i < values.size(); ++i) {
        double own = values[i], step = 1e-6;
        values[i] = own + step;
        double above = loss();
        values[i] = own - step;
        double below = loss();
        values[i] = own;
        EXPECT_NEAR(gradients[i], (above - below) / (2 * step), 1e-7) << i;
    }
}

/// One unit everywhere: q = x relu(3 - 2 cos(pi tau) + cos(2 pi tau) + 0.5) 4 + 1.
TEST(ImplicitQuantiles, ByHand) {
    Network net({.inputs = 1, .outputs = 1, .hidden = {1}, .cosines = 3});
    const std::vector<double> values{1, 0, 3, -2, 1, 0.5, 4, 1};
    ASSERT_EQ(net.parameters(), 8);
    const std::vector<double> input{2.0}, tau{0.0, 0.5, 1.0};
    auto out = net.forward(values, input, tau);
    for (std::size_t i = 0; i < 3; ++i) {
        const double pi = std::acos(-1.0), phi = 3.5 - 2 * std::cos(pi * tau[i]) + std::cos(2 * pi * tau[i]);
        EXPECT_NEAR(out[i], 2 * phi * 4 + 1, 1e-12);
    }
}

TEST(ImplicitQuantiles, AFractionSaysTheSameWhateverStandsBesideIt) {
    Network net({.inputs = 2, .outputs = 3, .hidden = {8}, .cosines = 4});
    std::vector<double> values(std::size_t(net.parameters()));
    net.initialise(values, 7);
    auto input = numbers(2 * 2, -1, 1, 2), tau = numbers(2 * 3, 0, 1, 3);
    auto out = net.forward(values, input, tau);
    std::vector<double> all(out.begin(), out.end());
    ASSERT_EQ(all.size(), 2u * 3 * 3);
    for (std::size_t i = 0; i < 6; ++i) {
        std::size_t row = i / 3;
        auto alone = net.forward(values, std::span(input).subspan(row * 2, 2), std::span(tau).subspan(i, 1));
        for (std::size_t a = 0; a < 3; ++a) EXPECT_NEAR(alone[a], all[i * 3 + a], 1e-14);
    }
}

TEST(ImplicitQuantiles, WhatDoesNotFitIsRefused) {
    EXPECT_THROW(Network({.hidden = {}}), Error);
    Network net({.inputs = 2, .outputs = 1, .hidden = {4}, .cosines = 4});
    std::vector<double> values(std::size_t(net.parameters())), input(4), tau(3);
    EXPECT_THROW(net.forward(values, input, tau), Error) << "three fractions for two rows";
    EXPECT_THROW(net.forward(std::span(values).first(3), input, tau), Error);
    EXPECT_EQ(net.forward(values, {}, {}).size(), 0u);
}

/// Returns that are uniform in [x, x + 1] have the quantile x + tau.
TEST(ImplicitQuantiles, LearnsAQuantileFunction) {
    Network net({.inputs = 1, .outputs = 1, .hidden = {32}, .cosines = 16});
    std::vector<double> values(std::size_t(net.parameters())), gradients(values.size());
    net.initialise(values, 1);
    step::AdamW rule{.learning_rate = 5e-3};
    step::AdamW::StateOf<double> state;
    std::mt19937 random(5);
    std::uniform_real_distribution<double> unit(0, 1);
    backend::Host host;
    constexpr std::size_t rows = 16, fractions = 8;
    critic::ImplicitQuantile loss{{.kappa = 0.0}};
    for (int k = 0; k < 700; ++k) {
        std::vector<double> input(rows), tau(rows * fractions), target(rows * fractions), grad(rows * fractions);
        for (double& x : input) x = unit(random);
        for (double& t : tau) t = unit(random);
        for (std::size_t i = 0; i < target.size(); ++i) target[i] = input[i / fractions] + unit(random);
        auto out = net.forward(values, input, tau);
        loss.loss<double>(host, {out, fractions}, {tau, fractions}, {target, fractions}, {grad, fractions});
        std::fill(gradients.begin(), gradients.end(), 0.0);
        net.backward(values, grad, gradients);
        rule.step(state, std::span(values), std::span(gradients));
    }
    for (double x : {0.2, 0.8})
        for (double tau : {0.1, 0.5, 0.9}) {
            std::vector<double> input{x}, at{tau};
            EXPECT_NEAR(net.forward(values, input, at)[0], x + tau, 0.1) << x << ' ' << tau;
        }
}

}  // namespace
}  // namespace roars::implicit_quantiles_test
