#include <cmath>
#include <numeric>
#include <random>

#include "on_device.hpp"
#include "roars/cuda/batch.hpp"
#include "roars/cuda/segments.hpp"

namespace roars::gpu {
namespace {

/// Segments of many sizes: none, one, around every size at which the work is shared out anew.
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

template <class D>
struct SegmentsOnDevice : OnDevice<D> {};
TYPED_TEST_SUITE(SegmentsOnDevice, Devices);

struct Segmented {
    std::vector<std::int64_t> offsets{0};
    std::vector<float> x, mask;
    explicit Segmented(const std::vector<std::int64_t>& sizes) {
        for (auto size : sizes) offsets.push_back(offsets.back() + size);
        std::mt19937 engine(7);
        std::normal_distribution<float> normal(3.0f, 2.0f);
        for (std::int64_t i = 0; i < offsets.back(); ++i) {
            x.push_back(i % 5 == 4 ? 1.5f : normal(engine));
            mask.push_back(engine() % 3 ? 1.0f : 0.0f);
            if (mask.back() == 0.0f) x.back() = std::nanf("");  // what is masked is not looked at
        }
    }
    std::size_t count() const { return offsets.size() - 1; }
    std::int64_t segments() const { return std::ssize(offsets) - 1; }
};

TYPED_TEST(SegmentsOnDevice, ReductionsAreThoseOfTheHost) {
    for (const auto& sizes : ragged) {
        Segmented data(sizes);
        TypeParam device;
        backend::Host host;
        std::span<const float> x(data.x), mask(data.mask);
        std::vector<double> sum_host(data.count());
        std::vector<std::int64_t> number_host(data.count());
        std::vector<float> least_host(data.count(), INFINITY), most_host(data.count(), -INFINITY);
        std::vector<Moments> moments_host(data.count());
        if (!data.x.empty()) {
            roars::segmented_sum(host, data.offsets, x, std::span(sum_host), mask);
            roars::segmented_min(host, data.offsets, x, std::span(least_host), mask);
            roars::segmented_max(host, data.offsets, x, std::span(most_host), mask);
            roars::segmented_count(host, data.offsets, mask, std::span(number_host));
            roars::segmented_moments(host, data.offsets, x, std::span(moments_host), mask);
        }
        auto offsets = put(device, data.offsets);
        auto there = put(device, data.x), there_mask = put(device, data.mask);
        Segments segments{offsets.data(), data.segments(), data.offsets.back()};
        Buffer<double, TypeParam> sums(device, data.segments());
        Buffer<std::int64_t, TypeParam> numbers(device, data.segments());
        Buffer<float, TypeParam> leasts(device, data.segments()), mosts(device, data.segments());
        Buffer<Moments, TypeParam> moments_there(device, data.segments());
        segmented_sum(device, segments, there.data(), sums.data(), there_mask.data());
        segmented_count(device, segments, there_mask.data(), numbers.data());
        segmented_min(device, segments, there.data(), leasts.data(), there_mask.data());
        segmented_max(device, segments, there.data(), mosts.data(), there_mask.data());
        segmented_moments(device, segments, there.data(), moments_there.data(), there_mask.data());
        auto sum = sums.download();
        auto number = numbers.download();
        auto least = leasts.download(), most = mosts.download();
        auto moments = moments_there.download();
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

TYPED_TEST(SegmentsOnDevice, ASegmentDoesNotDependOnItsNeighbours) {
    Segmented data({700, 9000, 30});
    TypeParam device;
    for (auto& x : data.x) x = std::isnan(x) ? 0.1f : x;
    auto offsets = put(device, data.offsets);
    auto x = put(device, data.x);
    Buffer<double, TypeParam> sums(device, 3), one(device, 1);
    segmented_sum(device, Segments{offsets.data(), 3, data.offsets[3]}, x.data(), sums.data());
    auto sum = sums.download();
    for (std::size_t i = 0; i < 3; ++i) {
        auto own = put(device, std::vector<std::int64_t>{0, data.offsets[i + 1] - data.offsets[i]});
        segmented_sum(device, Segments{own.data(), 1, data.offsets[i + 1] - data.offsets[i]},
                      x.data() + data.offsets[i], one.data());
        EXPECT_EQ(one.download()[0], sum[i]) << i;
    }
}

TYPED_TEST(SegmentsOnDevice, BroadcastFindsTheOwner) {
    for (const auto& sizes : ragged) {
        Segmented data(sizes);
        TypeParam device;
        std::vector<std::int64_t> number(data.count());
        std::iota(number.begin(), number.end(), 0);
        auto numbers = put(device, number), offsets = put(device, data.offsets);
        Buffer<std::int64_t, TypeParam> owners(device, data.offsets.back());
        segmented_broadcast(device, Segments{offsets.data(), data.segments(), data.offsets.back()}, numbers.data(),
                            owners.data());
        auto owner = owners.download();
        for (std::size_t i = 0; i < data.count(); ++i)
            for (auto t = data.offsets[i]; t < data.offsets[i + 1]; ++t)
                ASSERT_EQ(owner[std::size_t(t)], std::int64_t(i)) << t;
    }
}

TYPED_TEST(SegmentsOnDevice, TheArenaGrowsToOnePiece) {
    TypeParam device;
    auto turn = [&] {
        Frame<TypeParam> outer(device);
        outer.template take<double>(10);
        {
            Frame<TypeParam> inner(device);
            inner.template take<double>(1000);
            inner.template take<char>(100000);
        }
        auto* a = outer.template take<double>(500);
        auto* b = outer.template take<double>(500);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a) % 256, 0u);
        EXPECT_TRUE(b >= a + 500 || a >= b + 500);
    };
    turn();
    turn();
    auto before = device.arena().capacity();
    for (int i = 0; i < 5; ++i) turn();
    EXPECT_EQ(device.arena().capacity(), before);
}

TYPED_TEST(SegmentsOnDevice, ABatchGoesUpAndComesDown) {
    using Set = columns<col::groups, col::logp, col::mask, col::reward, col::token>;
    roars::Batch<float, Set> host(std::vector<std::int64_t>{0, 3, 3, 5}, std::vector<std::int64_t>{0, 2, 3});
    for (std::size_t t = 0; t < 5; ++t) {
        host[col::logp{}][t] = -float(t);
        host[col::token{}][t] = int(t);
    }
    host[col::reward{}][2] = 4;
    TypeParam device;
    Batch<float, Set, TypeParam> batch(device, host);
    EXPECT_EQ(batch.groups(), 2);
    auto back = batch.download(Set{});
    EXPECT_EQ(back[col::logp{}][4], -4.0f);
    EXPECT_EQ(back[col::token{}][3], 3);
    EXPECT_EQ(back[col::groups{}][1], 2);
    EXPECT_EQ(back[col::reward{}][2], 4.0f);

    Batch<float, columns<col::logp>, TypeParam> lacks(device, host.token_offsets());
    EXPECT_THROW(lacks.view(), Error);
    EXPECT_THROW(lacks.borrow(col::logp{}, nullptr, 4), Error);
    auto values = put(device, std::vector<float>{1, 2, 3, 4, 5});
    lacks.borrow(col::logp{}, values.data(), 5);
    EXPECT_EQ(lacks.view()[col::logp{}], values.data());
}

}  // namespace
}  // namespace roars::gpu
