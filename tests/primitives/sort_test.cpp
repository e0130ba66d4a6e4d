#include "roars/primitives/sort.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "ragged.hpp"

namespace roars::primitives_sort_test {
namespace {

/// NaN, of which ragged data has some, is last in either order.
template <class Order>
void expect_segments_sorted(const Ragged<double>& ragged) {
    auto backend = ragged.backend;
    std::vector<std::int64_t> permutation(ragged.x.size(), -1);
    segmented_argsort<Order>(backend, ragged.offsets, std::span(ragged.x), std::span(permutation));
    auto count = *rc::gen::inRange<std::int64_t>(0, 12);
    auto top = segmented_top_k<Order>(backend, ragged.offsets, std::span(ragged.x), count);
    for (std::int64_t s = 0; s < ragged.segments(); ++s) {
        std::vector<std::int64_t> plain(ragged.offsets[s + 1] - ragged.offsets[s]);
        std::iota(plain.begin(), plain.end(), ragged.offsets[s]);
        double sign = std::is_same_v<Order, Ascending> ? 1.0 : -1.0;
        auto key = [&](std::int64_t i) { return ragged.mask[i] ? sign * ragged.x[i] : infinity; };
        std::stable_sort(plain.begin(), plain.end(), [&](auto a, auto b) { return key(a) < key(b); });
        RC_ASSERT(std::equal(plain.begin(), plain.end(), permutation.begin() + ragged.offsets[s]));
        plain.resize(std::min<std::size_t>(plain.size(), count));
        std::vector<std::int64_t> best(top.index.begin() + top.offsets[s], top.index.begin() + top.offsets[s + 1]);
        RC_ASSERT(best == plain);
    }
}

RC_GTEST_PROP(Sort, SegmentsAscending, ()) { expect_segments_sorted<Ascending>(any_ragged<double>()); }
RC_GTEST_PROP(Sort, SegmentsDescending, ()) { expect_segments_sorted<Descending>(any_ragged<double>()); }

RC_GTEST_PROP(Sort, AnArgSortIsStable, (const std::vector<std::int8_t>& keys)) {
    backend::Host backend;
    std::vector<std::int64_t> permutation(keys.size()), plain(keys.size());
    stable_argsort<Descending>(backend, std::span(keys), std::span(permutation));
    std::iota(plain.begin(), plain.end(), 0);
    std::stable_sort(plain.begin(), plain.end(), [&](auto a, auto b) { return keys[a] > keys[b]; });
    RC_ASSERT(permutation == plain);
}

TEST(Sort, HugeSegmentsAreTheSameOnAnyThreads) {
    auto ragged = huge_ragged();
    for (std::size_t i = 0; i < ragged.x.size(); ++i) ragged.x[i] = static_cast<float>(i * 7919 % 1000);
    std::vector<std::int64_t> permutation(ragged.x.size());
    auto sorted = [&] {
        segmented_argsort(ragged.backend, ragged.offsets, std::span(ragged.x), std::span(permutation));
        return permutation;
    };
    EXPECT_TRUE(same_on_any_threads(sorted));
    for (std::int64_t i = ragged.offsets[2] + 1; i < ragged.offsets[3]; ++i) {
        auto a = permutation[i - 1], b = permutation[i];
        ASSERT_TRUE(ragged.x[a] < ragged.x[b] || (ragged.x[a] == ragged.x[b] && a < b)) << i;
    }
}

TEST(Sort, ANegativeCountIsRefused) {
    backend::Host backend;
    std::vector<double> x;
    EXPECT_THROW(segmented_top_k(backend, {}, std::span(x), -1), Error);
    EXPECT_EQ(segmented_top_k(backend, {}, std::span(x), 3).offsets, std::vector<std::int64_t>{0});
}

}  // namespace
}  // namespace roars::primitives_sort_test
