#include "roars/networks/recurrent.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <span>
#include <vector>

namespace roars::recurrent_test {
namespace {

using Network = network::Recurrent<double>;

std::vector<double> numbers(std::int64_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> any(-0.8, 0.8);
    std::vector<double> values(static_cast<std::size_t>(count));
    for (double& x : values) x = any(random);
    return values;
}
/// Contexts of 4 steps of 2 numbers, of which 3 are read; 2 numbers beside them.
Network small() {
    return Network({.step_width = 2,
                    .shown = 4,
                    .read = 3,
                    .units = 3,
                    .rest = {.widths = {5, 4, 2}, .activation = network::Activation::tanh}});
}

TEST(Recurrent, GradientsAreTheFiniteDifferences) {
    Network net = small();
    ASSERT_EQ(net.inputs(), 10);
    ASSERT_EQ(net.outputs(), 2);
    auto values = numbers(net.parameters(), 1), input = numbers(5 * net.inputs(), 2), slope = numbers(5 * 2, 3);
    auto loss = [&] {
        auto out = net.forward(values, input);
        double sum = 0;
        for (std::size_t i = 0; i < out.size(); ++i) sum += out[i] * slope[i];
        return sum;
    };
    std::vector<double> gradients(values.size(), 1.0), by_input(input.size(), 7.0), alone(input.size(), 7.0);
    loss();
    net.backward(values, slope, gradients, by_input);
    loss();
    net.backward_inputs(values, slope, alone);
    EXPECT_EQ(by_input, alone);
    auto check = [&](std::vector<double>& at, const std::vector<double>& by, double before) {
        for (std::size_t i = 0; i < at.size(); ++i) {
            const double own = at[i], step = 1e-6;
            at[i] = own + step;
            const double above = loss();
            at[i] = own - step;
            const double below = loss();
            at[i] = own;
            EXPECT_NEAR(by[i] - before, (above - below) / (2 * step), 1e-8) << i;
        }
    };
    check(values, gradients, 1.0);  // is added to what was there
    check(input, by_input, 0.0);
    for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(by_input[i * 10], 0.0) << "the oldest step is not read";
}

/// One unit, one number a step, a rest that is the identity: the formula, twice.
TEST(Recurrent, ByHand) {
    Network net({.step_width = 1, .shown = 2, .read = 2, .units = 1, .rest = {.widths = {1, 1}}});
    //                               W (r, z, n)     b             U              c    rest
    const std::vector<double> values{0.5, -1.0, 2.0, 0.1, 0.2, -0.3, 1.5, -0.5, 0.7, 0.4, 1.0, 0.0};
    ASSERT_EQ(net.parameters(), std::ssize(values));
    const std::vector<double> input{0.3, -0.6};
    double h = 0;
    for (double x : input) {
        auto logistic = [](double u) { return 1 / (1 + std::exp(-u)); };
        const double r = logistic(0.5 * x + 0.1 + 1.5 * h), z = logistic(-1.0 * x + 0.2 - 0.5 * h),
                     n = std::tanh(2.0 * x - 0.3 + r * (0.7 * h + 0.4));
        h = (1 - z) * n + z * h;
    }
    EXPECT_NEAR(net.forward(values, input)[0], h, 1e-12);
}

TEST(Recurrent, BeginsAsAFunctionOfTheSeedAndRefusesWhatDoesNotFit) {
    Network net = small();
    std::vector<double> one(static_cast<std::size_t>(net.parameters())), same(one.size()), other(one.size());
    net.initialise(one, 3, 1), net.initialise(same, 3, 1), net.initialise(other, 3, 2);
    EXPECT_EQ(one, same);
    EXPECT_NE(one, other);
    std::int64_t named = 0;
    for (const network::Tensor& tensor : net.tensors()) {
        EXPECT_EQ(tensor.offset, named) << tensor.name;
        std::int64_t count = 1;
        for (std::int64_t extent : tensor.shape) count *= extent;
        named += count;
    }
    EXPECT_EQ(named, net.parameters());
    EXPECT_THROW(net.forward(one, numbers(11, 1)), Error);
    EXPECT_THROW(net.forward(numbers(3, 1), numbers(10, 1)), Error);
    EXPECT_TRUE(net.forward(one, {}).empty());
    std::vector<double> gradients(one.size(), 0.0);
    net.backward(one, {}, gradients);
    EXPECT_EQ(gradients, std::vector<double>(one.size(), 0.0));
    EXPECT_THROW(Network({.shown = 2, .read = 3, .units = 1, .rest = {.widths = {1, 1}}}), Error);
    EXPECT_THROW(Network({.units = 2, .rest = {.widths = {1, 1}}}), Error);
}

}  // namespace
}  // namespace roars::recurrent_test
