#include <cmath>
#include <random>

#include "on_device.hpp"
#include "roars/cuda/scan.hpp"

namespace roars::gpu {
namespace {

template <class D>
struct ScanOnDevice : OnDevice<D> {};
TYPED_TEST_SUITE(ScanOnDevice, Devices);

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

struct Maps {
    std::vector<double> a, b;
    explicit Maps(std::int64_t count) {
        std::mt19937 engine(5);
        std::uniform_real_distribution<double> uniform(-1.0, 1.0);
        for (std::int64_t i = 0; i < count; ++i) {
            a.push_back(engine() % 50 ? 0.9 + 0.1 * uniform(engine) : 0.0);
            b.push_back(uniform(engine));
        }
    }
};
template <class D>
void expect_equal(const Buffer<double, D>& is, const std::vector<double>& should, double tolerance) {
    auto values = is.download();
    for (std::size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values[i], should[i], tolerance) << i;
}

TYPED_TEST(ScanOnDevice, RecursionsAreThoseOfTheHost) {
    backend::Host host;
    for (const auto& offsets : shapes) {
        Maps data(offsets.back());
        TypeParam device;
        std::vector<double> expected(data.a.size());
        std::span<const double> a(data.a), b(data.b);
        auto there = put(device, offsets);
        auto a_there = put(device, data.a), b_there = put(device, data.b);
        Buffer<double, TypeParam> y(device, offsets.back());
        Segments segments{there.data(), std::ssize(offsets) - 1, offsets.back()};
        roars::segmented_affine_backward(host, offsets, a, b, std::span(expected));
        segmented_affine_backward(device, segments, a_there.data(), b_there.data(), y.data());
        expect_equal(y, expected, 1e-12);
        roars::segmented_affine_forward(host, offsets, a, b, std::span(expected));
        segmented_affine_forward(device, segments, a_there.data(), b_there.data(), y.data());
        expect_equal(y, expected, 1e-12);
    }
}
TYPED_TEST(ScanOnDevice, SumsAreThoseOfTheHost) {
    backend::Host host;
    for (const auto& offsets : shapes) {
        Maps data(offsets.back());
        TypeParam device;
        std::vector<double> expected(data.a.size());
        std::span<const double> b(data.b);
        auto there = put(device, offsets);
        auto b_there = put(device, data.b);
        Buffer<double, TypeParam> y(device, offsets.back());
        Segments segments{there.data(), std::ssize(offsets) - 1, offsets.back()};
        roars::segmented_inclusive_sum(host, offsets, b, std::span(expected));
        segmented_inclusive_sum(device, segments, b_there.data(), y.data());
        expect_equal(y, expected, 1e-10);
        roars::segmented_exclusive_sum(host, offsets, b, std::span(expected));
        segmented_exclusive_sum(device, segments, b_there.data(), y.data());
        expect_equal(y, expected, 1e-10);
        roars::segmented_reverse_sum(host, offsets, b, std::span(expected));
        segmented_reverse_sum(device, segments, b_there.data(), y.data());
        expect_equal(y, expected, 1e-10);
        roars::segmented_reverse_exclusive_sum(host, offsets, b, std::span(expected));
        segmented_reverse_exclusive_sum(device, segments, b_there.data(), b_there.data());
        expect_equal(b_there, expected, 1e-10);
    }
}
TYPED_TEST(ScanOnDevice, ACutIsNotLookedThrough) {
    std::vector<double> a(3000, 1.0), b(3000, 1.0);
    a[1500] = 0.0;
    b[2000] = NAN;
    TypeParam device;
    auto offsets = put(device, std::vector<std::int64_t>{0, 3000});
    auto a_there = put(device, a), b_there = put(device, b);
    segmented_affine_backward(device, Segments{offsets.data(), 1, 3000}, a_there.data(), b_there.data(),
                              b_there.data());
    auto y = b_there.download();
    EXPECT_EQ(y[1500], 1.0);
    EXPECT_EQ(y[0], 1501.0);
    EXPECT_TRUE(std::isnan(y[1501]));
    EXPECT_EQ(y[2001], 999.0);
}
TYPED_TEST(ScanOnDevice, TheSameRunGivesTheSameBits) {
    Maps data(300000);
    TypeParam device;
    auto offsets = put(device, std::vector<std::int64_t>{0, 5, 299000, 300000});
    auto a = put(device, data.a), b = put(device, data.b);
    Buffer<double, TypeParam> y(device, 300000);
    std::vector<double> first;
    for (int i = 0; i < 3; ++i) {
        segmented_affine_backward(device, Segments{offsets.data(), 3, 300000}, a.data(), b.data(), y.data());
        if (i == 0) first = y.download();
        EXPECT_EQ(y.download(), first);
    }
}

}  // namespace
}  // namespace roars::gpu
