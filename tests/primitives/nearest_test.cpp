#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include <nlohmann/json.hpp>

#include "roars/primitives/nearest.hpp"

#if !defined(ROARS_GOLDEN_DIR)
#define ROARS_GOLDEN_DIR "tests/golden/data"
#endif

namespace roars::nearest_test {
namespace {

using Values = std::vector<double>;

template <class Search>
std::vector<Neighbour> found(const Search& search, const Values& query, std::int64_t k) {
    backend::Host host;
    std::vector<Neighbour> answer(query.size() / search.rows().width());
    nearest_rows(host, search, query, k, std::span(answer));
    return answer;
}

/// By sorting all rows: of equal distances, summed in order, the lower index.
Neighbour slowly(const Values& rows, std::size_t width, const double* query, std::int64_t k) {
    Values square;
    for (std::size_t i = 0; i < rows.size() / width; ++i) {
        double sum = 0;
        for (std::size_t c = 0; c < width; ++c)
            sum += (query[c] - rows[i * width + c]) * (query[c] - rows[i * width + c]);
        square.push_back(sum);
    }
    std::vector<std::int64_t> order(square.size());
    std::iota(order.begin(), order.end(), std::int64_t{0});
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return square[a] < square[b]; });
    return {order[k - 1], std::sqrt(square[order[k - 1]])};
}

/// Every search there is finds what sorting finds: the same row, at the same distance to the last bit.
template <class Check>
bool all_find(const Values& rows, std::size_t width, const Values& query, std::int64_t k, Check&& check) {
    auto agrees = [&](const auto& search) {
        auto answer = found(search, query, k);
        for (std::size_t i = 0; i < answer.size(); ++i) {
            Neighbour slow = slowly(rows, width, &query[i * width], k);
            check(answer[i].index, slow.index);
            check(answer[i].distance, slow.distance);
        }
        return answer.size() == query.size() / width;
    };
    bool same = agrees(NearestSearch(rows, std::int64_t(width))) && agrees(ProductSearch(rows, std::int64_t(width)));
#if ROARS_NANOFLANN
    same = same && agrees(TreeSearch(rows, std::int64_t(width)));
#endif
    return same;
}
constexpr auto equal = [](auto a, auto b) { EXPECT_EQ(a, b); };

/// On a grid of few values, so that equal distances and equal rows are common; more rows than a panel of the product
/// and more queries than are searched together; units and places that a float cannot hold side by side.
RC_GTEST_PROP(Nearest, EverySearchFindsWhatSortingFinds, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    auto below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
    std::size_t width = 1 + below(below(2) ? 5 : 24), count = 1 + below(below(2) ? 20 : 600), queries = below(30);
    int values = 2 + below(6);
    const double unit = std::pow(10.0, below(9) - 4), place = below(2) ? 0.0 : 1e6;
    Values rows(count * width), query(queries * width);
    for (double& x : rows) x = place + unit * 0.1 * below(values);
    for (double& x : query) x = place + unit * 0.05 * below(2 * values);
    std::int64_t k = 1 + below(int(std::min<std::size_t>(count, 6)));
    RC_ASSERT(all_find(rows, width, query, k, [](auto a, auto b) { RC_ASSERT(a == b); }));
}

RC_GTEST_PROP(Nearest, EverySearchFindsWhatSortingFindsAmongNormalRows, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal;
    const std::size_t width = 1 + random() % 32, count = 1 + random() % 700;
    Values rows(count * width), query(7 * width);
    for (double& x : rows) x = normal(random);
    // A row and a little, from nothing to much.
    for (std::size_t i = 0; i < query.size(); ++i)
        query[i] = rows[i % rows.size()] + std::pow(10.0, 3.0 - 4.0 * double(i / width)) * normal(random);
    RC_ASSERT(all_find(rows, width, query, 1 + std::int64_t(random() % std::min<std::size_t>(count, 3)),
                       [](auto a, auto b) { RC_ASSERT(a == b); }));
}

TEST(Nearest, ATieGoesToTheLowestIndex) {
    Values mirrored{9, -1, 1, -1, 1};
    for (std::int64_t k = 1; k <= 4; ++k) {
        EXPECT_EQ(found(NearestSearch(mirrored, 1), {0}, k)[0].index, k);
        EXPECT_EQ(found(ProductSearch(mirrored, 1), {0}, k)[0].index, k);
    }
    // A thousand equal rows, more than a leaf of a tree or a panel of a product holds, and an exact hit.
    auto check = [](const auto& search, const Values& hit) {
        EXPECT_EQ(found(search, hit, 1)[0].index, 0);
        EXPECT_EQ(found(search, hit, 1)[0].distance, 0.0);
        EXPECT_EQ(found(search, hit, 700)[0].index, 699);
    };
    check(NearestSearch(Values(2000, 0.5), 2), Values(2, 0.5));
    check(ProductSearch(Values(2000, 0.5), 2), Values(2, 0.5));
    check(NearestSearch(Values(20000, 0.1), 20), Values(20, 0.1));
    // Every row twice: the first of the two.
    std::mt19937 random(5);
    std::normal_distribution<double> normal;
    Values once(400 * 12);
    for (double& x : once) x = normal(random);
    Values twice = once;
    twice.insert(twice.end(), once.begin(), once.end());
    auto answer = found(NearestSearch(twice, 12), once, 1), second = found(NearestSearch(twice, 12), once, 2);
    for (std::int64_t i = 0; i < 400; ++i) {
        EXPECT_EQ(answer[std::size_t(i)].index, i);
        EXPECT_EQ(second[std::size_t(i)].index, 400 + i);
    }
}

/// Rows that are the same in float, among others whose unit is theirs: only a comparison in double tells them apart.
TEST(Nearest, RowsThatAFloatCannotTellApart) {
    constexpr std::size_t width = 9;
    Values rows(300 * width, 1.0), query(2 * width, 1.0);
    for (std::size_t i = 0; i < 299; ++i) rows[i * width] += 1e-12 * double((i * 37) % 299);
    std::fill_n(rows.end() - std::ptrdiff_t(width), width, -1000.0);
    query[0] += 1e-12 * 123.2;
    query[width] += 1e-12 * 41.9;
    EXPECT_TRUE(all_find(rows, width, query, 1, equal));
    EXPECT_EQ(found(NearestSearch(rows, width), query, 1)[0].index * 37 % 299, 123);
    EXPECT_EQ(found(NearestSearch(rows, width), query, 1)[1].index * 37 % 299, 42);
}

TEST(Nearest, LargeSmallFarAndManyColumns) {
    std::mt19937 random(3);
    std::normal_distribution<double> normal;
    Values rows(300 * 40), query(10 * 40);
    for (double& x : rows) x = normal(random);
    for (double& x : query) x = normal(random);
    EXPECT_TRUE(all_find(rows, 40, query, 2, equal));
    auto times = [](Values all, double by) {
        for (double& x : all) x *= by;
        return all;
    };
    // The last units are so small that squares of differences are subnormal, and 0.
    for (double unit : {1e100, 1e-100, 1e-158, 1e-163, 1e-320})
        EXPECT_TRUE(all_find(times(rows, unit), 40, times(query, unit), 2, equal)) << unit;
    // Queries farther away than a float reaches in the unit of the rows.
    for (double unit : {1e15, 1e19, 1e30, 1e140}) EXPECT_TRUE(all_find(rows, 40, times(query, unit), 1, equal)) << unit;
    EXPECT_TRUE(all_find(times(rows, 1e-310), 40, times(query, 1e140), 1, equal));
    // One row of another unit than the rest.
    Values mixed = rows;
    for (std::size_t c = 0; c < 40; ++c) mixed[40 * 17 + c] *= 1e30;
    EXPECT_TRUE(all_find(mixed, 40, query, 3, equal));
}

/// The numeric cases of PRDC's sheet, by each search.
TEST(Nearest, TheSheetsCases) {
    std::ifstream file(std::string(ROARS_GOLDEN_DIR) + "/13-prdc.json");
    ASSERT_TRUE(file) << "no golden file in " << ROARS_GOLDEN_DIR;
    int cases = 0;
    for (const auto& each : nlohmann::json::parse(file)) {
        if (each["stage"] != "regularizer") continue;
        ++cases;
        const auto& in = each["inputs"];
        auto joint = [&](const char* state, const char* action) {
            Values rows;
            for (std::size_t i = 0; i < in[state].size(); ++i) {
                for (double x : in[state][i]) rows.push_back(in["beta"].get<double>() * x);
                for (double x : in[action][i]) rows.push_back(x);
            }
            return rows;
        };
        const Values rows = joint("data_state", "data_action"), query = joint("state", "policy_action");
        const auto width = std::int64_t(in["state"][0].size() + in["policy_action"][0].size());
        auto check = [&](const auto& search) {
            auto answer = found(search, query, in["k"]);
            ASSERT_EQ(answer.size(), each["expected"]["index"].size());
            for (std::size_t i = 0; i < answer.size(); ++i) {
                EXPECT_EQ(answer[i].index, each["expected"]["index"][i]);
                EXPECT_NEAR(answer[i].distance, each["expected"]["distance"][i], 1e-12);
            }
        };
        check(NearestSearch(rows, width));
        check(ProductSearch(rows, width));
    }
    EXPECT_EQ(cases, 2);
}

template <class Search>
class NearestBy : public testing::Test {};
using Searches = testing::Types<NearestSearch, ProductSearch>;
TYPED_TEST_SUITE(NearestBy, Searches);

TYPED_TEST(NearestBy, WhatCannotBeSearchedIsRefused) {
    TypeParam one({1, 2}, 2), none;
    EXPECT_EQ(found(one, {7, 7, 8, 8}, 1)[1].index, 0);
    EXPECT_THROW(found(one, {7, 7}, 2), Error);
    EXPECT_THROW(found(one, {7, 7}, 0), Error);
    EXPECT_THROW(found(one, {7, 7, 7}, 1), Error);
    EXPECT_THROW(found(one, {7, std::nan("")}, 1), Error);
    EXPECT_THROW(found(one, {7, std::numeric_limits<double>::infinity()}, 1), Error);
    backend::Host host;
    EXPECT_THROW(nearest_rows(host, none, {}, 1, {}), Error);
    EXPECT_THROW(nearest_rows(host, TypeParam({}, 2), {}, 1, {}), Error);
    EXPECT_THROW(TypeParam({1, 2, 3}, 2), Error);
    EXPECT_THROW(TypeParam({1, std::numeric_limits<double>::infinity()}, 2), Error);
    EXPECT_THROW(TypeParam({1, std::nan("")}, 1), Error);
    EXPECT_THROW(TypeParam({1, 1e200}, 1), Error);
    EXPECT_TRUE(found(one, {}, 1).empty());
    // The same of rows that are many numbers wide.
    TypeParam wide(Values(20, 1.0), 20);
    EXPECT_EQ(found(wide, Values(40, 7.0), 1)[1].index, 0);
    EXPECT_EQ(found(wide, Values(20, 2.0), 1)[0].distance, std::sqrt(20.0));
    EXPECT_THROW(found(wide, Values(20, std::nan("")), 1), Error);
    EXPECT_THROW(TypeParam(Values(40, -std::numeric_limits<double>::infinity()), 20), Error);
}

}  // namespace
}  // namespace roars::nearest_test
