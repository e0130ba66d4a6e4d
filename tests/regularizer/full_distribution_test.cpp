#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "../limits.hpp"
#include "roars/regularizer/full_distribution.hpp"

namespace roars::full_distribution_test {
namespace {

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

template <class Visit>
void for_each_divergence(Visit&& visit) {
    visit(divergence::ReverseKl{});
    visit(divergence::ForwardKl{});
    visit(divergence::JensenShannon{0.3});
    visit(divergence::JensenShannon{0.5});
    visit(divergence::TotalVariation{});
    visit(divergence::Cosine{});
}

std::vector<double> random_row(std::mt19937& random, std::size_t size) {
    std::vector<double> row(size);
    for (double& z : row) z = std::normal_distribution<double>(0, 2)(random);
    return row;
}

RC_GTEST_PROP(FullDivergence, IsNeverNegativeAndZeroForEqualRows, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    std::size_t size = 1 + random() % 20;
    auto row = random_row(random, size), teacher = random_row(random, size);
    for_each_divergence([&](const auto& divergence) {
        std::vector<double> gradient(size);
        RC_ASSERT(row_divergence(divergence, row.data(), teacher.data(), std::ssize(row)) >= -1e-14);
        RC_ASSERT(std::abs(row_divergence(divergence, row.data(), row.data(), std::ssize(row), 1.0, gradient.data())) <=
                  1e-14);
        for (double slope : gradient) RC_ASSERT(std::abs(slope) <= 1e-14);
    });
}

RC_GTEST_PROP(FullDivergence, GradientIsTheFiniteDifference, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    std::size_t size = 1 + random() % 20;
    auto row = random_row(random, size), teacher = random_row(random, size);
    double temperature = 0.5 + double(random() % 100) / 50;
    for_each_divergence([&](const auto& divergence) {
        std::vector<double> gradient(size);
        row_divergence(divergence, row.data(), teacher.data(), std::ssize(row), temperature, gradient.data(), 1.7);
        for (std::size_t j = 0; j < size; ++j) {
            const double step = 1e-6, z = row[j];
            row[j] = z + step;
            double up = row_divergence(divergence, row.data(), teacher.data(), std::ssize(row), temperature);
            row[j] = z - step;
            double down = row_divergence(divergence, row.data(), teacher.data(), std::ssize(row), temperature);
            row[j] = z;
            RC_ASSERT(std::abs(gradient[j] - 1.7 * (up - down) / (2 * step)) <= 1e-7);
        }
    });
}

/// An action forbidden in both rows is as if it were not there.
TEST(FullDivergence, ForbiddenActionsDoNotLeak) {
    std::vector<double> row{0.3, minus_infinity, -1.0, 0.7, minus_infinity},
        teacher{1.0, minus_infinity, 0.2, -0.4, minus_infinity};
    std::vector<double> short_row{0.3, -1.0, 0.7}, short_teacher{1.0, 0.2, -0.4};
    for_each_divergence([&](const auto& divergence) {
        std::vector<double> gradient(5), short_gradient(3);
        double value = row_divergence(divergence, row.data(), teacher.data(), 5, 1.0, gradient.data());
        EXPECT_NEAR(value,
                    row_divergence(divergence, short_row.data(), short_teacher.data(), 3, 1.0, short_gradient.data()),
                    1e-14);
        EXPECT_EQ(gradient[1], 0.0);
        EXPECT_EQ(gradient[4], 0.0);
        EXPECT_NEAR(gradient[0], short_gradient[0], 1e-14);
        EXPECT_NEAR(gradient[2], short_gradient[1], 1e-14);
    });
    // Bounded divergences stay finite where only one of the two forbids; KL from the one that allows is infinite.
    teacher[1] = 0.0;
    EXPECT_TRUE(std::isfinite(row_divergence(divergence::ReverseKl{}, row.data(), teacher.data(), 5)));
    EXPECT_TRUE(std::isfinite(row_divergence(divergence::JensenShannon{}, row.data(), teacher.data(), 5)));
    EXPECT_TRUE(std::isfinite(row_divergence(divergence::TotalVariation{}, row.data(), teacher.data(), 5)));
    EXPECT_EQ(row_divergence(divergence::ForwardKl{}, row.data(), teacher.data(), 5), -minus_infinity);
}

/// Equal weights make the Jensen-Shannon divergence symmetric; it is at most log 2, total variation at most 1.
TEST(FullDivergence, BoundsOfTheBoundedOnes) {
    std::vector<double> row{50.0, 0.0, 0.0}, teacher{0.0, 0.0, 50.0};
    EXPECT_NEAR(row_divergence(divergence::JensenShannon{0.5}, row.data(), teacher.data(), 3), std::log(2.0), 1e-12);
    EXPECT_NEAR(row_divergence(divergence::TotalVariation{}, row.data(), teacher.data(), 3), 1.0, 1e-12);
    std::vector<double> a{0.1, 0.9, -0.3}, b{0.4, -0.9, 0.3};
    EXPECT_NEAR(row_divergence(divergence::JensenShannon{0.5}, a.data(), b.data(), 3),
                row_divergence(divergence::JensenShannon{0.5}, b.data(), a.data(), 3), 1e-15);
}

TEST(FullDivergence, CosineIsTheAngleOfTheLogits) {
    std::vector<double> row{3.0, 0.0, 4.0, minus_infinity}, teacher{0.0, 5.0, 5.0, 2.0}, nothing(4, 0.0),
        gradient(4, 9.0);
    EXPECT_DOUBLE_EQ(row_divergence(divergence::Cosine{}, row.data(), teacher.data(), 4, 1.0, gradient.data()),
                     1.0 - 20.0 / (5.0 * std::sqrt(50.0)));
    EXPECT_EQ(gradient[3], 0.0);
    // The length of a row says nothing.
    EXPECT_NEAR(3 * gradient[0] + 4 * gradient[2], 0.0, 1e-15);
    EXPECT_EQ(row_divergence(divergence::Cosine{}, nothing.data(), teacher.data(), 4, 1.0, gradient.data()), 1.0);
    EXPECT_EQ(gradient, std::vector<double>(4, 0.0));
}

TEST(FullDivergence, RowsOfWeightZeroAreNotRead) {
    backend::Host host;
    std::vector<double> logits{0.1, 0.5, nan, nan}, teacher{0.3, -0.2, 0.0, 0.0}, weight{2.0, 0.0}, value(2),
        gradient(4);
    full_divergence(host, divergence::ReverseKl{}, std::span<const double>(logits), std::span<const double>(teacher), 2,
                    1.0, std::span<const double>(weight), std::span(value), std::span(gradient));
    EXPECT_NEAR(value[0], row_divergence(divergence::ReverseKl{}, logits.data(), teacher.data(), 2), 1e-15);
    EXPECT_NEAR(gradient[0], -gradient[1], 1e-15);
    EXPECT_NE(gradient[0], 0.0);
    EXPECT_EQ(value[1], 0.0);
    EXPECT_EQ(gradient[2], 0.0);
    EXPECT_EQ(gradient[3], 0.0);
}

/// One side forbids what the other takes: whatever is infinite is told so, and nothing is NaN.
TEST(FullDivergence, ForbiddenByOneSideAlone) {
    const std::vector<double> all{0.3, -0.2, 1.0}, some{0.3, minus_infinity, 1.0};
    std::vector<double> gradient(3, 9.0), p(3), q(3);
    double sum_all = 0, sum_some = 0;
    for (std::size_t j = 0; j < 3; ++j) sum_all += p[j] = std::exp(all[j]), sum_some += q[j] = std::exp(some[j]);
    for (std::size_t j = 0; j < 3; ++j) p[j] /= sum_all, q[j] /= sum_some;
    // The teacher forbids it.
    EXPECT_EQ(row_divergence(divergence::ReverseKl{}, all.data(), some.data(), 3, 1.0, gradient.data()), infinity);
    EXPECT_EQ(gradient, std::vector<double>(3, 0.0));
    EXPECT_LT(row_divergence(divergence::ForwardKl{}, all.data(), some.data(), 3, 1.0, gradient.data()), infinity);
    for (std::size_t j = 0; j < 3; ++j) EXPECT_NEAR(gradient[j], p[j] - q[j], 1e-15);
    // The policy forbids it: its own logit has no slope, the others have that of the formula.
    EXPECT_LT(row_divergence(divergence::ReverseKl{}, some.data(), all.data(), 3, 1.0, gradient.data()), infinity);
    EXPECT_EQ(gradient[1], 0.0);
    EXPECT_EQ(row_divergence(divergence::ForwardKl{}, some.data(), all.data(), 3, 1.0, gradient.data()), infinity);
    EXPECT_EQ(gradient[1], 0.0);
    EXPECT_NEAR(gradient[0], q[0] - p[0], 1e-15);
    // A mixture of one side alone is that side, and its divergence from itself is 0.
    for (double mixture : {0.0, 1.0})
        for (const auto* row : {&all, &some}) {
            const auto& other = row == &all ? some : all;
            EXPECT_NEAR(
                row_divergence(divergence::JensenShannon{mixture}, row->data(), other.data(), 3, 1.0, gradient.data()),
                0.0, 1e-15);
            for (double slope : gradient) EXPECT_NEAR(slope, 0.0, 1e-15);
        }
}

}  // namespace
}  // namespace roars::full_distribution_test
