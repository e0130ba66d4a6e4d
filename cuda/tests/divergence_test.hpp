#include <cmath>
#include <random>

#include "on_device.hpp"
#include "roars/cuda/divergence.hpp"

namespace roars::gpu {
namespace {

template <class D>
struct DivergenceOnDevice : OnDevice<D> {};
TYPED_TEST_SUITE(DivergenceOnDevice, Devices);

/// Rows of two strides, `shift` elements behind an aligned address, against the host in double.
template <class D, class T, class Divergence>
void expect_the_hosts(const Divergence& divergence, std::int64_t vocabulary, std::int64_t shift, double temperature,
                      double tolerance) {
    constexpr std::int64_t rows = 5;
    const std::int64_t stride = vocabulary + 3, teacher_stride = vocabulary;
    std::mt19937 engine(5);
    std::normal_distribution<float> normal(0.0f, 2.0f);
    D device;
    std::vector<T> memory(std::size_t(shift + rows * stride), T(-77.0f)),
        teacher_memory(std::size_t(1 + rows * teacher_stride));
    std::vector<double> logits, teacher, weight{1.0, 0.5, 0.0, 2.0, -1.0}, value(rows), gradient;
    for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t j = 0; j < vocabulary; ++j) {
            float x = normal(engine), y = r == 3 ? x : normal(engine);  // row 3: nothing between them
            if (r == 1 && j % 4 == 1) x = y = -INFINITY;                // both forbid
            if (r == 4 && j == 0 && vocabulary > 1) x = -INFINITY;      // the policy alone forbids
            T &z = memory[std::size_t(shift + r * stride + j)],
              &t = teacher_memory[std::size_t(1 + r * teacher_stride + j)];
            z = T(x);
            t = T(y);
            logits.push_back(double(float(z)));
            teacher.push_back(double(float(t)));
        }
    gradient.resize(logits.size());
    backend::Host host;
    roars::full_divergence(host, divergence, std::span<const double>(logits), std::span<const double>(teacher),
                           vocabulary, temperature, std::span<const double>(weight), std::span(value),
                           std::span(gradient));

    auto there = put(device, memory), teacher_there = put(device, teacher_memory);
    auto weights = put(device, std::vector<float>(weight.begin(), weight.end()));
    Buffer<float, D> alone(device, rows), values(device, rows);
    Logits<T> own(there.data() + shift, rows, vocabulary, stride);
    Logits<const T> others(teacher_there.data() + 1, rows, vocabulary, teacher_stride);
    const float* w = weights.data();
    full_divergence(device, divergence, Logits<const T>(own.data, rows, vocabulary, stride), others, temperature, w,
                    alone.data());
    full_divergence_with_gradient(device, divergence, own, others, temperature, w, values.data());
    auto said = values.download(), said_alone = alone.download();
    auto back = there.download();
    const double rounding = sizeof(T) == 2 ? 4e-3 : tolerance;
    for (std::int64_t r = 0; r < rows; ++r) {
        auto at = std::size_t(r);
        EXPECT_EQ(said[at], said_alone[at]);
        if (std::isinf(value[at]))
            EXPECT_EQ(said[at], float(value[at])) << r;
        else
            EXPECT_NEAR(said[at], value[at], tolerance * (1 + std::abs(value[at]))) << r;
        for (std::int64_t j = 0; j < stride; ++j) {
            double is = double(float(back[std::size_t(shift + r * stride + j)]));
            if (j >= vocabulary) {
                ASSERT_EQ(is, -77.0);  // the padding
                continue;
            }
            double should = gradient[std::size_t(r * vocabulary + j)];
            ASSERT_NEAR(is, should, rounding * std::abs(should) + 3 * tolerance * std::abs(weight[at]))
                << r << ' ' << j;
        }
    }
}

TYPED_TEST(DivergenceOnDevice, RowsAreThoseOfTheHostWhereverTheyBegin) {
    auto check = [](const auto& divergence) {
        for (std::int64_t vocabulary : {1, 7, 8, 65, 5003})
            for (std::int64_t shift : {0, 1}) {
                expect_the_hosts<TypeParam, float>(divergence, vocabulary, shift, 0.7, 1e-5);
                expect_the_hosts<TypeParam, Brain>(divergence, vocabulary, shift, 1.0, 1e-5);
            }
        expect_the_hosts<TypeParam, double>(divergence, 1000, 1, 1.3, 1e-6);
    };
    check(divergence::ReverseKl{});
    check(divergence::ForwardKl{});
    check(divergence::JensenShannon{0.3});
    check(divergence::TotalVariation{});
    check(divergence::Cosine{});
}

TYPED_TEST(DivergenceOnDevice, AnotherVocabularyIsRefused) {
    TypeParam device;
    Buffer<float, TypeParam> memory(device, 8), value(device, 2);
    Logits<const float> own(memory.data(), 2, 4), other(memory.data(), 2, 3), fewer(memory.data(), 1, 4);
    const float* all = nullptr;
    EXPECT_THROW(full_divergence(device, divergence::ReverseKl{}, own, other, 1.0, all, value.data()), Error);
    EXPECT_THROW(full_divergence(device, divergence::ReverseKl{}, own, fewer, 1.0, all, value.data()), Error);
    EXPECT_THROW(full_divergence(device, divergence::ReverseKl{}, own, own, 0.0, all, value.data()), Error);
}

}  // namespace
}  // namespace roars::gpu
