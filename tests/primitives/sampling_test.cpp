#include "roars/primitives/sampling.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "ragged.hpp"

namespace roars::primitives_sampling_test {
namespace {

/// The distribution that the settings describe, token by token and by full sorts.
std::vector<double> plain_distribution(std::vector<double> x, const Generation& g,
                                       const std::vector<std::int64_t>& previous) {
    for (std::int64_t token : std::set<std::int64_t>(previous.begin(), previous.end()))
        x[token] = x[token] > 0 ? x[token] / g.repetition_penalty : x[token] * g.repetition_penalty;
    double largest = *std::max_element(x.begin(), x.end());
    std::vector<double> p(x.size(), 0.0);
    if (g.temperature == 0.0) {
        p[std::max_element(x.begin(), x.end()) - x.begin()] = 1.0;
        return p;
    }
    for (std::size_t i = 0; i < x.size(); ++i) p[i] = std::exp((x[i] - largest) / g.temperature);
    std::vector<std::size_t> order(x.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return x[a] > x[b]; });
    if (g.top_k > 0)
        for (std::size_t k = g.top_k; k < order.size(); ++k) p[order[k]] = 0.0;
    double total = std::accumulate(p.begin(), p.end(), 0.0), before = 0.0;
    for (std::size_t i : order) {
        double mass = p[i];
        if (g.top_p < 1.0 && before >= g.top_p * total) p[i] = 0.0;
        before += mass;
    }
    double highest = *std::max_element(p.begin(), p.end());
    for (double& v : p)
        if (v < g.min_p * highest) v = 0.0;
    total = std::accumulate(p.begin(), p.end(), 0.0);
    for (double& v : p) v /= total;
    return p;
}

std::vector<double> any_logits(std::size_t least, std::size_t most) {
    auto count = *rc::gen::inRange<std::size_t>(least, most);
    // Multiples of 1/4: ties are common.
    auto numbers = *rc::gen::container<std::vector<int>>(count, rc::gen::inRange(-13, 13));
    std::vector<double> x;
    for (int n : numbers) x.push_back(n == -13 ? -infinity : 0.25 * n);
    x[*rc::gen::inRange<std::size_t>(0, count)] = 0.5;
    return x;
}

Generation any_generation() {
    return {.temperature = *rc::gen::element(0.0, 0.3, 1.0, 2.5),
            .top_k = *rc::gen::element<std::int64_t>(0, 1, 3, 10, 1000),
            // No sums of the distribution fall on these by design, so that rounding does not decide.
            .top_p = *rc::gen::element(1.0, 0.913, 0.517, 0.0103),
            .min_p = *rc::gen::element(0.0, 0.0511, 0.3117, 1.0),
            .repetition_penalty = *rc::gen::element(1.0, 1.3, 0.7)};
}

RC_GTEST_PROP(Sampling, FollowsTheDescribedDistribution, ()) {
    auto x = any_logits(1, 200);
    auto g = any_generation();
    auto previous = *rc::gen::container<std::vector<std::int64_t>>(
        *rc::gen::inRange<std::size_t>(0, 4), rc::gen::inRange<std::int64_t>(0, static_cast<std::int64_t>(x.size())));
    auto p = plain_distribution(x, g, previous);
    double largest = *std::max_element(x.begin(), x.end()), sum = 0.0;
    for (double v : x) sum += std::exp(v - largest);
    SamplingWorkspace work;
    for (double u : {0.0, 0.1234567, 0.5000001, 0.8765432, 1.0 - 1e-16}) {
        auto drawn = sample_row(std::span(x), g, u, work, std::span(previous));
        RC_ASSERT(drawn.token >= 0 && drawn.token < static_cast<std::int64_t>(x.size()));
        double below = std::accumulate(p.begin(), p.begin() + drawn.token, 0.0);
        RC_ASSERT(p[drawn.token] > 0.0);
        RC_ASSERT(below <= u + 1e-12 && u <= below + p[drawn.token] + 1e-12);
        RC_ASSERT(std::abs(drawn.logp - std::log(p[drawn.token])) <= 1e-12 * (1 + std::abs(drawn.logp)));
        RC_ASSERT(std::abs(drawn.logp_full - (x[drawn.token] - largest - std::log(sum))) <= 1e-12);
    }
}

TEST(Sampling, FrequenciesAreTheProbabilities) {
    std::vector<float> x{0.0f, 1.0f, -1.0f, static_cast<float>(-infinity), 2.0f};
    Generation plain;
    auto p = plain_distribution({x.begin(), x.end()}, plain, {});
    std::vector<double> counts(x.size(), 0.0);
    SamplingWorkspace work;
    constexpr int draws = 100'000;
    for (int i = 0; i < draws; ++i)
        counts[sample_row(std::span(x), plain, (i + 0.5) / draws, work).token] += 1.0 / draws;
    for (std::size_t k = 0; k < x.size(); ++k) EXPECT_NEAR(counts[k], p[k], 2.0 / draws);
    EXPECT_EQ(counts[3], 0.0);
}

TEST(Sampling, TiesGoToTheLowestIndex) {
    std::vector<double> x{1, 3, 3, 3, 0};
    SamplingWorkspace work;
    EXPECT_EQ(sample_row(std::span(x), {.temperature = 0.0}, 0.99, work).token, 1);
    EXPECT_EQ(sample_row(std::span(x), {.temperature = 0.0}, 0.99, work).logp, 0.0);
    EXPECT_EQ(sample_row(std::span(x), {.top_k = 2}, 0.99, work).token, 2);
    EXPECT_NEAR(sample_row(std::span(x), {.top_k = 2}, 0.99, work).logp, std::log(0.5), 1e-15);
    EXPECT_EQ(sample_row(std::span(x), {.top_p = 0.01}, 0.99, work).token, 1);
    EXPECT_EQ(sample_row(std::span(x), {.min_p = 1.0}, 0.99, work).token, 3);
}

TEST(Sampling, TopPOverALargeVocabulary) {
    std::vector<double> x(100'000);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i * 7919 % 100'003) * 1e-5;
    Generation g{.temperature = 0.5, .top_p = 0.6517};
    auto p = plain_distribution(x, g, {});
    SamplingWorkspace work;
    for (double u : {0.0, 0.3, 0.7, 0.999999}) {
        auto drawn = sample_row(std::span(x), g, u, work);
        EXPECT_NEAR(drawn.logp, std::log(p[drawn.token]), 1e-11);
        EXPECT_NEAR(std::accumulate(p.begin(), p.begin() + drawn.token, 0.0), u, 1e-4);
    }
}

TEST(Sampling, ATinyTemperatureIsAlmostTheArgMax) {
    std::vector<float> x{50.0f, 80.0f, 79.0f};
    SamplingWorkspace work;
    auto drawn = sample_row(std::span(x), {.temperature = 1e-300}, 0.999, work);
    EXPECT_EQ(drawn.token, 1);
    EXPECT_EQ(drawn.logp, 0.0);
}

TEST(Sampling, RowsAreTheSameOnAnyThreadsAndEqualSingleRows) {
    constexpr std::int64_t rows = 300, vocabulary = 1000;
    auto ragged = huge_ragged();
    std::vector<float> x;
    for (std::int64_t i = 0; i < rows * vocabulary; ++i) x.push_back(ragged.mask[i] ? ragged.x[i] : 0.0f);
    std::vector<double> u;
    std::vector<std::int64_t> offsets{0}, previous;
    for (std::int64_t r = 0; r < rows; ++r) {
        u.push_back(static_cast<double>(r * 37 % rows) / rows);
        for (std::int64_t k = 0; k < r % 5; ++k) previous.push_back(k * r);
        offsets.push_back(static_cast<std::int64_t>(previous.size()));
    }
    for (std::int64_t& token : previous) token %= vocabulary;
    Generation g{.temperature = 0.9, .top_k = 200, .top_p = 0.95, .min_p = 0.01, .repetition_penalty = 1.2};
    backend::Host backend;
    std::vector<Sampled> drawn(rows);
    EXPECT_TRUE(same_on_any_threads([&] {
        sample_rows(backend, std::span(x), vocabulary, g, std::span(u), std::span(drawn), offsets, std::span(previous));
        std::vector<double> numbers;
        for (const Sampled& s : drawn)
            numbers.insert(numbers.end(), {static_cast<double>(s.token), s.logp, s.logp_full});
        return numbers;
    }));
    SamplingWorkspace work;
    for (std::int64_t r = 0; r < rows; ++r) {
        auto before = std::span(previous).subspan(offsets[r], offsets[r + 1] - offsets[r]);
        auto alone = sample_row(std::span(x).subspan(r * vocabulary, vocabulary), g, u[r], work, before);
        EXPECT_EQ(alone.token, drawn[r].token);
        EXPECT_EQ(alone.logp, drawn[r].logp);
    }
}

TEST(Sampling, ErrorsSayWhatAndWhere) {
    backend::Host backend;
    std::vector<double> x{0, 1, 2, 0, nan, 1}, u{0.5, 0.5};
    std::vector<Sampled> drawn(2);
    auto message = [&](const Generation& g) -> std::string {
        try {
            sample_rows(backend, std::span(x), 3, g, std::span(u), std::span(drawn));
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    };
    EXPECT_EQ(message({}), "row 1: logit 1 is nan, expected a number or -inf");
    x[4] = infinity;
    EXPECT_EQ(message({}), "row 1: logit 1 is inf, expected a number or -inf");
    x[3] = x[4] = x[5] = -infinity;
    EXPECT_EQ(message({}), "row 1: a row of logits allows no token: expected one above -inf");
    EXPECT_EQ(message({.top_p = 0.0}), "generation: top_p is 0.000000, expected a number in (0, 1]");
    for (Generation wrong : {Generation{.temperature = -1}, Generation{.temperature = nan}, Generation{.top_k = -1},
                             Generation{.top_p = 1.5}, Generation{.min_p = -0.1}, Generation{.min_p = 2},
                             Generation{.repetition_penalty = 0}})
        EXPECT_THROW(wrong.validate(), Error);
    EXPECT_NO_THROW(Generation{}.validate());
}

}  // namespace
}  // namespace roars::primitives_sampling_test
