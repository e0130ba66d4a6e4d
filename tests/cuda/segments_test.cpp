#include "../../cuda/tests/emulated.hpp"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "roars/cuda/batch.hpp"
#include "roars/cuda/segments.hpp"

namespace roars::gpu {
namespace {

/// Segments of many sizes: none, one, around every size at which the work is shared out anew.
std::vector<std::int64_t> offsets_of(const std::vector<std::int64_t>& sizes) {
    std::vector<std::int64_t> offsets{0};
    for (auto size : sizes) offsets.push_back(offsets.back() + size);
    return offsets;
}
const std::vector<std::vector<std::int64_t>> ragged{
    {},
    {0},
    {0, 0, 0},
    {1},
    {4096},
    {4097},
    {0, 64, 65, 1024, 1025, 4095, 4096, 4097, 0, 0, 8193, 1, 7, 0, 20000, 0},
    {12288, 0},
    std::vector<std::int64_t>(3000, 3),
    std::vector<std::int64_t>(600, 0),
    {5000, 1, 1, 1, 5000, 64, 64, 65, 3, 30000},
};

class SegmentsOnDevice : public ::testing::TestWithParam<Order> {};
INSTANTIATE_TEST_SUITE_P(Threads, SegmentsOnDevice,
                         ::testing::Values(Order::forwards, Order::backwards, Order::shuffled));

struct Data {
    std::vector<std::int64_t> offsets;
    std::vector<float> x, mask;
    explicit Data(const std::vector<std::int64_t>& sizes) : offsets(offsets_of(sizes)) {
        std::mt19937 engine(7);
        std::normal_distribution<float> normal(3.0f, 2.0f);
        for (std::int64_t i = 0; i < offsets.back(); ++i) {
            x.push_back(i % 5 == 4 ? 1.5f : normal(engine));
            mask.push_back(engine() % 3 ? 1.0f : 0.0f);
            if (mask.back() == 0.0f) x.back() = std::nanf("");  // what is masked is not looked at
        }
    }
    Segments segments() const { return {offsets.data(), std::ssize(offsets) - 1, offsets.back()}; }
    std::size_t count() const { return offsets.size() - 1; }
};

TEST_P(SegmentsOnDevice, SegmentedReductionsAreThoseOfTheHost) {
    for (const auto& sizes : ragged) {
        Data data(sizes);
        Emulated device(GetParam());
        backend::Host host;
        std::span<const float> x(data.x), mask(data.mask);
        std::vector<double> sum(data.count()), sum_host(data.count());
        std::vector<std::int64_t> number(data.count()), number_host(data.count());
        std::vector<float> least(data.count()), least_host(data.count()), most(data.count()), most_host(data.count());
        std::vector<Moments> moments(data.count()), moments_host(data.count());
        if (!data.x.empty()) {
            roars::segmented_sum(host, data.offsets, x, std::span(sum_host), mask);
            roars::segmented_min(host, data.offsets, x, std::span(least_host), mask);
            roars::segmented_max(host, data.offsets, x, std::span(most_host), mask);
            roars::segmented_count(host, data.offsets, mask, std::span(number_host));
        } else {
            std::fill(least_host.begin(), least_host.end(), INFINITY);
            std::fill(most_host.begin(), most_host.end(), -INFINITY);
        }
        if (!data.x.empty()) roars::segmented_moments(host, data.offsets, x, std::span(moments_host), mask);
        segmented_sum(device, data.segments(), x.data(), sum.data(), mask.data());
        segmented_count(device, data.segments(), mask.data(), number.data());
        segmented_min(device, data.segments(), x.data(), least.data(), mask.data());
        segmented_max(device, data.segments(), x.data(), most.data(), mask.data());
        segmented_moments(device, data.segments(), x.data(), moments.data(), mask.data());
        for (std::size_t i = 0; i < data.count(); ++i) {
            EXPECT_NEAR(sum[i], sum_host[i], 1e-12 * std::abs(sum_host[i])) << i;
            EXPECT_EQ(number[i], number_host[i]) << i;
            EXPECT_EQ(least[i], least_host[i]) << i;
            EXPECT_EQ(most[i], most_host[i]) << i;
            EXPECT_EQ(moments[i].count, moments_host[i].count) << i;
            EXPECT_EQ(moments[i].equal, moments_host[i].equal) << i;
            EXPECT_NEAR(moments[i].mean, moments_host[i].mean, 1e-12) << i;
            EXPECT_NEAR(moments[i].m2, moments_host[i].m2, 1e-10 * (1 + moments_host[i].m2)) << i;
        }
    }
}

TEST_P(SegmentsOnDevice, ASegmentDoesNotDependOnItsNeighbours) {
    Data data({700, 9000, 30});
    Emulated device(GetParam());
    std::vector<double> sum(3);
    for (auto& x : data.x) x = std::isnan(x) ? 0.1f : x;
    segmented_sum(device, data.segments(), data.x.data(), sum.data());
    for (std::size_t i = 0; i < 3; ++i) {
        std::vector<std::int64_t> own{0, data.offsets[i + 1] - data.offsets[i]};
        double alone = 0;
        segmented_sum(device, Segments{own.data(), 1, own[1]}, data.x.data() + data.offsets[i], &alone);
        EXPECT_EQ(alone, sum[i]) << i;
    }
}

TEST_P(SegmentsOnDevice, BroadcastFindsTheOwner) {
    for (const auto& sizes : ragged) {
        Data data(sizes);
        Emulated device(GetParam());
        std::vector<std::int64_t> number(data.count());
        std::iota(number.begin(), number.end(), 0);
        std::vector<std::int64_t> owner(data.x.size(), -1);
        segmented_broadcast(device, data.segments(), number.data(), owner.data());
        for (std::size_t i = 0; i < data.count(); ++i)
            for (auto t = data.offsets[i]; t < data.offsets[i + 1]; ++t)
                ASSERT_EQ(owner[std::size_t(t)], std::int64_t(i)) << t;
    }
}

TEST(Arena, GrowsToOnePieceAndThenAllocatesNothing) {
    Emulated device;
    auto turn = [&] {
        Frame<Emulated> outer(device);
        outer.take<double>(10);
        {
            Frame<Emulated> inner(device);
            inner.take<double>(1000);
            inner.take<char>(100000);
        }
        auto* a = outer.take<double>(500);
        auto* b = outer.take<double>(500);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a) % 256, 0u);
        EXPECT_TRUE(b >= a + 500 || a >= b + 500);
    };
    turn();
    turn();
    auto before = device.allocations;
    for (int i = 0; i < 5; ++i) turn();
    EXPECT_EQ(device.allocations, before);
}

TEST(DeviceBatch, GoesUpAndComesDown) {
    using Set = columns<col::groups, col::logp, col::mask, col::reward, col::token>;
    roars::Batch<float, Set> host(std::vector<std::int64_t>{0, 3, 3, 5}, std::vector<std::int64_t>{0, 2, 3});
    for (std::size_t t = 0; t < 5; ++t) {
        host[col::logp{}][t] = -float(t);
        host[col::token{}][t] = int(t);
    }
    host[col::reward{}][2] = 4;
    Emulated device;
    Batch<float, Set, Emulated> batch(device, host);
    EXPECT_EQ(batch.groups(), 2);
    auto back = batch.download(Set{});
    EXPECT_EQ(back[col::logp{}][4], -4.0f);
    EXPECT_EQ(back[col::token{}][3], 3);
    EXPECT_EQ(back[col::groups{}][1], 2);
    EXPECT_EQ(back[col::reward{}][2], 4.0f);

    Batch<float, columns<col::logp>, Emulated> lacks(device, host.token_offsets());
    EXPECT_THROW(lacks.view(), Error);
    EXPECT_THROW(lacks.borrow(col::logp{}, nullptr, 4), Error);
    float values[5] = {1, 2, 3, 4, 5};
    lacks.borrow(col::logp{}, values, 5);
    EXPECT_EQ(lacks.view()[col::logp{}][2], 3.0f);
}

}  // namespace
}  // namespace roars::gpu
