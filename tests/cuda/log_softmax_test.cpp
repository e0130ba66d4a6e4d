#include "../../cuda/tests/emulated.hpp"

#include <bit>
#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "roars/cuda/log_softmax.hpp"

namespace roars::gpu {
namespace {

class LogSoftmaxOnDevice : public ::testing::TestWithParam<Order> {};
INSTANTIATE_TEST_SUITE_P(Threads, LogSoftmaxOnDevice,
                         ::testing::Values(Order::forwards, Order::backwards, Order::shuffled));

/// A float whose last 16 bits are cut off, as bfloat16 is stored.
struct Brain {
    std::uint16_t bits;
    Brain() = default;
    explicit Brain(float x) : bits(static_cast<std::uint16_t>((std::bit_cast<std::uint32_t>(x) + 0x8000u) >> 16)) {}
    explicit operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Rows of any stride, `shift` elements behind an aligned address, against the host in double.
template <class T, class Real>
void expect_the_hosts(Order order, std::int64_t vocabulary, std::int64_t stride, std::int64_t shift, double temperature,
                      bool with_entropy, double tolerance) {
    constexpr std::int64_t rows = 6;
    std::mt19937 engine(11);
    std::normal_distribution<float> normal(0.0f, 3.0f);
    Emulated device(order);
    Buffer<T, Emulated> memory(device, shift + rows * stride);
    std::vector<double> logits;
    for (std::int64_t i = 0; i < memory.size(); ++i) memory.data()[i] = T(-77.0f);
    std::vector<std::int32_t> token;
    for (std::int64_t r = 0; r < rows; ++r) {
        token.push_back(std::int32_t(engine() % std::uint32_t(vocabulary)));
        for (std::int64_t j = 0; j < vocabulary; ++j) {
            float x = normal(engine);
            if (r == 1 && j % 3 == 1 && j != token.back()) x = -INFINITY;
            if (r == 2 && j != token.back()) x = -INFINITY;  // one action left
            if (r == 5) x = j == token.back() ? 90.0f : -90.0f;
            T& place = memory.data()[shift + r * stride + j];
            place = T(x);
            logits.push_back(double(float(place)));
        }
    }
    std::vector<double> total(rows);
    std::vector<Real> logp(rows), entropy(rows), squares(rows), mask(rows, 1);
    mask[3] = 0;
    backend::Host host;
    std::vector<double> h_logp(rows), h_total(rows), h_entropy(rows), h_squares(rows), grad(rows), grad_h(rows);
    std::span<const std::int32_t> tokens(token);
    LogSoftmaxColumns<double> h{h_logp, h_total, h_entropy, h_squares};
    roars::selective_log_softmax(host, std::span<const double>(logits), vocabulary, tokens, temperature, h);

    Logits<T> there(memory.data() + shift, rows, vocabulary, stride);
    RowColumns<Real> wanted{logp.data(), total.data(), with_entropy ? entropy.data() : nullptr,
                            with_entropy ? squares.data() : nullptr};
    selective_log_softmax(device, there, token.data(), mask.data(), temperature, wanted);
    for (std::size_t r = 0; r < rows; ++r) {
        if (r == 3) {
            EXPECT_EQ(logp[r], Real(0));
            continue;
        }
        EXPECT_NEAR(logp[r], h_logp[r], tolerance * (1 + std::abs(h_logp[r]))) << r;
        EXPECT_NEAR(total[r], h_total[r], tolerance * (1 + std::abs(h_total[r]))) << r;
        if (!with_entropy) continue;
        EXPECT_NEAR(entropy[r], h_entropy[r], tolerance * 10) << r;
        EXPECT_NEAR(squares[r], h_squares[r], tolerance * 10) << r;
    }
    for (std::size_t r = 0; r < rows; ++r) {
        grad[r] = r == 4 ? 0.0 : 0.5 + double(r);
        grad_h[r] = with_entropy && r != 4 ? 0.25 - double(r) : 0.0;
    }
    grad[3] = grad_h[3] = 0.0;
    std::vector<Real> g(grad.begin(), grad.end()), gh(grad_h.begin(), grad_h.end());
    roars::selective_log_softmax_backward(host, std::span<double>(logits), vocabulary, tokens, temperature, h,
                                          std::span<const double>(grad), std::span<const double>(grad_h));
    selective_log_softmax_backward(device, there, token.data(), temperature, total.data(), entropy.data(), g.data(),
                                   with_entropy ? gh.data() : nullptr);
    double rounding = sizeof(T) == 2 ? 4e-3 : tolerance;
    for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t j = 0; j < stride && shift + r * stride + j < memory.size(); ++j) {
            double is = double(float(there.row(r)[j]));
            if (j >= vocabulary) {
                ASSERT_EQ(is, -77.0);  // the padding
                continue;
            }
            double should = logits[std::size_t(r * vocabulary + j)];
            ASSERT_NEAR(is, should,
                        rounding * std::abs(should) +
                            tolerance * 3 * (std::abs(grad[std::size_t(r)]) + std::abs(grad_h[std::size_t(r)])))
                << r << ' ' << j;
        }
    for (std::int64_t i = 0; i < shift; ++i) EXPECT_EQ(double(float(memory.data()[i])), -77.0);
}

TEST_P(LogSoftmaxOnDevice, RowsAreThoseOfTheHostWhereverTheyBegin) {
    for (std::int64_t vocabulary : {1, 2, 7, 8, 9, 63, 1000, 4096, 5003})
        for (std::int64_t shift : {0, 1, 3}) {
            expect_the_hosts<float, float>(GetParam(), vocabulary, vocabulary, shift, 0.7, true, 3e-6);
            expect_the_hosts<Brain, float>(GetParam(), vocabulary, vocabulary + 5, shift, 1.0, true, 3e-6);
        }
    expect_the_hosts<double, double>(GetParam(), 4099, 4100, 1, 1.3, true, 1e-7);
    expect_the_hosts<Brain, double>(GetParam(), 4099, 4099, 1, 1.3, false, 3e-6);
    expect_the_hosts<float, float>(GetParam(), 151936, 151936, 0, 1.0, false, 3e-6);
}

TEST_P(LogSoftmaxOnDevice, DegenerateRowsAreDefined) {
    std::vector<float> logits{-INFINITY, -INFINITY, NAN, 1.0f, INFINITY, 1.0f, 0.0f, 0.0f, -INFINITY, NAN};
    std::vector<std::int32_t> token{0, 1, 1, 2, 0};
    std::vector<double> total(5);
    std::vector<float> logp(5), entropy(5), squares(5), grad(5, 1.0f);
    Emulated device(GetParam());
    Logits<float> rows(logits.data(), 5, 2);
    selective_log_softmax(device, rows, token.data(), static_cast<const float*>(nullptr), 1.0,
                          RowColumns<float>{logp.data(), total.data(), entropy.data(), squares.data()});
    EXPECT_EQ(logp[0], -INFINITY);
    EXPECT_EQ(total[0], -INFINITY);
    EXPECT_EQ(entropy[0], 0.0f);
    EXPECT_TRUE(std::isnan(logp[1]));
    EXPECT_TRUE(std::isnan(logp[2]));
    EXPECT_TRUE(std::isnan(logp[3]));  // token 2 of 2
    EXPECT_TRUE(std::isnan(total[4]));
    selective_log_softmax_backward(device, Logits<float>(logits.data(), 1, 2), token.data(), 1.0, total.data(),
                                   entropy.data(), grad.data());
    EXPECT_EQ(logits[0], 0.0f);
    EXPECT_THROW(selective_log_softmax(device, rows, token.data(), grad.data(), 0.0, RowColumns<float>{}), Error);
}

}  // namespace
}  // namespace roars::gpu
