#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "roars/primitives/nearest.hpp"

namespace {

using namespace roars;

template <class Search>
std::vector<Neighbour> found(const Search& search, const std::vector<double>& query, std::int64_t k) {
    backend::Host host;
    std::vector<Neighbour> answer(query.size() / search.rows().width());
    nearest_rows(host, search, query, k, std::span(answer));
    return answer;
}

/// By sorting all rows.
Neighbour slowly(const std::vector<double>& rows, std::size_t width, const double* query, std::int64_t k) {
    std::vector<double> distance;
    for (std::size_t i = 0; i < rows.size() / width; ++i) {
        double sum = 0;
        for (std::size_t c = 0; c < width; ++c) sum += std::pow(query[c] - rows[i * width + c], 2);
        distance.push_back(std::sqrt(sum));
    }
    std::vector<std::int64_t> order(distance.size());
    std::iota(order.begin(), order.end(), std::int64_t{0});
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return distance[a] < distance[b]; });
    return {order[k - 1], distance[order[k - 1]]};
}

/// On a grid of few values, so that equal distances and equal rows are common.
RC_GTEST_PROP(Nearest, TheTreeFindsWhatLookingAtEveryRowFinds, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    auto below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
    std::size_t width = 1 + below(5), count = 1 + below(200), queries = below(20);
    int values = 2 + below(6);
    std::vector<double> rows(count * width), query(queries * width);
    for (double& x : rows) x = 0.1 * below(values);
    for (double& x : query) x = 0.05 * below(2 * values);
    std::int64_t k = 1 + below(int(std::min<std::size_t>(count, 6)));
    auto tree = found(NearestSearch(rows, std::int64_t(width)), query, k);
    auto brute = found(BruteForceSearch(rows, std::int64_t(width)), query, k);
    RC_ASSERT(tree.size() == queries);
    for (std::size_t i = 0; i < queries; ++i) {
        RC_ASSERT(tree[i].index == brute[i].index);
        RC_ASSERT(tree[i].distance == brute[i].distance);
        Neighbour slow = slowly(rows, width, &query[i * width], k);
        RC_ASSERT(std::abs(brute[i].distance - slow.distance) < 1e-12);
    }
}

TEST(Nearest, ATieGoesToTheLowestIndex) {
    std::vector<double> mirrored{9, -1, 1, -1, 1};
    for (std::int64_t k = 1; k <= 4; ++k) {
        EXPECT_EQ(found(NearestSearch(mirrored, 1), {0}, k)[0].index, k);
        EXPECT_EQ(found(BruteForceSearch(mirrored, 1), {0}, k)[0].index, k);
    }
    // A thousand equal rows, more than a leaf of a tree holds, and an exact hit.
    std::vector<double> equal(2000, 0.5);
    Neighbour hit = found(NearestSearch(equal, 2), {0.5, 0.5}, 1)[0];
    EXPECT_EQ(hit.index, 0);
    EXPECT_EQ(hit.distance, 0.0);
    EXPECT_EQ(found(NearestSearch(equal, 2), {0.5, 0.5}, 700)[0].index, 699);
}

TEST(Nearest, LargeAndManyColumns) {
    std::mt19937 random(3);
    std::normal_distribution<double> normal;
    std::vector<double> rows(300 * 40), query(10 * 40);
    for (double& x : rows) x = 1e100 * normal(random);
    for (double& x : query) x = 1e100 * normal(random);
    auto tree = found(NearestSearch(rows, 40), query, 2), brute = found(BruteForceSearch(rows, 40), query, 2);
    for (std::size_t i = 0; i < 10; ++i) {
        EXPECT_EQ(tree[i].index, brute[i].index);
        EXPECT_TRUE(std::isfinite(tree[i].distance));
    }
}

TEST(Nearest, WhatCannotBeSearchedIsRefused) {
    NearestSearch one({1, 2}, 2), none;
    EXPECT_EQ(found(one, {7, 7, 8, 8}, 1)[1].index, 0);
    EXPECT_THROW(found(one, {7, 7}, 2), Error);
    EXPECT_THROW(found(one, {7, 7}, 0), Error);
    EXPECT_THROW(found(one, {7, 7, 7}, 1), Error);
    EXPECT_THROW(found(one, {7, std::nan("")}, 1), Error);
    backend::Host host;
    EXPECT_THROW(nearest_rows(host, none, {}, 1, {}), Error);
    EXPECT_THROW(NearestSearch({1, 2, 3}, 2), Error);
    EXPECT_THROW(NearestSearch({1, std::numeric_limits<double>::infinity()}, 2), Error);
    EXPECT_THROW(NearestSearch({1, 1e200}, 1), Error);
    EXPECT_TRUE(found(one, {}, 1).empty());
}

}  // namespace
