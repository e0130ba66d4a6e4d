#include <cmath>
#include <random>

#include "on_device.hpp"
#include "roars/cuda/sort.hpp"
#include "roars/primitives/select.hpp"

namespace roars::gpu {
namespace {

template <class D>
struct SortOnDevice : OnDevice<D> {};
TYPED_TEST_SUITE(SortOnDevice, OneDevice);

/// Keys with many ties and everything that is hard to order.
template <class Key>
std::vector<Key> hard_keys(std::int64_t count) {
    std::mt19937 engine(4);
    const Key special[] = {Key(NAN), Key(INFINITY), Key(-INFINITY), Key(0.0), Key(-0.0), Key(-1), Key(1)};
    std::vector<Key> keys;
    for (std::int64_t i = 0; i < count; ++i)
        keys.push_back(engine() % 3 ? Key(int(engine() % 20) - 10) / 4 : special[engine() % 7]);
    return keys;
}

template <class Order, class Key, class D>
void expect_the_hosts_order() {
    backend::Host host;
    D device;
    for (const auto& offsets :
         std::vector<std::vector<std::int64_t>>{{0}, {0, 0}, {0, 1}, {0, 5, 5, 300, 301, 1000}, {0, 0, 3000, 3000}}) {
        auto keys = hard_keys<Key>(offsets.back());
        std::span<const Key> k(keys);
        std::vector<std::int64_t> expected(keys.size());
        auto there = put(device, keys);
        auto there_offsets = put(device, offsets);
        Segments segments{there_offsets.data(), std::ssize(offsets) - 1, offsets.back()};
        Buffer<std::int64_t, D> permutation(device, offsets.back());
        roars::segmented_argsort<Order>(host, offsets, k, std::span(expected));
        segmented_argsort<Order>(device, segments, there.data(), permutation.data());
        EXPECT_EQ(permutation.download(), expected);
        roars::stable_argsort<Order>(host, k, std::span(expected));
        stable_argsort<Order>(device, there.data(), offsets.back(), permutation.data());
        EXPECT_EQ(permutation.download(), expected);
        auto top = roars::segmented_top_k<Order>(host, offsets, k, 4);
        Buffer<std::int64_t, D> best(device, segments.segments * 4);
        segmented_top_k<Order>(device, segments, there.data(), 4, best.data());
        auto chosen = best.download();
        for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
            for (std::size_t j = 0; j < 4; ++j) {
                auto at = std::size_t(top.offsets[i]) + j;
                EXPECT_EQ(chosen[4 * i + j], at < std::size_t(top.offsets[i + 1]) ? top.index[at] : -1);
            }
    }
}

TYPED_TEST(SortOnDevice, OrdersAreTheHosts) {
    expect_the_hosts_order<Ascending, float, TypeParam>();
    expect_the_hosts_order<Descending, float, TypeParam>();
    expect_the_hosts_order<Ascending, double, TypeParam>();
    expect_the_hosts_order<Descending, double, TypeParam>();
}

TYPED_TEST(SortOnDevice, ChosenPlacesAreTheHosts) {
    backend::Host host;
    TypeParam device;
    for (std::int64_t count : {0, 1, 1023, 1024, 5000}) {
        std::mt19937 engine(5);
        std::vector<float> keep;
        for (std::int64_t i = 0; i < count; ++i) keep.push_back(engine() % 3 ? 0.0f : NAN);
        auto expected = roars::selected_indices(host, std::span<const float>(keep));
        auto there = put(device, keep);
        Buffer<std::int64_t, TypeParam> index(device, count), total(device, 1);
        selected_indices(device, there.data(), count, index.data(), total.data());
        auto chosen = index.download();
        ASSERT_EQ(total.download()[0], std::ssize(expected));
        chosen.resize(expected.size());
        EXPECT_EQ(chosen, expected);
    }
}

}  // namespace
}  // namespace roars::gpu
