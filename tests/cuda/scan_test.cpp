#include "../../cuda/tests/emulated.hpp"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "roars/cuda/scan.hpp"

namespace roars::gpu {
namespace {

class ScanOnDevice : public ::testing::TestWithParam<Order> {};
INSTANTIATE_TEST_SUITE_P(Threads, ScanOnDevice, ::testing::Values(Order::forwards, Order::backwards, Order::shuffled));

const std::vector<std::vector<std::int64_t>> shapes{
    {0},
    {0, 0},
    {0, 1},
    {0, 3, 3, 7},
    {0, 1024},
    {0, 1025},
    {0, 1, 2, 1024},
    {0, 1022, 2050, 2051},
    {0, 9000, 9000, 9003},
    {0, 1023, 1026, 5000, 20000},
};

struct Data {
    std::vector<double> a, b;
    Segments segments;
    explicit Data(const std::vector<std::int64_t>& offsets)
        : segments{offsets.data(), std::ssize(offsets) - 1, offsets.back()} {
        std::mt19937 engine(5);
        std::uniform_real_distribution<double> uniform(-1.0, 1.0);
        for (std::int64_t i = 0; i < offsets.back(); ++i) {
            a.push_back(engine() % 50 ? 0.9 + 0.1 * uniform(engine) : 0.0);
            b.push_back(uniform(engine));
        }
    }
};

TEST_P(ScanOnDevice, RecursionsAreThoseOfTheHost) {
    backend::Host host;
    for (const auto& offsets : shapes) {
        Data data(offsets);
        Emulated device(GetParam());
        std::vector<double> y(data.a.size()), expected(y.size());
        std::span<const double> a(data.a), b(data.b);
        roars::segmented_affine_backward(host, offsets, a, b, std::span(expected));
        segmented_affine_backward(device, data.segments, a.data(), b.data(), y.data());
        for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], expected[i], 1e-12) << i;
        roars::segmented_affine_forward(host, offsets, a, b, std::span(expected));
        segmented_affine_forward(device, data.segments, a.data(), b.data(), y.data());
        for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], expected[i], 1e-12) << i;
    }
}
TEST_P(ScanOnDevice, SumsAreThoseOfTheHost) {
    backend::Host host;
    for (const auto& offsets : shapes) {
        Data data(offsets);
        Emulated device(GetParam());
        std::vector<double> y(data.a.size()), expected(y.size());
        std::span<const double> b(data.b);
        auto same = [&] {
            for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], expected[i], 1e-10) << i;
        };
        roars::segmented_inclusive_sum(host, offsets, b, std::span(expected));
        segmented_inclusive_sum(device, data.segments, b.data(), y.data());
        same();
        roars::segmented_exclusive_sum(host, offsets, b, std::span(expected));
        segmented_exclusive_sum(device, data.segments, b.data(), y.data());
        same();
        roars::segmented_reverse_sum(host, offsets, b, std::span(expected));
        segmented_reverse_sum(device, data.segments, b.data(), y.data());
        same();
        roars::segmented_reverse_exclusive_sum(host, offsets, b, std::span(expected));
        y = data.b;
        segmented_reverse_exclusive_sum(device, data.segments, y.data(), y.data());
        same();
    }
}
TEST_P(ScanOnDevice, ACutIsNotLookedThrough) {
    std::vector<std::int64_t> offsets{0, 3000};
    std::vector<double> a(3000, 1.0), b(3000, 1.0), y(3000);
    a[1500] = 0.0;
    b[2000] = NAN;
    Emulated device(GetParam());
    segmented_affine_backward(device, Segments{offsets.data(), 1, 3000}, a.data(), b.data(), y.data());
    EXPECT_EQ(y[1500], 1.0);
    EXPECT_EQ(y[0], 1501.0);
    EXPECT_TRUE(std::isnan(y[1501]));
    EXPECT_EQ(y[2001], 999.0);
}

}  // namespace
}  // namespace roars::gpu
