#include "roars/actors/mlp.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#if defined(_OPENMP)
#include <omp.h>
#endif

namespace roars::mlp_test {
namespace {

using roars::Error;
using roars::Random;
using roars::RandomStream;
using roars::actor::Activation;
using roars::actor::Mlp;
using roars::actor::MlpSettings;

std::vector<double> normal_numbers(std::int64_t count, std::uint64_t seed) {
    RandomStream random{Random(seed)};
    std::vector<double> numbers(static_cast<std::size_t>(count));
    for (double& number : numbers) number = random.normal();
    return numbers;
}

double weighted(std::span<const double> a, const std::vector<double>& weights) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * weights[i];
    return sum;
}

/// Biases and gains off their start values.
Mlp<double> disturbed(const MlpSettings& settings) {
    Mlp<double> model(settings, 7);
    std::vector<double> noise = normal_numbers(model.parameters().size(), 8);
    for (std::size_t i = 0; i < noise.size(); ++i) model.parameters().values()[i] += 0.2 * noise[i];
    return model;
}

using Case = std::tuple<Activation, Activation, bool>;
class MlpGradient : public ::testing::TestWithParam<Case> {};

/// More rows than a block, so that several lanes are added.
TEST_P(MlpGradient, IsFiniteDifferenceForParametersAndInputs) {
    auto [activation, output, layer_norm] = GetParam();
    constexpr std::int64_t rows = 261;
    Mlp<double> model = disturbed({{3, 6, 5, 2}, activation, output, layer_norm});
    std::vector<double> inputs = normal_numbers(rows * 3, 1), weights = normal_numbers(rows * 2, 2);
    auto loss = [&] { return weighted(model.forward(inputs), weights); };
    loss();
    std::vector<double> grad_inputs(inputs.size());
    model.parameters().zero_gradients();
    model.backward(weights, grad_inputs);
    std::vector<double> gradients(model.parameters().gradients().begin(), model.parameters().gradients().end());
    auto difference = [&](double& value) {
        double kept = value, step = 1e-6;
        value = kept + step;
        double above = loss();
        value = kept - step;
        double below = loss();
        value = kept;
        return (above - below) / (2 * step);
    };
    for (const auto& tensor : model.parameters().tensors())
        for (std::int64_t i = tensor.offset; i < tensor.offset + tensor.size; ++i) {
            double expected = difference(model.parameters().values()[static_cast<std::size_t>(i)]);
            ASSERT_NEAR(gradients[static_cast<std::size_t>(i)], expected, 1e-6 * (1 + std::abs(expected)))
                << tensor.name << " element " << i - tensor.offset;
        }
    for (std::size_t i = 0; i < inputs.size(); ++i)
        ASSERT_NEAR(grad_inputs[i], difference(inputs[i]), 1e-6 * (1 + std::abs(grad_inputs[i]))) << "input " << i;
}

INSTANTIATE_TEST_SUITE_P(Activations, MlpGradient,
                         ::testing::Values(Case{Activation::relu, Activation::identity, false},
                                           Case{Activation::tanh, Activation::tanh, false},
                                           Case{Activation::gelu, Activation::identity, false},
                                           Case{Activation::relu, Activation::tanh, true},
                                           Case{Activation::gelu, Activation::relu, true},
                                           Case{Activation::tanh, Activation::gelu, true}));

/// The plain reference in loops.
TEST(Mlp, OutputsEqualPlainReference) {
    Mlp<double> model = disturbed({{4, 5, 3}, Activation::gelu, Activation::identity, true});
    std::vector<double> inputs = normal_numbers(70 * 4, 3);
    auto outputs = model.forward(inputs);
    const auto& p = model.parameters();
    for (std::size_t row = 0; row < 70; ++row) {
        std::vector<double> hidden(5);
        double mean = 0, variance = 0;
        for (std::size_t o = 0; o < 5; ++o) {
            hidden[o] = p.values("layers.0.bias")[o];
            for (std::size_t i = 0; i < 4; ++i)
                hidden[o] += p.values("layers.0.weight")[i * 5 + o] * inputs[row * 4 + i];
            mean += hidden[o] / 5;
        }
        for (double h : hidden) variance += (h - mean) * (h - mean) / 5;
        for (std::size_t o = 0; o < 5; ++o) {
            double x = (hidden[o] - mean) / std::sqrt(variance + 1e-5) * p.values("layers.0.norm.weight")[o] +
                       p.values("layers.0.norm.bias")[o];
            hidden[o] = x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
        }
        for (std::size_t o = 0; o < 3; ++o) {
            double expected = p.values("layers.1.bias")[o];
            for (std::size_t i = 0; i < 5; ++i) expected += p.values("layers.1.weight")[i * 3 + o] * hidden[i];
            ASSERT_NEAR(outputs[row * 3 + o], expected, 1e-12);
        }
    }
}

TEST(Mlp, BackwardInputsLeavesTheParametersGradientsAlone) {
    Mlp<double> model = disturbed({{3, 8, 1}, Activation::tanh, Activation::identity, true});
    std::vector<double> inputs = normal_numbers(90 * 3, 1), ones(90, 1.0), both(inputs.size()), alone(inputs.size());
    model.forward(inputs);
    model.backward_inputs(ones, alone);
    for (double gradient : model.parameters().gradients()) ASSERT_EQ(gradient, 0.0);
    model.backward(ones, both);
    EXPECT_EQ(alone, both);
}

TEST(Mlp, BackwardAccumulates) {
    Mlp<double> model = disturbed({{3, 8, 2}});
    std::vector<double> inputs = normal_numbers(9 * 3, 1), weights = normal_numbers(9 * 2, 2);
    model.forward(inputs);
    model.backward(weights);
    std::vector<double> once(model.parameters().gradients().begin(), model.parameters().gradients().end());
    model.backward(weights);
    for (std::size_t i = 0; i < once.size(); ++i) ASSERT_EQ(model.parameters().gradients()[i], 2 * once[i]);
}

TEST(Mlp, ASmallerBatchAfterALargerOneIsItsOwn) {
    Mlp<double> used = disturbed({{3, 8, 2}, Activation::relu}), fresh = used.snapshot();
    std::vector<double> many = normal_numbers(200 * 3, 1), few = normal_numbers(2 * 3, 2), weights(4, 1.0);
    used.forward(many);
    auto a = used.forward(few), b = fresh.forward(few);
    ASSERT_EQ(a.size(), 4u);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(a[i], b[i]);
    used.backward(weights);
    fresh.backward(weights);
    for (std::size_t i = 0; i < used.parameters().gradients().size(); ++i)
        ASSERT_EQ(used.parameters().gradients()[i], fresh.parameters().gradients()[i]);
}

#if defined(_OPENMP)
TEST(Mlp, BitsDoNotDependOnTheNumberOfThreads) {
    std::vector<float> inputs(500 * 17);
    RandomStream random{Random(3)};
    for (float& input : inputs) input = static_cast<float>(random.normal());
    auto run = [&](int threads) {
        int before = omp_get_max_threads();
        omp_set_num_threads(threads);
        Mlp<float> model({{17, 200, 200, 4}, Activation::gelu, Activation::identity, true}, 5);
        auto outputs = model.forward(inputs);
        std::vector<float> bits(outputs.begin(), outputs.end());
        model.backward(outputs);
        bits.insert(bits.end(), model.parameters().gradients().begin(), model.parameters().gradients().end());
        omp_set_num_threads(before);
        return bits;
    };
    std::vector<float> one = run(1), three = run(3);
    ASSERT_EQ(one.size(), three.size());
    EXPECT_EQ(std::memcmp(one.data(), three.data(), one.size() * sizeof(float)), 0);
}
#endif

TEST(Mlp, RefusesWhatItCannotRead) {
    EXPECT_THROW(Mlp<double>({{3}}), Error);
    EXPECT_THROW(Mlp<double>({{3, 0, 1}}), Error);
    Mlp<double> model({{3, 4, 2}});
    EXPECT_THROW(model.forward(std::vector<double>(7)), Error);
    model.forward(std::vector<double>(6));
    EXPECT_THROW(model.backward(std::vector<double>(3)), Error);
    std::vector<double> short_inputs(5);
    EXPECT_THROW(model.backward(std::vector<double>(4), short_inputs), Error);
    EXPECT_THROW(model.backward_inputs(std::vector<double>(4), {}), Error);
}

TEST(Mlp, EmptyBatchGivesNothing) {
    Mlp<double> model({{3, 4, 2}});
    EXPECT_TRUE(model.forward({}).empty());
    model.backward({});
    for (double gradient : model.parameters().gradients()) ASSERT_EQ(gradient, 0.0);
}

}  // namespace
}  // namespace roars::mlp_test
