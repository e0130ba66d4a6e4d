#include <cmath>
#include <random>

#include "on_device.hpp"
#include "roars/cuda/log_softmax.hpp"

namespace roars::gpu {
namespace {

template <class D>
struct LogSoftmaxOnDevice : OnDevice<D> {};
TYPED_TEST_SUITE(LogSoftmaxOnDevice, Devices);

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Rows of any stride, `shift` elements behind an aligned address, against the host in double.
template <class D, class T, class Real>
void expect_the_hosts(std::int64_t vocabulary, std::int64_t stride, std::int64_t shift, double temperature,
                      bool with_entropy, double tolerance) {
    constexpr std::int64_t rows = 6;
    std::mt19937 engine(11);
    std::normal_distribution<float> normal(0.0f, 3.0f);
    D device;
    std::vector<T> memory(std::size_t(shift + rows * stride), T(-77.0f));
    std::vector<double> logits;
    std::vector<std::int32_t> token;
    for (std::int64_t r = 0; r < rows; ++r) {
        token.push_back(std::int32_t(engine() % std::uint32_t(vocabulary)));
        for (std::int64_t j = 0; j < vocabulary; ++j) {
            float x = normal(engine);
            if (r == 1 && j % 3 == 1 && j != token.back()) x = -INFINITY;
            if (r == 2 && j != token.back()) x = -INFINITY;  // one action left
            if (r == 5) x = j == token.back() ? 90.0f : -90.0f;
            T& place = memory[std::size_t(shift + r * stride + j)];
            place = T(x);
            logits.push_back(double(float(place)));
        }
    }
    backend::Host host;
    std::vector<double> h_logp(rows), h_total(rows), h_entropy(rows), h_squares(rows), grad(rows), grad_h(rows);
    std::span<const std::int32_t> tokens(token);
    LogSoftmaxColumns<double> h{h_logp, h_total, h_entropy, h_squares};
    roars::selective_log_softmax(host, std::span<const double>(logits), vocabulary, tokens, temperature, h);

    std::vector<Real> mask(rows, 1);
    mask[3] = 0;
    auto there = put(device, memory);
    auto there_token = put(device, token);
    auto there_mask = put(device, mask);
    Buffer<double, D> totals(device, rows);
    Buffer<Real, D> logps(device, rows), entropies(device, rows), many(device, rows);
    Logits<T> rows_there(there.data() + shift, rows, vocabulary, stride);
    RowColumns<Real> wanted{logps.data(), totals.data(), with_entropy ? entropies.data() : nullptr,
                            with_entropy ? many.data() : nullptr};
    selective_log_softmax(device, rows_there, there_token.data(), static_cast<const Real*>(there_mask.data()),
                          temperature, wanted);
    auto logp = logps.download(), entropy = entropies.download(), squares = many.download();
    auto total = totals.download();
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
    auto g = put(device, std::vector<Real>(grad.begin(), grad.end())),
         gh = put(device, std::vector<Real>(grad_h.begin(), grad_h.end()));
    roars::selective_log_softmax_backward(host, std::span<double>(logits), vocabulary, tokens, temperature, h,
                                          std::span<const double>(grad), std::span<const double>(grad_h));
    selective_log_softmax_backward(device, rows_there, there_token.data(), temperature, totals.data(),
                                   static_cast<const Real*>(entropies.data()), static_cast<const Real*>(g.data()),
                                   static_cast<const Real*>(with_entropy ? gh.data() : nullptr));
    double rounding = sizeof(T) == 2 ? 4e-3 : tolerance;
    auto back = there.download();
    for (std::int64_t i = 0; i < shift; ++i) EXPECT_EQ(float(back[std::size_t(i)]), -77.0f);
    for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t j = 0; j < stride; ++j) {
            double is = double(float(back[std::size_t(shift + r * stride + j)]));
            if (j >= vocabulary) {
                ASSERT_EQ(is, -77.0);  // the padding
                continue;
            }
            double should = logits[std::size_t(r * vocabulary + j)];
            double upstream = std::abs(grad[std::size_t(r)]) + std::abs(grad_h[std::size_t(r)]);
            ASSERT_NEAR(is, should, rounding * std::abs(should) + tolerance * 3 * upstream) << r << ' ' << j;
        }
}

TYPED_TEST(LogSoftmaxOnDevice, RowsAreThoseOfTheHostWhereverTheyBegin) {
    for (std::int64_t vocabulary : {1, 2, 7, 8, 9, 63, 1000, 4096, 5003})
        for (std::int64_t shift : {0, 1, 3}) {
            expect_the_hosts<TypeParam, float, float>(vocabulary, vocabulary, shift, 0.7, true, 3e-6);
            expect_the_hosts<TypeParam, Brain, float>(vocabulary, vocabulary + 5, shift, 1.0, true, 3e-6);
            expect_the_hosts<TypeParam, Half, float>(vocabulary, vocabulary + 3, shift, 1.0, true, 3e-6);
        }
    expect_the_hosts<TypeParam, double, double>(4099, 4100, 1, 1.3, true, 1e-7);
    expect_the_hosts<TypeParam, Brain, double>(4099, 4099, 1, 1.3, false, 3e-6);
    expect_the_hosts<TypeParam, float, float>(151936, 151936, 0, 1.0, false, 3e-6);
}

TYPED_TEST(LogSoftmaxOnDevice, DegenerateRowsAreDefined) {
    TypeParam device;
    auto logits =
        put(device, std::vector<float>{-INFINITY, -INFINITY, NAN, 1.0f, INFINITY, 1.0f, 0.0f, 0.0f, -INFINITY, NAN});
    auto token = put(device, std::vector<std::int32_t>{0, 1, 1, 2, 0});
    auto grad = put(device, std::vector<float>(5, 1.0f));
    Buffer<double, TypeParam> totals(device, 5);
    Buffer<float, TypeParam> logps(device, 5), entropies(device, 5), squares(device, 5);
    Logits<float> rows(logits.data(), 5, 2);
    selective_log_softmax(device, rows, token.data(), static_cast<const float*>(nullptr), 1.0,
                          RowColumns<float>{logps.data(), totals.data(), entropies.data(), squares.data()});
    auto logp = logps.download();
    EXPECT_EQ(logp[0], -INFINITY);
    EXPECT_EQ(totals.download()[0], -infinity);
    EXPECT_EQ(entropies.download()[0], 0.0f);
    EXPECT_TRUE(std::isnan(logp[1]));
    EXPECT_TRUE(std::isnan(logp[2]));
    EXPECT_TRUE(std::isnan(logp[3]));  // token 2 of 2
    EXPECT_TRUE(std::isnan(totals.download()[4]));
    selective_log_softmax_backward(device, Logits<float>(logits.data(), 1, 2), token.data(), 1.0, totals.data(),
                                   static_cast<const float*>(nullptr), static_cast<const float*>(grad.data()));
    EXPECT_EQ(logits.download()[0], 0.0f);
    EXPECT_THROW(
        selective_log_softmax(device, rows, token.data(), static_cast<const float*>(nullptr), 0.0, RowColumns<float>{}),
        Error);
}

}  // namespace
}  // namespace roars::gpu
