#include "roars/objective_linear.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "../primitives/counting_memory.hpp"
#include "roars/methods/gspo.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/regularizer/sum.hpp"

namespace roars::core_linear_test {
namespace {

/// Terms of tokens alone, that differentiate both log-probability and entropy; and terms that want whole sequences
/// first.
using OfTokens = Algorithm<sampler::Groups, reward::Verified, advantage::GroupZScore,
                           regularizer::Sum<regularizer::Kl<kl::K3>, regularizer::EntropyBonus>,
                           optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::AdamW>>;
using OfSequences = Algorithm<sampler::Groups, reward::Verified, advantage::GroupZScore,
                              regularizer::Sum<regularizer::Kl<kl::K3>, regularizer::EntropyBonus>,
                              optimizer::PolicyGradient<surrogate::SequenceClip, aggregate::SequenceMean, step::AdamW>>;
constexpr OfTokens of_tokens{
    .regularizer = {regularizer::Kl<kl::K3>{.coefficient = 0.3}, regularizer::EntropyBonus{.coefficient = 0.5}}};
constexpr OfSequences of_sequences{
    .regularizer = {regularizer::Kl<kl::K3>{.coefficient = 0.3}, regularizer::EntropyBonus{.coefficient = 0.5}},
    .optimizer = {.surrogate = {0.2, 0.3}}};
template <class Real>
using BatchOf = Batch<Real, unite_t<OfTokens::Columns, OfSequences::Columns, columns<col::token>>>;

template <class Real>
struct Case {
    BatchOf<Real> batch;
    std::int64_t width, vocabulary;
    std::vector<Real> hidden, weight, bias;
    double temperature;

    LinearHead<Real> head() const { return {weight, width, bias, temperature}; }
    /// A head of its own row by row, for the objective from logits.
    std::vector<Real> logits() const {
        std::vector<Real> all;
        for (std::int64_t t = 0; t < batch.tokens(); ++t)
            for (std::int64_t v = 0; v < vocabulary; ++v) {
                Real sum = bias[std::size_t(v)];
                for (std::int64_t k = 0; k < width; ++k)
                    sum += hidden[std::size_t(t * width + k)] * weight[std::size_t(v * width + k)];
                all.push_back(sum);
            }
        return all;
    }
};

template <class Real>
Case<Real> random_case(unsigned seed, std::vector<std::int64_t> offsets, std::int64_t width, std::int64_t vocabulary) {
    std::mt19937 random(seed);
    auto real = [&](double low, double high) {
        return Real(std::uniform_real_distribution<double>(low, high)(random));
    };
    std::int64_t sequences = std::ssize(offsets) - 1;
    Case<Real> made{BatchOf<Real>(offsets, std::vector<std::int64_t>{0, sequences / 2, sequences}),
                    width,
                    vocabulary,
                    {},
                    {},
                    {},
                    double(real(0.5, 2))};
    auto tokens = static_cast<std::size_t>(made.batch.tokens());
    for (std::size_t t = 0; t < tokens; ++t) {
        made.batch[col::mask{}][t] = random() % 4 > 0;
        made.batch[col::token{}][t] = std::int32_t(random() % unsigned(vocabulary));
        made.batch[col::logp_old{}][t] = real(-4, -1);
        made.batch[col::logp_ref{}][t] = real(-4, -1);
    }
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
        Real advantage = real(-2, 2);
        for (auto t = offsets[i]; t < offsets[i + 1]; ++t) made.batch[col::advantage{}][std::size_t(t)] = advantage;
    }
    for (std::size_t i = 0; i < tokens * std::size_t(width); ++i) made.hidden.push_back(real(-1, 1));
    for (std::int64_t i = 0; i < vocabulary * width; ++i) made.weight.push_back(real(-1, 1));
    for (std::int64_t v = 0; v < vocabulary; ++v) made.bias.push_back(real(-1, 1));
    return made;
}
Case<double> small_case(unsigned seed) {
    std::mt19937 random(seed);
    std::vector<std::int64_t> offsets{0};
    for (int i = 0; i < 4; ++i) offsets.push_back(offsets.back() + std::int64_t(random() % 5));
    return random_case<double>(seed, offsets, 1 + std::int64_t(random() % 5), 2 + std::int64_t(random() % 30));
}

template <class Real, class Wide = Real>
struct Gradients {
    std::vector<Real> hidden;
    std::vector<Wide> weight, bias;
    explicit Gradients(const Case<Real>& made)
        : hidden(made.hidden.size(), Real(9)), weight(made.weight.size()), bias(made.bias.size()) {}
    operator LinearGradients<Real, Wide>() { return {hidden, weight, bias}; }
};

template <class A, class Real, class Wide>
auto from_hidden(const A& algorithm, Case<Real>& made, Gradients<Real, Wide>& gradients,
                 const ChunkMemory& memory = {}) {
    backend::Host host;
    roars::Run run{host};
    typename A::State state;
    auto totals = algorithm.totals(run, state, made.batch);
    return objective_from_hidden(algorithm, run, state, made.batch, totals, std::span<const Real>(made.hidden),
                                 made.head(), LinearGradients<Real, Wide>(gradients), memory);
}

void expect_close(const std::vector<double>& a, const std::vector<double>& b, double tolerance, const char* what) {
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], tolerance) << what << " " << i;
}

/// One row at a time, or all at once: the same loss, metrics and gradients as from logits that are in memory.
RC_GTEST_PROP(FromHidden, IsTheObjectiveFromLogits, (unsigned seed)) {
    auto check = [&](const auto& algorithm) {
        using A = std::remove_cvref_t<decltype(algorithm)>;
        Case<double> by_logits = small_case(seed), made = by_logits;
        std::vector<double> logits = by_logits.logits();
        backend::Host host;
        roars::Run run{host};
        typename A::State state;
        auto totals = algorithm.totals(run, state, by_logits.batch);
        auto expected = objective_from_logits(algorithm, run, state, by_logits.batch, totals, std::span(logits),
                                              made.vocabulary, made.temperature);
        Gradients<double> gradients(made), by_hand(made);
        auto result = from_hidden(algorithm, made, gradients, {.bytes = std::int64_t(seed % 2) * 4096});
        EXPECT_NEAR(result.loss(), expected.loss(), 1e-12);
        expected.for_each(
            [&](std::string_view name, double value) { EXPECT_NEAR(result.metric(name), value, 1e-12) << name; });
        for (std::int64_t t = 0; t < made.batch.tokens(); ++t)
            for (std::int64_t k = 0; k < made.width; ++k) {
                double sum = 0;
                for (std::int64_t v = 0; v < made.vocabulary; ++v) {
                    double slope = logits[std::size_t(t * made.vocabulary + v)];
                    sum += slope * made.weight[std::size_t(v * made.width + k)];
                    by_hand.weight[std::size_t(v * made.width + k)] +=
                        slope * made.hidden[std::size_t(t * made.width + k)];
                    if (k == 0) by_hand.bias[std::size_t(v)] += slope;
                }
                by_hand.hidden[std::size_t(t * made.width + k)] = sum;
            }
        expect_close(gradients.hidden, by_hand.hidden, 1e-12, "hidden");
        expect_close(gradients.weight, by_hand.weight, 1e-12, "weight");
        expect_close(gradients.bias, by_hand.bias, 1e-12, "bias");
        for (std::size_t t = 0; t < std::size_t(made.batch.tokens()); ++t) {
            bool counts = made.batch[col::mask{}][t] != 0;
            EXPECT_NEAR(made.batch[col::logp{}][t], counts ? by_logits.batch[col::logp{}][t] : 0.0, 1e-12);
            EXPECT_NEAR(made.batch[col::entropy{}][t], counts ? by_logits.batch[col::entropy{}][t] : 0.0, 1e-12);
        }
    };
    check(of_tokens);
    check(of_sequences);
    RC_ASSERT(!::testing::Test::HasFailure());
}

RC_GTEST_PROP(FromHidden, GradientsAreFiniteDifferences, (unsigned seed)) {
    auto check = [&](const auto& algorithm) {
        Case<double> made = small_case(seed);
        Gradients<double> gradients(made);
        from_hidden(algorithm, made, gradients);
        std::mt19937 random(seed);
        auto along = [&](std::vector<double> Case<double>::*values, const std::vector<double>& gradient) {
            if (gradient.empty()) return;
            for (int k = 0; k < 4; ++k) {
                const double step = 1e-6;
                std::size_t i = random() % gradient.size();
                auto at = [&](double h) {
                    Case<double> moved = made;
                    (moved.*values)[i] += h;
                    Gradients<double> ignored(moved);
                    return from_hidden(algorithm, moved, ignored).loss();
                };
                EXPECT_NEAR(gradient[i], (at(step) - at(-step)) / (2 * step), 1e-7);
            }
        };
        along(&Case<double>::hidden, gradients.hidden);
        along(&Case<double>::weight, gradients.weight);
        along(&Case<double>::bias, gradients.bias);
    };
    check(of_tokens);
    check(of_sequences);
    RC_ASSERT(!::testing::Test::HasFailure());
}

/// Gradients of micro-batches add up to those of the whole, under the whole's totals.
RC_GTEST_PROP(FromHidden, MicroBatchesAddUp, (unsigned seed)) {
    Case<double> made = small_case(seed);
    Gradients<double> whole(made), sum(made);
    double expected = from_hidden(of_sequences, made, whole).loss(), loss = 0;
    backend::Host host;
    roars::Run run{host};
    OfSequences::State state;
    auto totals = of_sequences.totals(run, state, made.batch);
    std::span<const double> hidden(made.hidden);
    for (std::int64_t g = 0; g < 2; ++g) {
        auto piece = made.batch.slice_groups(g, g + 1);
        Offsets offsets = made.batch.token_offsets(), groups = made.batch[col::groups{}];
        auto first = static_cast<std::size_t>(offsets[std::size_t(groups[std::size_t(g)])] * made.width);
        auto count = static_cast<std::size_t>(piece.tokens() * made.width);
        loss += objective_from_hidden(
                    of_sequences, run, state, piece, totals, hidden.subspan(first, count), made.head(),
                    LinearGradients<double>{std::span(sum.hidden).subspan(first, count), sum.weight, sum.bias})
                    .loss();
    }
    EXPECT_NEAR(loss, expected, 1e-12);
    expect_close(sum.hidden, whole.hidden, 1e-12, "hidden");
    expect_close(sum.weight, whole.weight, 1e-12, "weight");
    expect_close(sum.bias, whole.bias, 1e-12, "bias");
    RC_ASSERT(!::testing::Test::HasFailure());
}

/// What is masked is not even read, in whatever chunk; and gives exact zeros.
TEST(FromHidden, MaskedTokensTakeNoPart) {
    Case<double> made = random_case<double>(3, {0, 5, 5, 9}, 3, 40);
    Gradients<double> clean(made), ugly(made);
    double expected = from_hidden(of_tokens, made, clean).loss();
    for (std::size_t i = 0; i < made.hidden.size(); ++i)
        if (made.batch[col::mask{}][i / 3] == 0) made.hidden[i] = std::numeric_limits<double>::quiet_NaN();
    EXPECT_EQ(from_hidden(of_tokens, made, ugly).loss(), expected);
    EXPECT_EQ(ugly.hidden, clean.hidden);
    EXPECT_EQ(ugly.weight, clean.weight);
    for (std::size_t i = 0; i < ugly.hidden.size(); ++i)
        if (made.batch[col::mask{}][i / 3] == 0) EXPECT_EQ(ugly.hidden[i], 0.0);
    for (auto& mask : made.batch[col::mask{}]) mask = 0;
    Gradients<double> none(made);
    EXPECT_EQ(from_hidden(of_tokens, made, none).loss(), 0.0);
    EXPECT_EQ(none.weight, std::vector<double>(made.weight.size(), 0.0));
    EXPECT_EQ(none.hidden, std::vector<double>(made.hidden.size(), 0.0));
}

/// A forward pass alone says of the tokens what the objective says; gradients that nobody wants are left out.
TEST(FromHidden, ReadsAndLeavesOut) {
    Case<float> made = random_case<float>(4, {0, 300, 700}, 17, 900);
    Case<float> read = made;
    backend::Host host;
    roars::Run run{host};
    read_hidden(run, read.batch, std::span<const float>(read.hidden), read.head(), {.bytes = 1 << 16});
    Gradients<float, double> wide(made);
    Gradients<float> narrow(made);
    float loss = float(from_hidden(of_tokens, made, wide).loss());
    std::vector<float> logp(made.batch[col::logp{}].begin(), made.batch[col::logp{}].end());
    EXPECT_TRUE(std::equal(logp.begin(), logp.end(), read.batch[col::logp{}].begin()));
    EXPECT_EQ(float(from_hidden(of_tokens, made, narrow).loss()), loss);
    for (std::size_t i = 0; i < wide.weight.size(); ++i)
        EXPECT_NEAR(wide.weight[i], narrow.weight[i], 1e-6) << "added up in double and in float";
    OfTokens::State state;
    std::vector<float> hidden(made.hidden.size());
    objective_from_hidden(of_tokens, run, state, made.batch, of_tokens.totals(run, state, made.batch),
                          std::span<const float>(made.hidden), made.head(), LinearGradients<float>{.hidden = hidden});
    EXPECT_EQ(hidden, narrow.hidden);
}

TEST(FromHidden, TakesATwentiethOfTheLogitsAtMost) {
    Case<float> made = random_case<float>(5, {0, 200, 400, 640}, 48, 3000);
    std::size_t trainable = 0;
    for (float mask : made.batch[col::mask{}]) trainable += mask != 0;
    auto peak = [&](std::int64_t bytes) {
        CountingMemory memory;
        Gradients<float> gradients(made);
        from_hidden(of_tokens, made, gradients, {bytes, &memory});
        return memory.peak;
    };
    std::size_t logits = trainable * 3000 * sizeof(float);
    EXPECT_LE(peak(std::int64_t(1) << 40), logits / 20);
    EXPECT_GE(peak(std::int64_t(1) << 40), logits / 40) << "what may be used is used";
    EXPECT_LE(peak(100'000), 100'000u);
    EXPECT_LE(peak(0), (3000 + 2 * 48) * sizeof(float) + 8 * made.batch.tokens() * sizeof(std::int64_t)) << "one row";
}

TEST(FromHidden, SaysWhatDoesNotFit) {
    Case<double> made = random_case<double>(6, {0, 2, 4}, 3, 5);
    auto error = [&](auto&& spoil) {
        Case<double> wrong = made;
        Gradients<double> gradients(made);
        spoil(wrong, gradients);
        try {
            from_hidden(of_tokens, wrong, gradients);
        } catch (const Error& said) {
            return std::string(said.what());
        }
        return std::string("no error");
    };
    EXPECT_EQ(error([](auto& wrong, auto&) { wrong.hidden.pop_back(); }), "hidden has 11 values, expected 12");
    EXPECT_EQ(error([](auto& wrong, auto&) { wrong.weight.pop_back(); }),
              "weight of a linear head has 14 values, expected rows of a width of 3");
    EXPECT_EQ(error([](auto& wrong, auto&) { wrong.bias.pop_back(); }), "bias has 4 values, expected 5");
    EXPECT_EQ(error([](auto&, auto& gradients) { gradients.weight.pop_back(); }),
              "gradient of weight has 14 values, expected 15");
    EXPECT_EQ(error([](auto& wrong, auto&) { wrong.batch[col::token{}][1] = 5; }),
              "token 5 of row 1 is outside the vocabulary of 5");
    EXPECT_EQ(error([](auto& wrong, auto&) {
                  for (auto& mask : wrong.batch[col::mask{}]) mask = 1;
                  wrong.hidden[4] = std::numeric_limits<double>::quiet_NaN();
              }),
              "logp of token 1 (sequence 0) is nan, expected a finite number at a trainable token");
}

}  // namespace
}  // namespace roars::core_linear_test
