#include "roars/primitives/log_softmax.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ragged.hpp"

#if !defined(ROARS_GOLDEN_DIR)
#define ROARS_GOLDEN_DIR "tests/golden/data"
#endif

namespace roars::primitives_log_softmax_test {
namespace {

using nlohmann::json;

/// Forward and backward of one set of rows, as the library gives them and by plain loops in long double.
template <class Real>
struct Rows {
    std::int64_t vocabulary;
    double temperature;
    std::vector<std::int64_t> token;
    std::vector<Real> logits, grad_logp, grad_entropy;
    std::vector<Real> logp, log_sum_exp, entropy, sum_pi_squared, gradient;

    void prepare() {
        for (auto* column : {&logp, &log_sum_exp, &entropy, &sum_pi_squared})
            column->assign(token.size(), static_cast<Real>(nan));
        gradient = logits;
    }
    void run(backend::Host backend = {}) {
        prepare();
        LogSoftmaxColumns<Real> columns{logp, log_sum_exp, entropy, sum_pi_squared};
        selective_log_softmax(backend, std::span(logits), vocabulary, std::span(token), temperature, columns);
        selective_log_softmax_backward(backend, std::span(gradient), vocabulary, std::span(token), temperature, columns,
                                       std::span(grad_logp), std::span(grad_entropy));
    }
    void run_plainly() {
        prepare();
        for (std::size_t r = 0; r < token.size(); ++r) {
            std::vector<long double> z;
            for (std::int64_t k = 0; k < vocabulary; ++k)
                z.push_back(static_cast<long double>(logits[r * vocabulary + k]) / temperature);
            long double largest = *std::max_element(z.begin(), z.end()), sum = 0, h = 0, squares = 0;
            for (auto v : z) sum += std::exp(v - largest);
            long double normaliser = largest + std::log(sum);
            for (auto v : z)
                if (v > -infinity) h -= std::exp(v - normaliser) * (v - normaliser);
            for (auto v : z) squares += std::exp(2 * (v - normaliser));
            logp[r] = static_cast<Real>(z[token[r]] - normaliser);
            log_sum_exp[r] = static_cast<Real>(normaliser);
            entropy[r] = static_cast<Real>(h);
            sum_pi_squared[r] = static_cast<Real>(squares);
            for (std::int64_t k = 0; k < vocabulary; ++k) {
                long double p = std::exp(z[k] - normaliser), chosen = k == token[r];
                long double g =
                    grad_logp[r] * (chosen - p) - (p > 0 ? grad_entropy[r] * p * (z[k] - normaliser + h) : 0);
                gradient[r * vocabulary + k] = static_cast<Real>(z[k] > -infinity ? g / temperature : 0);
            }
        }
    }
};

template <class Real>
Rows<Real> any_rows(std::int64_t vocabulary) {
    Rows<Real> rows{vocabulary, *rc::gen::element(1.0, 0.7, 0.05, 3.0), {}, {}, {}, {}, {}, {}, {}, {}, {}};
    auto count = *rc::gen::inRange<std::size_t>(1, 5);
    auto seed = *rc::gen::inRange<std::uint32_t>(0, 1u << 30);
    auto next = [&seed] { return static_cast<double>((seed = seed * 1664525u + 1013904223u) >> 8) / 16777216.0; };
    for (std::size_t r = 0; r < count; ++r) {
        rows.token.push_back(static_cast<std::int64_t>(next() * static_cast<double>(vocabulary)));
        rows.grad_logp.push_back(static_cast<Real>(2 * next() - 1));
        rows.grad_entropy.push_back(static_cast<Real>(next() < 0.3 ? 0.0 : 2 * next() - 1));
        double height = 100 * next() - 50;
        for (std::int64_t k = 0; k < vocabulary; ++k)
            rows.logits.push_back(
                static_cast<Real>(next() < 0.1 && k != rows.token.back() ? -infinity : height + 20 * (next() - 0.5)));
    }
    return rows;
}

template <class Real>
void expect_plain(Rows<Real> rows, double relative) {
    Rows<Real> plain = rows;
    rows.run();
    plain.run_plainly();
    auto close = [&](Real a, Real b, double scale) { return std::abs(a - b) <= relative * (1 + std::abs(b) + scale); };
    for (std::size_t r = 0; r < rows.token.size(); ++r) {
        RC_ASSERT(close(rows.logp[r], plain.logp[r], 0));
        RC_ASSERT(close(rows.log_sum_exp[r], plain.log_sum_exp[r], 0));
        RC_ASSERT(close(rows.entropy[r], plain.entropy[r], 0));
        RC_ASSERT(close(rows.sum_pi_squared[r], plain.sum_pi_squared[r], 0));
        for (std::int64_t k = 0; k < rows.vocabulary; ++k) {
            // The logits' own rounding, about |z| epsilon, is a relative error of p.
            double scale = std::abs(static_cast<double>(plain.log_sum_exp[r])) / rows.temperature;
            RC_ASSERT(close(rows.gradient[r * rows.vocabulary + k], plain.gradient[r * rows.vocabulary + k], scale));
        }
    }
}

RC_GTEST_PROP(LogSoftmax, ShortRowsEqualPlainLoops, ()) {
    auto vocabulary = *rc::gen::inRange<std::int64_t>(1, 70);
    expect_plain(any_rows<double>(vocabulary), 1e-12);
    expect_plain(any_rows<float>(vocabulary), 3e-6);
}

TEST(LogSoftmax, RowsOfManyBlocksEqualPlainLoops) {
    rc::check("rows of 4096 k + r logits", [] {
        auto vocabulary = *rc::gen::element<std::int64_t>(4096, 4097, 12289, 20000);
        expect_plain(any_rows<double>(vocabulary), 1e-12);
        expect_plain(any_rows<float>(vocabulary), 3e-6);
    });
}

TEST(LogSoftmax, TheGradientIsTheFiniteDifference) {
    Rows<double> rows{7, 0.7, {2}, {0.3, -1.2, 0.8, 2.0, -infinity, 0.1, -0.4}, {1.3}, {-0.6}, {}, {}, {}, {}, {}};
    rows.run();
    for (std::size_t k = 0; k < 7; ++k) {
        auto objective = [&](double step) {
            Rows<double> moved = rows;
            moved.logits[k] += step;
            moved.run();
            return 1.3 * moved.logp[0] - 0.6 * moved.entropy[0];
        };
        EXPECT_NEAR(rows.gradient[k], (objective(1e-5) - objective(-1e-5)) / 2e-5, 1e-9) << k;
    }
    EXPECT_EQ(rows.gradient[4], 0.0);
}

TEST(LogSoftmax, GoldenCases) {
    std::ifstream file(std::string(ROARS_GOLDEN_DIR) + "/00-peers.json");
    ASSERT_TRUE(file) << "no golden file in " << ROARS_GOLDEN_DIR;
    int found = 0;
    for (const json& entry : json::parse(file)) {
        const json& in = entry["inputs"];
        if (in.value("rule", "") != "selective_log_softmax") continue;
        ++found;
        auto table = in["logits"].get<std::vector<std::vector<double>>>();
        Rows<double> rows{static_cast<std::int64_t>(table.front().size()),
                          in["temperature"],
                          in["token"],
                          {},
                          in["grad_logp"],
                          in["grad_entropy"],
                          {},
                          {},
                          {},
                          {},
                          {}};
        for (const auto& row : table) rows.logits.insert(rows.logits.end(), row.begin(), row.end());
        rows.run();
        const json& want = entry["expected"];
        double tolerance = entry["tolerance"];
        for (std::size_t r = 0; r < table.size(); ++r) {
            EXPECT_NEAR(rows.logp[r], want["logp"][r].get<double>(), tolerance);
            EXPECT_NEAR(rows.entropy[r], want["entropy"][r].get<double>(), tolerance);
            EXPECT_NEAR(rows.sum_pi_squared[r], want["sum_pi_squared"][r].get<double>(), tolerance);
            for (std::size_t k = 0; k < table[r].size(); ++k)
                EXPECT_NEAR(rows.gradient[r * table[r].size() + k], want["grad_logits"][r][k].get<double>(), tolerance);
        }
    }
    EXPECT_GE(found, 2);
}

TEST(LogSoftmax, ARowWithoutGradientIsZeroedWhateverItHolds) {
    Rows<float> rows{3,      1.0,    {0, 1}, {1, 2, 3, static_cast<float>(nan), static_cast<float>(infinity), 1},
                     {1, 0}, {0, 0}, {},     {},
                     {},     {},     {}};
    rows.run();
    for (std::size_t i = 3; i < 6; ++i) EXPECT_EQ(rows.gradient[i], 0.0f);
    EXPECT_NE(rows.gradient[0], 0.0f);
    EXPECT_TRUE(std::isnan(rows.logp[1]));
    EXPECT_TRUE(std::isnan(rows.entropy[1]));
}

TEST(LogSoftmax, ForbiddenActions) {
    float no = static_cast<float>(-infinity);
    // All forbidden; the chosen one forbidden; one allowed.
    Rows<float> rows{3, 0.5, {0, 1, 2}, {no, no, no, 1, no, 2, no, no, 4}, {1, 1, 1}, {1, 1, 1}, {}, {}, {}, {}, {}};
    rows.run();
    EXPECT_EQ(rows.logp[0], no);
    EXPECT_EQ(rows.log_sum_exp[0], no);
    EXPECT_EQ(rows.entropy[0], 0.0f);
    EXPECT_EQ(rows.sum_pi_squared[0], 0.0f);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(rows.gradient[i], 0.0f);
    EXPECT_EQ(rows.logp[1], no);
    EXPECT_EQ(rows.gradient[4], 0.0f);
    EXPECT_EQ(rows.logp[2], 0.0f);
    EXPECT_EQ(rows.entropy[2], 0.0f);
    EXPECT_EQ(rows.sum_pi_squared[2], 1.0f);
    for (int i = 6; i < 9; ++i) EXPECT_NEAR(rows.gradient[i], 0.0f, 1e-6f);
}

TEST(LogSoftmax, ManyNaNAreNotTakenForForbidden) {
    std::vector<double> row(5000, nan);
    row.back() = 1.0;
    EXPECT_TRUE(std::isnan(softmax_row<WithEntropy>(row.data(), 5000).log_sum_exp()));
    EXPECT_TRUE(std::isnan(softmax_row<WithEntropy>(row.data(), 4096).entropy()));
}

TEST(LogSoftmax, TheSameOnAnyThreads) {
    Rows<float> rows{1000, 0.7, {}, {}, {}, {}, {}, {}, {}, {}, {}};
    auto ragged = huge_ragged();
    for (std::size_t r = 0; r < 1000; ++r) {
        rows.token.push_back(static_cast<std::int64_t>(r));
        rows.grad_logp.push_back(1.0f);
        rows.grad_entropy.push_back(0.1f);
    }
    for (std::size_t i = 0; i < 1'000'000; ++i) rows.logits.push_back(ragged.mask[i] ? ragged.x[i] : 0.0f);
    EXPECT_TRUE(same_on_any_threads([&] {
        rows.run();
        std::vector<float> all = rows.gradient;
        for (auto* column : {&rows.logp, &rows.entropy, &rows.log_sum_exp, &rows.sum_pi_squared})
            all.insert(all.end(), column->begin(), column->end());
        return all;
    }));
    std::vector<float> only(1000);
    backend::Host backend;
    log_sum_exp(backend, std::span(rows.logits), 1000, 0.7, std::span(only));
    EXPECT_EQ(only, rows.log_sum_exp);
}

TEST(LogSoftmax, ErrorsNameTheRow) {
    backend::Host backend;
    std::vector<float> logits(6), logp(2);
    std::vector<std::int32_t> token{0, 3};
    auto message = [&](double temperature, std::int64_t vocabulary) -> std::string {
        try {
            selective_log_softmax(backend, std::span(logits), vocabulary, std::span(token), temperature, {logp});
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    };
    EXPECT_EQ(message(1.0, 3), "token 3 of row 1 is outside the vocabulary of 3");
    EXPECT_NE(message(0.0, 3), "");
    EXPECT_NE(message(nan, 3), "");
    EXPECT_NE(message(1.0, 4), "");
    EXPECT_NE(message(1.0, 0), "");
    token[1] = 2;
    EXPECT_EQ(message(1.0, 3), "");
}

}  // namespace
}  // namespace roars::primitives_log_softmax_test
