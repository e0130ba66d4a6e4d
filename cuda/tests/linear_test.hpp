#include <cmath>
#include <random>

#include "on_device.hpp"
#include "roars/cuda/linear.hpp"
#include "roars/methods/grpo.hpp"

namespace roars::gpu {
namespace {

template <class D>
struct LinearOnDevice : OnDevice<D> {};
TYPED_TEST_SUITE(LinearOnDevice, OneDevice);

TYPED_TEST(LinearOnDevice, TheNearestPointIsFound) {
    constexpr std::int64_t width = 5, points = 100, queries = 33;
    std::mt19937 engine(6);
    std::normal_distribution<float> normal;
    std::vector<float> p(points * width), q(queries * width);
    for (auto& x : p) x = normal(engine);
    for (auto& x : q) x = normal(engine);
    std::copy_n(p.begin() + 7 * width, width, p.begin() + 60 * width);  // two equal points: the first is taken
    std::copy_n(p.begin() + 7 * width, width, q.begin());
    TypeParam device;
    auto p_there = put(device, p), q_there = put(device, q);
    Buffer<std::int64_t, TypeParam> index(device, queries);
    Buffer<float, TypeParam> distance(device, queries);
    for (std::int64_t chunk : {1, 7, 64, 1000}) {
        nearest(device, q_there.data(), queries, p_there.data(), points, width, index.data(), distance.data(), chunk);
        auto found = index.download();
        auto squared = distance.download();
        EXPECT_EQ(found[0], 7);
        EXPECT_EQ(squared[0], 0.0f);
        for (std::int64_t i = 0; i < queries; ++i) {
            double least = INFINITY;
            for (std::int64_t j = 0; j < points; ++j) {
                double sum = 0;
                for (std::int64_t k = 0; k < width; ++k)
                    sum += std::pow(double(q[std::size_t(i * width + k)]) - double(p[std::size_t(j * width + k)]), 2);
                least = std::min(least, sum);
            }
            EXPECT_NEAR(squared[std::size_t(i)], least, 1e-5 * (1 + least)) << i;
        }
    }
}

/// From hidden states, in chunks: the same loss as from the logits of a plain product, and gradients that are the
/// product's. In 16 bits the numbers are halves of small integers, so that the logits are exact however a product is
/// summed; `rounding` is that of T.
template <class D, class T>
void expect_chunks_are_the_whole(double rounding) {
    using A = methods::Grpo;
    using Set = unite_t<typename A::Columns, columns<col::mask, col::token>>;
    constexpr std::int64_t tokens = 11, width = 6, vocabulary = 17;
    std::mt19937 engine(8);
    std::normal_distribution<float> normal;
    roars::Batch<float, Set> host(std::vector<std::int64_t>{0, 4, 4, tokens}, std::vector<std::int64_t>{0, 3});
    for (std::size_t t = 0; t < tokens; ++t) {
        host[col::mask{}][t] = t == 2 ? 0.0f : 1.0f;
        host[col::token{}][t] = std::int32_t(engine() % vocabulary);
        host[col::advantage{}][t] = normal(engine);
        host[col::logp_old{}][t] = host[col::logp_ref{}][t] = -3.0f;
    }
    std::vector<float> hidden(tokens * width), weight(vocabulary * width), logits(tokens * vocabulary);
    auto number = [&] {
        float x = normal(engine);
        return sizeof(T) == 2 ? std::clamp(std::round(2.0f * x), -4.0f, 4.0f) / 2.0f : x;
    };
    for (auto& x : hidden) x = number();
    for (auto& x : weight) x = number();
    for (std::int64_t t = 0; t < tokens; ++t)
        for (std::int64_t j = 0; j < vocabulary; ++j)
            for (std::int64_t k = 0; k < width; ++k)
                logits[std::size_t(t * vocabulary + j)] +=
                    hidden[std::size_t(t * width + k)] * weight[std::size_t(j * width + k)];
    D device;
    roars::Run run{device};
    A::State state{};
    Batch<float, Set, D> batch(device, host);
    auto there_as = [&](const std::vector<float>& values) {
        std::vector<T> converted;
        for (float x : values) converted.push_back(T(x));
        return put(device, converted);
    };
    auto there = there_as(logits), hidden_there = there_as(hidden), weight_there = there_as(weight);
    Objective objective(device, methods::grpo);
    objective.count(run, state, batch);
    objective.from_logits(run, state, batch, Logits<T>(there.data(), tokens, vocabulary));
    double loss = objective.read(batch).loss();
    auto gradient = there.download();
    Buffer<T, D> grad_hidden(device, tokens * width);
    Buffer<float, D> grad_weight(device, vocabulary * width);
    for (std::int64_t chunk : {1, 4, 11, 100}) {
        objective_from_hidden(objective, run, state, batch,
                              LastLayer<T>{hidden_there.data(), weight_there.data(), tokens, width, vocabulary},
                              grad_hidden.data(), grad_weight.data(), chunk);
        EXPECT_NEAR(objective.read(batch).loss(), loss, 1e-5);
        auto of_hidden = grad_hidden.download();
        auto of_weight = grad_weight.download();
        for (std::int64_t k = 0; k < width; ++k) {
            for (std::int64_t t = 0; t < tokens; ++t) {
                double sum = 0;
                for (std::int64_t j = 0; j < vocabulary; ++j)
                    sum += double(float(gradient[std::size_t(t * vocabulary + j)])) *
                           double(weight[std::size_t(j * width + k)]);
                EXPECT_NEAR(double(float(of_hidden[std::size_t(t * width + k)])), sum, 1e-5 + rounding * std::abs(sum));
            }
            for (std::int64_t j = 0; j < vocabulary; ++j) {
                double sum = 0;
                for (std::int64_t t = 0; t < tokens; ++t)
                    sum += double(float(gradient[std::size_t(t * vocabulary + j)])) *
                           double(hidden[std::size_t(t * width + k)]);
                EXPECT_NEAR(of_weight[std::size_t(j * width + k)], sum, 1e-5);
            }
        }
    }
}
TYPED_TEST(LinearOnDevice, ChunksOfTheLastLayerAreTheWhole) {
    expect_chunks_are_the_whole<TypeParam, float>(0.0);
    expect_chunks_are_the_whole<TypeParam, Brain>(0x1p-8);
    expect_chunks_are_the_whole<TypeParam, Half>(0x1p-11);
}

}  // namespace
}  // namespace roars::gpu
