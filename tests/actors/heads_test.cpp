#include "roars/actors/heads.hpp"

#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "roars/random.hpp"

namespace roars::heads_test {
namespace {

using Numbers = std::vector<double>;
using Read = std::span<const double>;
using Write = std::span<double>;

Numbers normal_numbers(std::int64_t count, std::uint64_t seed) {
    Numbers numbers(static_cast<std::size_t>(count));
    fill_normal(Random(seed), 0, Write(numbers));
    return numbers;
}

double weighted(const Numbers& a, const Numbers& weights) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * weights[i];
    return sum;
}

/// said is d loss / d values.
void expect_slope(Numbers& values, const Numbers& said, const std::function<double()>& loss) {
    ASSERT_EQ(values.size(), said.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        const double kept = values[i], step = 1e-6;
        values[i] = kept + step;
        double above = loss();
        values[i] = kept - step;
        double below = loss();
        values[i] = kept;
        EXPECT_NEAR(said[i], (above - below) / (2 * step), 1e-6 * (1 + std::abs(said[i]))) << "element " << i;
    }
}

constexpr std::int64_t rows = 7, width = 3;

template <class Head>
void check_given_action(const Head& head, bool entropy_too) {
    Numbers out = normal_numbers(rows * head.outputs(), 1), free = normal_numbers(head.free_parameters(), 2);
    Numbers action = normal_numbers(rows * width, 3), by_logp = normal_numbers(rows, 4);
    Numbers by_entropy = entropy_too ? normal_numbers(rows, 5) : Numbers{};
    for (double& a : action) a = std::tanh(a);
    Numbers logp(rows), entropy(by_entropy.size());
    auto loss = [&] {
        head.log_probability(Read(out), Read(free), Read(action), Write(logp), Write(entropy));
        return weighted(logp, by_logp) + weighted(entropy, by_entropy);
    };
    Numbers grad_out(out.size()), grad_free(free.size());
    head.d_log_probability(Read(out), Read(free), Read(action), Read(by_logp), Read(by_entropy), Write(grad_out),
                           Write(grad_free));
    expect_slope(out, grad_out, loss);
    expect_slope(free, grad_free, loss);
}

TEST(Heads, LogProbabilityOfAGivenActionHasItsSlope) {
    check_given_action(actor::SquashedGaussian{width}, false);
    check_given_action(actor::DiagonalGaussian<false>{width}, true);
    check_given_action(actor::DiagonalGaussian<true>{width}, true);
}

TEST(Heads, ASquashedSampleMovesWithItsOutputs) {
    actor::SquashedGaussian head{width};
    Numbers out = normal_numbers(rows * head.outputs(), 1), noise = normal_numbers(rows * width, 2);
    Numbers by_action = normal_numbers(rows * width, 3), by_logp = normal_numbers(rows, 4);
    Numbers action(noise.size()), logp(rows);
    auto loss = [&] {
        head.sample(Read(out), Read(), Read(noise), Write(action), Write(logp));
        return weighted(action, by_action) + weighted(logp, by_logp);
    };
    loss();
    Numbers grad_out(out.size());
    head.d_sample(Read(out), Read(), Read(noise), Read(action), Read(by_action), Read(by_logp), Write(grad_out),
                  Write());
    expect_slope(out, grad_out, loss);
    // Without one of the two derivatives: the other's part.
    loss();
    Numbers by_one(out.size());
    head.d_sample(Read(out), Read(), Read(noise), Read(action), Read(by_action), Read(), Write(by_one), Write());
    head.d_sample(Read(out), Read(), Read(noise), Read(action), Read(), Read(by_logp), Write(by_one), Write());
    for (std::size_t i = 0; i < by_one.size(); ++i) EXPECT_NEAR(by_one[i], grad_out[i], 1e-12);
}

TEST(Heads, ASquashedDensityIntegratesToOneAndIsThatOfTheSample) {
    actor::SquashedGaussian head{1};
    Numbers out{0.4, -0.7};
    double mass = 0;
    const int cells = 200000;
    for (int i = 0; i < cells; ++i) {
        Numbers action{-1 + (2 * i + 1.0) / cells}, logp(1);
        head.log_probability(Read(out), Read(), Read(action), Write(logp), Write());
        mass += std::exp(logp[0]) * 2 / cells;
    }
    EXPECT_NEAR(mass, 1, 1e-4);
    Numbers noise{0.8}, action(1), drawn(1), given(1);
    head.sample(Read(out), Read(), Read(noise), Write(action), Write(drawn));
    head.log_probability(Read(out), Read(), Read(action), Write(given), Write());
    EXPECT_NEAR(drawn[0], given[0], 1e-9);
}

TEST(Heads, ASquashedDensityIsFiniteAtTheEnds) {
    actor::SquashedGaussian head{1};
    for (float mean : {0.0f, 30.0f, -1e4f, 1e6f})
        for (float s : {-1e3f, -20.0f, 0.0f, 2.0f, 1e3f})
            for (float eps : {-6.0f, 0.0f, 6.0f}) {
                std::vector<float> out{mean, s}, noise{eps}, action(1), logp(1), one(1, 1.0f), grad(2), end{1.0f};
                head.sample(std::span<const float>(out), {}, std::span<const float>(noise), std::span<float>(action),
                            std::span<float>(logp));
                EXPECT_TRUE(std::isfinite(logp[0]) && std::abs(action[0]) <= 1) << mean << " " << s << " " << eps;
                head.d_sample(std::span<const float>(out), {}, std::span<const float>(noise),
                              std::span<const float>(action), std::span<const float>(one), std::span<const float>(one),
                              std::span<float>(grad), {});
                EXPECT_TRUE(std::isfinite(grad[0]) && std::isfinite(grad[1]));
                if (s < -1e2f) continue;  // a given action is then infinitely unlikely
                head.log_probability(std::span<const float>(out), {}, std::span<const float>(end),
                                     std::span<float>(logp), {});
                EXPECT_FALSE(std::isnan(logp[0]));
            }
}

TEST(Heads, CategoricalHasItsSlopesAndDrawsByItsProbabilities) {
    actor::Categorical head{width};
    Numbers out = normal_numbers(rows * width, 1), by_logp = normal_numbers(rows, 2),
            by_entropy = normal_numbers(rows, 3);
    std::vector<std::int32_t> action{0, 1, 2, 2, 1, 0, 0};
    Numbers logp(rows), entropy(rows);
    auto loss = [&] {
        head.log_probability(Read(out), Read(), std::span<const std::int32_t>(action), Write(logp), Write(entropy));
        return weighted(logp, by_logp) + weighted(entropy, by_entropy);
    };
    Numbers grad_out(out.size());
    head.d_log_probability(Read(out), Read(), std::span<const std::int32_t>(action), Read(by_logp), Read(by_entropy),
                           Write(grad_out), Write());
    expect_slope(out, grad_out, loss);
    Numbers logits{1.0, 3.0, -2.0};
    double normaliser = std::log(std::exp(1.0) + std::exp(3.0) + std::exp(-2.0)), first = std::exp(1.0 - normaliser);
    EXPECT_EQ(head.draw(Read(logits), first - 1e-9), 0);
    EXPECT_EQ(head.draw(Read(logits), first + 1e-9), 1);
    EXPECT_EQ(head.draw(Read(logits), 1 - 1e-12), 2);
}

TEST(Heads, ActionValuesHaveTheirSlopes) {
    for (bool dueling : {false, true}) {
        actor::ActionValues head{.width = width, .quantiles = 2, .dueling = dueling};
        Numbers out = normal_numbers(rows * head.outputs(), 1), by_taken = normal_numbers(rows * 2, 2);
        std::vector<std::int32_t> action{0, 1, 2, 2, 1, 0, 0};
        Numbers values(rows * width * 2);
        auto loss = [&] {
            head.values(Read(out), Write(values));
            double sum = 0;
            for (std::size_t r = 0; r < rows; ++r)
                for (std::size_t i = 0; i < 2; ++i)
                    sum += by_taken[r * 2 + i] * values[(r * width + std::size_t(action[r])) * 2 + i];
            return sum;
        };
        Numbers grad_out(out.size());
        head.d_values(std::span<const std::int32_t>(action), Read(by_taken), Write(grad_out));
        expect_slope(out, grad_out, loss);
    }
    Numbers values{1, 2, 5, -3, 2, 1};  // means 1.5, 1, 1.5: of equal ones the first
    EXPECT_EQ((actor::ActionValues{.width = 3, .quantiles = 2}.best(Read(values))), 0);
}

}  // namespace
}  // namespace roars::heads_test
