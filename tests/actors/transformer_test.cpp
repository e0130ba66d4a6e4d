#include "roars/actors/transformer.hpp"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#if defined(_OPENMP)
#include <omp.h>
#endif

namespace roars::actors_transformer_test {
namespace {

using roars::Error;
using roars::Random;
using roars::RandomStream;
using roars::actor::Generator;
using roars::actor::Transformer;
using roars::actor::TransformerSettings;

constexpr TransformerSettings tiny{
    .vocabulary = 7, .layers = 2, .width = 8, .heads = 2, .hidden = 12, .max_length = 48, .value_head = true};

/// Packed sequences of the given lengths with random tokens.
struct Packed {
    std::vector<std::int32_t> tokens;
    std::vector<std::int64_t> offsets{0}, all_rows;

    Packed(const std::vector<std::int64_t>& lengths, std::int64_t vocabulary, std::uint64_t seed) {
        RandomStream random{Random(seed)};
        for (std::int64_t length : lengths) {
            for (std::int64_t t = 0; t < length; ++t)
                tokens.push_back(static_cast<std::int32_t>(random.below(vocabulary)));
            offsets.push_back(static_cast<std::int64_t>(tokens.size()));
        }
        for (std::size_t t = 0; t < tokens.size(); ++t) all_rows.push_back(static_cast<std::int64_t>(t));
    }
};

std::vector<double> random_numbers(std::size_t count, std::uint64_t seed) {
    RandomStream random{Random(seed)};
    std::vector<double> numbers(count);
    for (double& number : numbers) number = random.normal();
    return numbers;
}

/// Gains and biases off their start values, so that every parameter matters.
template <class Real>
void disturb(Transformer<Real>& model, std::uint64_t seed) {
    RandomStream random{Random(seed)};
    for (Real& value : model.parameters().values()) value += static_cast<Real>(0.2 * random.normal());
}

double dot(std::span<const double> a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
}

void expect_gradient_is_finite_difference(bool value_head) {
    TransformerSettings settings = tiny;
    settings.value_head = value_head;
    Transformer<double> model(settings, 3);
    disturb(model, 4);
    // Longer than a block of queries, an empty one, one token, several chunks; rows unsorted and repeated.
    Packed batch({40, 0, 1, 5, 30, 17, 48}, settings.vocabulary, 5);
    std::vector<std::int64_t> rows = {0, 39, 40, 45, 44, 44, 70, 92, 140, 100, 12, 35, 34, 33, 32, 31};
    std::vector<double> logit_weights = random_numbers(rows.size() * 7, 6);
    std::vector<double> value_weights = random_numbers(value_head ? rows.size() : 0, 7);
    auto loss = [&] {
        auto output = model.forward(batch.tokens, batch.offsets, rows);
        return dot(output.logits, logit_weights) + dot(output.values, value_weights);
    };
    loss();
    model.parameters().zero_gradients();
    model.backward(logit_weights, value_weights);
    std::vector<double> gradients(model.parameters().gradients().begin(), model.parameters().gradients().end());
    for (const auto& tensor : model.parameters().tensors())
        for (std::int64_t i = 0; i < tensor.size; ++i) {
            double& value = model.parameters().values()[static_cast<std::size_t>(tensor.offset + i)];
            double kept = value, step = 1e-5;
            value = kept + step;
            double above = loss();
            value = kept - step;
            double below = loss();
            value = kept;
            double difference = (above - below) / (2 * step);
            ASSERT_NEAR(gradients[static_cast<std::size_t>(tensor.offset + i)], difference,
                        1e-7 * (1 + std::abs(difference)))
                << tensor.name << " element " << i;
        }
}

TEST(Transformer, GradientIsFiniteDifferenceForEveryParameter) { expect_gradient_is_finite_difference(false); }
TEST(Transformer, GradientIsFiniteDifferenceForEveryParameterWithValueHead) {
    expect_gradient_is_finite_difference(true);
}

TEST(Transformer, BackwardAccumulatesAndMayBeRepeated) {
    Transformer<double> model(tiny, 1);
    Packed batch({9, 4}, tiny.vocabulary, 2);
    auto output = model.forward(batch.tokens, batch.offsets, batch.all_rows);
    std::vector<double> weights = random_numbers(output.logits.size(), 3), ones(batch.tokens.size(), 1.0);
    model.backward(weights, ones);
    std::vector<double> once(model.parameters().gradients().begin(), model.parameters().gradients().end());
    model.backward(weights, ones);
    for (std::size_t i = 0; i < once.size(); ++i) ASSERT_EQ(model.parameters().gradients()[i], 2 * once[i]);
}

TEST(Transformer, GradientMayBeWrittenOverTheLogits) {
    Transformer<double> model(tiny, 1);
    Packed batch({9, 4}, tiny.vocabulary, 2);
    auto output = model.forward(batch.tokens, batch.offsets, batch.all_rows);
    std::vector<double> weights = random_numbers(output.logits.size(), 3);
    model.backward(weights);
    std::vector<double> apart(model.parameters().gradients().begin(), model.parameters().gradients().end());
    model.parameters().zero_gradients();
    output = model.forward(batch.tokens, batch.offsets, batch.all_rows);
    std::copy(weights.begin(), weights.end(), output.logits.begin());
    model.backward(output.logits);
    for (std::size_t i = 0; i < apart.size(); ++i) ASSERT_EQ(model.parameters().gradients()[i], apart[i]);
}

TEST(Transformer, PackedSequencesDoNotSeeEachOther) {
    Transformer<double> model(tiny, 1);
    disturb(model, 2);
    Packed batch({11, 3, 35}, tiny.vocabulary, 8);
    auto output = model.forward(batch.tokens, batch.offsets, batch.all_rows);
    std::vector<double> together(output.logits.begin(), output.logits.end());
    std::size_t seen = 0;
    for (std::size_t s = 0; s + 1 < batch.offsets.size(); ++s) {
        std::span<const std::int32_t> tokens(batch.tokens.data() + batch.offsets[s],
                                             static_cast<std::size_t>(batch.offsets[s + 1] - batch.offsets[s]));
        std::vector<std::int64_t> offsets = {0, static_cast<std::int64_t>(tokens.size())}, rows;
        for (std::size_t t = 0; t < tokens.size(); ++t) rows.push_back(static_cast<std::int64_t>(t));
        for (double logit : model.forward(tokens, offsets, rows).logits) ASSERT_NEAR(logit, together[seen++], 1e-12);
    }
    EXPECT_EQ(seen, together.size());
}

TEST(Transformer, AttentionIsCausal) {
    Transformer<double> model(tiny, 1);
    disturb(model, 2);
    Packed batch({40}, tiny.vocabulary, 8);
    auto first = model.forward(batch.tokens, batch.offsets, batch.all_rows).logits;
    std::vector<double> before(first.begin(), first.end());
    batch.tokens[37] = (batch.tokens[37] + 1) % 7;
    auto after = model.forward(batch.tokens, batch.offsets, batch.all_rows).logits;
    for (std::size_t i = 0; i < 37 * 7; ++i) ASSERT_EQ(before[i], after[i]);
    for (std::size_t t = 37; t < 40; ++t) EXPECT_NE(before[t * 7], after[t * 7]);
}

/// The plain reference: one sequence, one head, one layer after another, in loops.
std::vector<double> reference_logits(const Transformer<double>& model, const std::vector<std::int32_t>& tokens) {
    const TransformerSettings& s = model.settings();
    auto W = static_cast<std::size_t>(s.width), F = static_cast<std::size_t>(s.hidden), T = tokens.size();
    auto size = W / static_cast<std::size_t>(s.heads);
    const auto& p = model.parameters();
    auto norm = [&](const std::vector<double>& x, std::span<const double> gain) {
        double square = 0;
        for (double v : x) square += v * v;
        std::vector<double> y(W);
        for (std::size_t i = 0; i < W; ++i) y[i] = gain[i] * x[i] / std::sqrt(square / static_cast<double>(W) + 1e-5);
        return y;
    };
    auto times = [](std::span<const double> weight, const std::vector<double>& x) {
        std::vector<double> y(weight.size() / x.size());
        for (std::size_t o = 0; o < y.size(); ++o)
            for (std::size_t i = 0; i < x.size(); ++i) y[o] += weight[o * x.size() + i] * x[i];
        return y;
    };
    auto rotate = [&](std::vector<double>& x, std::size_t position) {
        for (std::size_t i = 0; i < W; ++i) {
            std::size_t pair = i % size;
            if (pair >= size / 2) continue;
            double angle = static_cast<double>(position) *
                           std::pow(s.rotary_base, -2.0 * static_cast<double>(pair) / static_cast<double>(size));
            double a = x[i], b = x[i + size / 2];
            x[i] = a * std::cos(angle) - b * std::sin(angle);
            x[i + size / 2] = a * std::sin(angle) + b * std::cos(angle);
        }
    };
    std::vector<std::vector<double>> x(T);
    for (std::size_t t = 0; t < T; ++t) {
        auto row = p.values("embedding.weight").subspan(static_cast<std::size_t>(tokens[t]) * W, W);
        x[t].assign(row.begin(), row.end());
    }
    for (std::int64_t l = 0; l < s.layers; ++l) {
        std::string layer = "layers." + std::to_string(l) + ".";
        std::vector<std::vector<double>> q(T), k(T), v(T);
        for (std::size_t t = 0; t < T; ++t) {
            auto y = norm(x[t], p.values(layer + "attention_norm.weight"));
            q[t] = times(p.values(layer + "attention.query.weight"), y);
            k[t] = times(p.values(layer + "attention.key.weight"), y);
            v[t] = times(p.values(layer + "attention.value.weight"), y);
            rotate(q[t], t);
            rotate(k[t], t);
        }
        for (std::size_t t = 0; t < T; ++t) {
            std::vector<double> mixed(W);
            for (std::size_t h = 0; h < W; h += size) {
                std::vector<double> weight(t + 1);
                double sum = 0;
                for (std::size_t j = 0; j <= t; ++j) {
                    double score = 0;
                    for (std::size_t i = h; i < h + size; ++i) score += q[t][i] * k[j][i];
                    sum += weight[j] = std::exp(score / std::sqrt(static_cast<double>(size)));
                }
                for (std::size_t j = 0; j <= t; ++j)
                    for (std::size_t i = h; i < h + size; ++i) mixed[i] += weight[j] / sum * v[j][i];
            }
            auto attended = times(p.values(layer + "attention.output.weight"), mixed);
            for (std::size_t i = 0; i < W; ++i) x[t][i] += attended[i];
            auto up = times(p.values(layer + "mlp.up.weight"), norm(x[t], p.values(layer + "mlp_norm.weight")));
            for (std::size_t i = 0; i < F; ++i) up[i] /= 1 + std::exp(-up[i]);
            auto down = times(p.values(layer + "mlp.down.weight"), up);
            for (std::size_t i = 0; i < W; ++i) x[t][i] += down[i];
        }
    }
    std::vector<double> logits;
    for (std::size_t t = 0; t < T; ++t) {
        auto row = times(p.values("embedding.weight"), norm(x[t], p.values("norm.weight")));
        logits.insert(logits.end(), row.begin(), row.end());
    }
    return logits;
}

TEST(Transformer, LogitsEqualPlainReference) {
    Transformer<double> model(tiny, 21);
    disturb(model, 22);
    Packed batch({41}, tiny.vocabulary, 23);
    std::vector<double> expected = reference_logits(model, batch.tokens);
    auto logits = model.forward(batch.tokens, batch.offsets, batch.all_rows).logits;
    ASSERT_EQ(logits.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(logits[i], expected[i], 1e-12);
}

TEST(Transformer, FloatFollowsDouble) {
    Transformer<double> exact(tiny, 21);
    Transformer<float> rounded(tiny, 21);
    Packed batch({41, 7}, tiny.vocabulary, 23);
    auto expected = exact.forward(batch.tokens, batch.offsets, batch.all_rows).logits;
    auto logits = rounded.forward(batch.tokens, batch.offsets, batch.all_rows).logits;
    for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(logits[i], expected[i], 2e-5);
}

/// Rolls out scripted tokens and compares each step's logits with the full forward pass over prompt and tokens so far.
TEST(Generator, CachedLogitsEqualFullForward) {
    Transformer<double> model(tiny, 31);
    disturb(model, 32);
    Packed prompts({3, 17, 1}, tiny.vocabulary, 33);
    constexpr std::int64_t copies = 2, new_tokens = 31;
    Generator<double> generator(model);
    Transformer<double> full = model.snapshot();
    RandomStream random{Random(34)};
    std::vector<std::vector<std::int32_t>> sequences;
    for (std::size_t i = 0; i < 6; ++i)
        sequences.emplace_back(prompts.tokens.begin() + prompts.offsets[i / copies],
                               prompts.tokens.begin() + prompts.offsets[i / copies + 1]);

    auto output = generator.begin(prompts.tokens, prompts.offsets, copies, new_tokens);
    ASSERT_EQ(generator.live(), 6);
    std::int64_t steps = 0;
    while (generator.live() > 0) {
        std::vector<std::int32_t> picked;
        for (std::int64_t i = 0; i < generator.live(); ++i) {
            std::int64_t rollout = generator.rollouts()[i];
            const auto& sequence = sequences[rollout];
            std::vector<std::int64_t> offsets = {0, static_cast<std::int64_t>(sequence.size())};
            std::vector<std::int64_t> last = {offsets[1] - 1};
            auto expected = full.forward(sequence, offsets, last);
            for (std::int64_t v = 0; v < 7; ++v)
                ASSERT_NEAR(output.logits[i * 7 + v], expected.logits[v], 1e-10) << "rollout " << rollout;
            ASSERT_NEAR(output.values[i], expected.values[0], 1e-10);
            // Rollouts end at different times; row 1 of prompt 1 runs to the end.
            bool ends = steps == new_tokens - 1 || (rollout != 3 && random.below(12) == 0);
            picked.push_back(ends ? Generator<double>::finished : static_cast<std::int32_t>(random.below(7)));
            if (!ends) sequences[rollout].push_back(picked.back());
        }
        output = generator.step(picked);
        EXPECT_EQ(static_cast<std::int64_t>(output.logits.size()), generator.live() * 7);
        ++steps;
    }
    EXPECT_EQ(steps, new_tokens);
    EXPECT_EQ(sequences[3].size(), 17u + 30u);
}

TEST(Generator, CopiesOfAPromptStartEqualAndPartWithTheirTokens) {
    Transformer<float> model(tiny, 41);
    Packed prompts({9}, tiny.vocabulary, 42);
    Generator<float> generator(model);
    auto logits = generator.begin(prompts.tokens, prompts.offsets, 3, 4).logits;
    for (std::size_t v = 0; v < 7; ++v) {
        EXPECT_EQ(logits[v], logits[7 + v]);
        EXPECT_EQ(logits[v], logits[14 + v]);
    }
    std::vector<std::int32_t> picked = {1, 2, 1};
    logits = generator.step(picked).logits;
    EXPECT_NE(logits[0], logits[7]);
    EXPECT_EQ(logits[0], logits[14]);
}

TEST(Generator, ReuseAfterALongerRunReadsNothingStale) {
    Transformer<double> model(tiny, 43);
    Packed longer({30, 30}, tiny.vocabulary, 44), shorter({2}, tiny.vocabulary, 45);
    Generator<double> used(model), fresh(model);
    used.begin(longer.tokens, longer.offsets, 2, 10);
    std::vector<std::int32_t> four = {1, 2, 3, 4}, one = {5};
    used.step(four);
    used.begin(shorter.tokens, shorter.offsets, 1, 10);
    fresh.begin(shorter.tokens, shorter.offsets, 1, 10);
    auto after_use = used.step(one).logits;
    auto after_none = fresh.step(one).logits;
    for (std::size_t v = 0; v < 7; ++v) EXPECT_EQ(after_use[v], after_none[v]);
}

#if defined(_OPENMP)
TEST(Transformer, BitsDoNotDependOnTheNumberOfThreads) {
    TransformerSettings settings{
        .vocabulary = 19, .layers = 2, .width = 48, .heads = 2, .hidden = 160, .max_length = 300};
    std::vector<std::int64_t> lengths = {300, 200, 7};
    for (std::int64_t s = 0; s < 40; ++s) lengths.push_back(s % 23);
    Packed batch(lengths, settings.vocabulary, 51), single({300}, settings.vocabulary, 52);
    auto run = [&](int threads) {
        int before = omp_get_max_threads();
        omp_set_num_threads(threads);
        Transformer<float> model(settings, 53);
        std::vector<float> bits;
        for (const Packed* packed : {&batch, &single}) {
            auto output = model.forward(packed->tokens, packed->offsets, packed->all_rows);
            bits.insert(bits.end(), output.logits.begin(), output.logits.end());
            model.backward(output.logits);
        }
        bits.insert(bits.end(), model.parameters().gradients().begin(), model.parameters().gradients().end());
        Generator<float> generator(model);
        Packed prompts({5, 8, 13}, 19, 54);
        auto logits = generator.begin(prompts.tokens, prompts.offsets, 30, 2).logits;
        bits.insert(bits.end(), logits.begin(), logits.end());
        logits = generator.step(std::vector<std::int32_t>(90, 3)).logits;
        bits.insert(bits.end(), logits.begin(), logits.end());
        omp_set_num_threads(before);
        return bits;
    };
    std::vector<float> one = run(1), two = run(2), five = run(5);
    ASSERT_EQ(one.size(), two.size());
    EXPECT_EQ(std::memcmp(one.data(), two.data(), one.size() * sizeof(float)), 0);
    EXPECT_EQ(std::memcmp(one.data(), five.data(), one.size() * sizeof(float)), 0);
}
#endif

TEST(Transformer, SeedDecidesParameters) {
    Transformer<float> first(tiny, 1), same(tiny, 1), other(tiny, 2);
    auto a = first.parameters().values(), b = same.parameters().values(), c = other.parameters().values();
    EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin()));
    EXPECT_FALSE(std::equal(a.begin(), a.end(), c.begin()));
}

TEST(Transformer, SnapshotStaysWhereItWas) {
    Transformer<double> model(tiny, 1);
    Packed batch({6}, tiny.vocabulary, 2);
    auto output = model.forward(batch.tokens, batch.offsets, batch.all_rows);
    std::vector<double> before(output.logits.begin(), output.logits.end());
    Transformer<double> frozen = model.snapshot();
    for (double& value : model.parameters().values()) value *= 1.5;
    auto still = frozen.forward(batch.tokens, batch.offsets, batch.all_rows).logits;
    EXPECT_TRUE(std::equal(before.begin(), before.end(), still.begin()));
    EXPECT_NE(model.forward(batch.tokens, batch.offsets, batch.all_rows).logits[0], before[0]);
}

TEST(Transformer, SavedAndLoadedIsTheSame) {
    std::string path = (std::filesystem::temp_directory_path() / "roars_transformer_test.safetensors").string();
    TransformerSettings settings = tiny;
    settings.rotary_base = 123.456789012345;
    Transformer<float> model(settings, 61);
    disturb(model, 62);
    model.save(path);
    Transformer<float> loaded = Transformer<float>::load(path);
    EXPECT_EQ(loaded.settings().heads, 2);
    EXPECT_TRUE(loaded.settings().value_head);
    Packed batch({30}, tiny.vocabulary, 63);
    auto expected = model.forward(batch.tokens, batch.offsets, batch.all_rows);
    auto output = loaded.forward(batch.tokens, batch.offsets, batch.all_rows);
    EXPECT_TRUE(std::equal(expected.logits.begin(), expected.logits.end(), output.logits.begin()));
    EXPECT_TRUE(std::equal(expected.values.begin(), expected.values.end(), output.values.begin()));
    EXPECT_THROW(Transformer<double>::load(path), Error);
    auto file = roars::SafeTensors::load(path);
    EXPECT_TRUE(file.contains("layers.0.attention.query.weight"));
    std::filesystem::remove(path);
}

TEST(Transformer, RefusesWhatItCannotRead) {
    EXPECT_THROW(Transformer<float>({.width = 96, .heads = 5}), Error);
    EXPECT_THROW(Transformer<float>({.vocabulary = 0}), Error);
    Transformer<float> model(tiny, 1);
    std::vector<std::int32_t> tokens = {1, 2, 7}, fine = {1, 2, 3}, longer(49, 1);
    std::vector<std::int64_t> offsets = {0, 3}, broken = {0, 2}, long_offsets = {0, 49}, rows = {2}, outside = {3},
                              none;
    EXPECT_THROW(model.forward(tokens, offsets, rows), Error);
    EXPECT_THROW(model.forward(fine, broken, rows), Error);
    EXPECT_THROW(model.forward(fine, none, rows), Error);
    EXPECT_THROW(model.forward(fine, offsets, outside), Error);
    EXPECT_THROW(model.forward(longer, long_offsets, rows), Error);
    model.forward(fine, offsets, rows);
    EXPECT_THROW(model.backward(std::vector<float>(6)), Error);
    EXPECT_THROW(model.backward(std::vector<float>(7), std::vector<float>(2)), Error);
    Generator<float> generator(model);
    EXPECT_THROW(generator.begin(fine, offsets, 2, 47), Error);
    generator.begin(fine, offsets, 2, 4);
    EXPECT_THROW(generator.step(fine), Error);
    EXPECT_THROW(generator.step(std::vector<std::int32_t>{7, 0}), Error);
}

TEST(Transformer, EmptyBatchGivesNothing) {
    Transformer<float> model(tiny, 1);
    std::vector<std::int32_t> tokens;
    std::vector<std::int64_t> offsets = {0}, rows;
    EXPECT_TRUE(model.forward(tokens, offsets, rows).logits.empty());
    model.backward({});
    for (float gradient : model.parameters().gradients()) ASSERT_EQ(gradient, 0.0f);
}

}  // namespace
}  // namespace roars::actors_transformer_test
