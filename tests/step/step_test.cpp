#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <Eigen/SVD>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "../limits.hpp"
#include "roars/concepts.hpp"
#include "roars/optimizer/step/accumulated.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/step/averaged.hpp"
#include "roars/optimizer/step/clipped.hpp"
#include "roars/optimizer/step/lion.hpp"
#include "roars/optimizer/step/muon.hpp"
#include "roars/optimizer/step/scheduled.hpp"
#include "roars/optimizer/step/sgd.hpp"
#include "roars/optimizer/step/split.hpp"
#include "roars/random.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace roars::step_step_test {
namespace {

using Usual = step::Scheduled<step::Clipped<step::AdamW>, step::WarmUp<step::decay::Cosine>>;
using ScheduleInside = step::Clipped<step::Scheduled<step::AdamW, step::WarmUp<step::decay::Linear>>>;
static_assert(StepPart<Usual> && StepPart<ScheduleInside> && StepPart<step::SkipNonFinite<step::Sgd>>);
static_assert(StepPart<step::Muon<>> && StepPart<step::Averaged<step::Clipped<step::Muon<step::Lion>>>>);
static_assert(StepPart<step::Accumulated<step::Lion>>);
static_assert(StepPart<step::Clipped<step::Split<step::AdamW, step::Sgd>>>);

std::vector<double> normals(std::size_t count, std::uint32_t seed) {
    std::vector<double> values(count);
    Random random(seed);
    for (std::size_t i = 0; i < count; ++i) values[i] = random.normal(0, static_cast<std::uint32_t>(i));
    return values;
}
template <class Real = double>
std::vector<Real> cast(const std::vector<double>& values) {
    return {values.begin(), values.end()};
}

/// Parameters after a step with each of the gradients.
template <class Real, class Rule>
std::vector<Real> walk(const Rule& rule, typename Rule::template StateOf<Real>& state, std::vector<Real> parameters,
                       std::vector<std::vector<Real>> gradients) {
    for (auto& gradient : gradients) rule.step(state, std::span<Real>(parameters), std::span<Real>(gradient));
    return parameters;
}
template <class Real, class Rule>
std::vector<Real> walk(const Rule& rule, const std::vector<Real>& parameters,
                       const std::vector<std::vector<Real>>& gradients) {
    typename Rule::template StateOf<Real> state;
    return walk(rule, state, parameters, gradients);
}

rc::Gen<std::vector<double>> vectors(std::size_t size) {
    return rc::gen::container<std::vector<double>>(
        size, rc::gen::map(rc::gen::inRange(-3000, 3001), [](int x) { return x / 1024.0; }));
}
std::vector<std::vector<double>> some_gradients(std::size_t size, int steps) {
    std::vector<std::vector<double>> gradients;
    for (int i = 0; i < steps; ++i) gradients.push_back(*vectors(size));
    return gradients;
}

// ---- rules against their formulas, one number at a time

std::vector<double> slow_adamw(const step::AdamW& rule, std::vector<double> theta,
                               const std::vector<std::vector<double>>& gradients) {
    for (std::size_t i = 0; i < theta.size(); ++i) {
        double m = 0, v = 0;
        for (std::size_t t = 1; t <= gradients.size(); ++t) {
            double g = gradients[t - 1][i];
            m = rule.beta1 * m + (1 - rule.beta1) * g;
            v = rule.beta2 * v + (1 - rule.beta2) * g * g;
            double m_hat = m / (1 - std::pow(rule.beta1, double(t))), v_hat = v / (1 - std::pow(rule.beta2, double(t)));
            theta[i] -= rule.learning_rate * rule.weight_decay * theta[i];
            theta[i] -= rule.learning_rate * m_hat / (std::sqrt(v_hat) + rule.eps);
        }
    }
    return theta;
}

RC_GTEST_PROP(StepProperty, AdamWIsItsFormula, ()) {
    auto size = static_cast<std::size_t>(*rc::gen::inRange(0, 40));
    step::AdamW rule{.learning_rate = 0.03, .beta1 = 0.8, .beta2 = 0.97, .weight_decay = 0.1};
    auto start = *vectors(size);
    auto gradients = some_gradients(size, *rc::gen::inRange(1, 6));
    auto fast = walk(rule, start, gradients), slow = slow_adamw(rule, start, gradients);
    for (std::size_t i = 0; i < size; ++i) RC_ASSERT(std::abs(fast[i] - slow[i]) < 1e-13);
    std::vector<std::vector<float>> single;
    for (const auto& gradient : gradients) single.push_back(cast<float>(gradient));
    auto coarse = walk(rule, cast<float>(start), single);
    for (std::size_t i = 0; i < size; ++i) RC_ASSERT(std::abs(double(coarse[i]) - slow[i]) < 3e-6);
}

RC_GTEST_PROP(StepProperty, SgdAndLionAreTheirFormulas, ()) {
    auto size = static_cast<std::size_t>(*rc::gen::inRange(0, 40));
    auto start = *vectors(size);
    auto gradients = some_gradients(size, 4);
    step::Sgd sgd{.learning_rate = 0.1, .momentum = *rc::gen::element(0.0, 0.9), .weight_decay = 0.02};
    step::Lion lion{.learning_rate = 0.01, .beta1 = 0.7, .beta2 = 0.9, .weight_decay = 0.3};
    auto by_sgd = walk(sgd, start, gradients), by_lion = walk(lion, start, gradients);
    for (std::size_t i = 0; i < size; ++i) {
        double theta = start[i], velocity = 0, other = start[i], m = 0;
        for (const auto& gradient : gradients) {
            double g = gradient[i];
            velocity = sgd.momentum * velocity + g;
            theta -= sgd.learning_rate * (velocity + sgd.weight_decay * theta);
            double u = lion.beta1 * m + (1 - lion.beta1) * g;
            other -= lion.learning_rate * (double((u > 0) - (u < 0)) + lion.weight_decay * other);
            m = lion.beta2 * m + (1 - lion.beta2) * g;
        }
        RC_ASSERT(std::abs(by_sgd[i] - theta) < 1e-13);
        RC_ASSERT(std::abs(by_lion[i] - other) < 1e-13);
    }
}

TEST(Step, SmallDecayIsNotLostInFloat) {
    // 1 - lr weight_decay = 1 - 1e-9 is 1 in float; the parameter still moves by what it is owed.
    step::AdamW rule{.learning_rate = 1e-3, .weight_decay = 1e-6};
    std::vector<float> tiny = {1e-30f}, none = {0.0f};
    EXPECT_EQ(walk(rule, none, {none}), none);
    EXPECT_LE(walk(rule, tiny, {none})[0], tiny[0]);
    step::AdamW large{.learning_rate = 1e-4, .weight_decay = 1e-3};
    auto moved = walk(large, std::vector<float>{1.0f}, {{0.5f}});
    EXPECT_NEAR(double(moved[0]), 1.0 - 1e-4 - 1e-7, 7e-8);
}

// ---- the cut and the threads

template <class Rule>
void cut_does_not_matter(const Rule& rule, std::size_t size, std::size_t cut) {
    auto start = cast<float>(normals(size, 1));
    std::vector<std::vector<float>> gradients, left, right;
    for (std::uint32_t t = 0; t < 3; ++t) {
        gradients.push_back(cast<float>(normals(size, 2 + t)));
        left.emplace_back(gradients.back().begin(), gradients.back().begin() + std::ptrdiff_t(cut));
        right.emplace_back(gradients.back().begin() + std::ptrdiff_t(cut), gradients.back().end());
    }
    auto whole = walk(rule, start, gradients);
    auto pieces = walk(rule, std::vector<float>(start.begin(), start.begin() + std::ptrdiff_t(cut)), left);
    for (float x : walk(rule, std::vector<float>(start.begin() + std::ptrdiff_t(cut), start.end()), right))
        pieces.push_back(x);
    RC_ASSERT(whole == pieces);
}
RC_GTEST_PROP(StepProperty, CutDoesNotMatter, ()) {
    auto size = static_cast<std::size_t>(*rc::gen::inRange(0, 200));
    auto cut = static_cast<std::size_t>(*rc::gen::inRange(0, int(size) + 1));
    cut_does_not_matter(step::AdamW{.weight_decay = 0.1}, size, cut);
    cut_does_not_matter(step::Lion{.weight_decay = 0.1}, size, cut);
    cut_does_not_matter(step::Sgd{.momentum = 0.9, .weight_decay = 0.1}, size, cut);
}

#if defined(_OPENMP)
TEST(Step, ThreadsDoNotMatter) {
    std::size_t size = 150 * 300 + 16384 * 3 + 5;
    auto start = cast<float>(normals(size, 7));
    std::vector<std::vector<float>> gradients = {cast<float>(normals(size, 8)), cast<float>(normals(size, 9))};
    std::vector<std::vector<float>> results;
    int before = omp_get_max_threads();
    for (int threads : {1, 2, 3, 5}) {
        omp_set_num_threads(threads);
        using Rule = step::Clipped<step::Muon<>>;
        Rule rule{{.rest = {.weight_decay = 0.1}}, 0.7};
        Rule::State state;
        const step::MatrixPlace matrices[] = {{11, 150, 200}, {30100, 70, 70}};
        step::set_matrices(state, matrices);
        results.push_back(walk(rule, state, start, gradients));
    }
    omp_set_num_threads(before);
    for (const auto& result : results) EXPECT_EQ(result, results[0]);
}
#endif

// ---- clip and broken gradients

/// A rule of somebody else's: it knows no gradient_scale, and keeps the gradient that it was given.
struct Keep {
    template <class Real>
    struct StateOf {
        std::vector<Real> gradient;
        int steps = 0;
    };
    using State = StateOf<float>;
    template <class Real>
    void step(StateOf<Real>& state, std::span<Real>, std::span<Real> gradients, double = 1.0) const {
        state.gradient.assign(gradients.begin(), gradients.end());
        ++state.steps;
    }
};

RC_GTEST_PROP(StepProperty, ClipBoundsTheNormAndKeepsTheDirection, ()) {
    auto size = static_cast<std::size_t>(*rc::gen::inRange(1, 60));
    auto gradient = *vectors(size);
    double bound = *rc::gen::inRange(1, 4000) / 512.0, norm = 0;
    for (double g : gradient) norm += g * g;
    norm = std::sqrt(norm);
    step::Clipped<Keep> rule{{}, bound};
    step::Clipped<Keep>::StateOf<double> state;
    walk(rule, state, std::vector<double>(size), {gradient});
    double factor = std::min(1.0, bound / (norm + 1e-6)), clipped = 0;
    for (std::size_t i = 0; i < size; ++i) {
        RC_ASSERT(std::abs(state.base.gradient[i] - gradient[i] * factor) < 1e-12);
        clipped += state.base.gradient[i] * state.base.gradient[i];
    }
    RC_ASSERT(std::sqrt(clipped) <= bound);
    RC_ASSERT(std::abs(state.norm - norm) < 1e-12);
    if (norm + 1e-6 <= bound) RC_ASSERT(state.base.gradient == gradient);
}

RC_GTEST_PROP(StepProperty, ClipInsideARuleIsAClipBeforeIt, ()) {
    auto size = static_cast<std::size_t>(*rc::gen::inRange(1, 30));
    auto start = *vectors(size);
    auto gradients = some_gradients(size, 3), scaled = gradients;
    for (auto& gradient : scaled) {
        double norm = std::sqrt(std::inner_product(gradient.begin(), gradient.end(), gradient.begin(), 0.0));
        for (double& g : gradient) g *= std::min(1.0, 0.5 / (norm + 1e-6));
    }
    step::AdamW base{.learning_rate = 0.01};
    auto one = walk(step::Clipped<step::AdamW>{base, 0.5}, start, gradients), other = walk(base, start, scaled);
    for (std::size_t i = 0; i < size; ++i) RC_ASSERT(std::abs(one[i] - other[i]) < 1e-12);
}

TEST(Step, NormOfHugeAndTinyNumbers) {
    EXPECT_EQ(step::gradient_norm(std::span<const double>()), 0.0);
    std::vector<double> huge(100, 3e200);
    EXPECT_NEAR(step::gradient_norm(std::span<const double>(huge)) / 3e201, 1.0, 1e-14);
    std::vector<float> single(4, 3e38f);
    EXPECT_NEAR(step::gradient_norm(std::span<const float>(single)) / 6e38, 1.0, 1e-6);
    huge[99] = infinity;
    EXPECT_FALSE(std::isfinite(step::gradient_norm(std::span<const double>(huge))));
    huge[99] = nan;
    EXPECT_FALSE(std::isfinite(step::gradient_norm(std::span<const double>(huge))));
}

template <class Rule>
void broken_step_is_left_out(const Rule& rule) {
    std::vector<double> start = normals(37, 3);
    std::vector<std::vector<double>> good = {normals(37, 4), normals(37, 5)};
    for (double bad : {nan, infinity, -infinity})
        for (std::size_t place : {0u, 20u, 36u}) {
            auto broken = normals(37, 6);
            broken[place] = bad;
            typename Rule::template StateOf<double> state;
            EXPECT_EQ(walk(rule, start, {good[0], good[1]}), walk(rule, state, start, {good[0], broken, good[1]}));
            EXPECT_EQ(state.skipped, 1);
            EXPECT_EQ(state.base.steps, 2);
        }
}
TEST(Step, BrokenStepIsLeftOutWhole) {
    broken_step_is_left_out(step::Clipped<step::AdamW>{{.weight_decay = 0.1}, 1.0});
    broken_step_is_left_out(step::SkipNonFinite<step::AdamW>{{.weight_decay = 0.1}});
}

TEST(Step, ScheduleGoesOnAcrossABrokenStep) {
    std::vector<double> start = normals(5, 3), broken = normals(5, 4);
    broken[2] = nan;
    step::WarmUp<step::decay::Cosine> schedule{2, 6, {}};
    using Outside = step::Scheduled<step::Clipped<step::AdamW>, step::WarmUp<step::decay::Cosine>>;
    using Inside = step::Clipped<step::Scheduled<step::AdamW, step::WarmUp<step::decay::Cosine>>>;
    Outside outside{{{}, 1.0}, schedule};
    Inside inside{{{}, schedule}, 1.0};
    Outside::StateOf<double> first;
    Inside::StateOf<double> second;
    std::vector<std::vector<double>> gradients = {normals(5, 5), broken, normals(5, 6)};
    EXPECT_EQ(walk(outside, first, start, gradients), walk(inside, second, start, gradients));
    EXPECT_EQ(first.steps, 3);
    EXPECT_EQ(second.base.steps, 3);
    EXPECT_EQ(outside.next_factor(first), schedule.factor(4));
    EXPECT_EQ(first.base.skipped, 1);
    EXPECT_EQ(second.skipped, 1);
}

TEST(Step, WrongSizesAreSaid) {
    step::AdamW rule;
    step::AdamW::StateOf<double> state;
    std::vector<double> three(3), four(4);
    EXPECT_THROW(rule.step(state, std::span<double>(three), std::span<double>(four)), Error);
    rule.step(state, std::span<double>(three), std::span<double>(three));
    EXPECT_THROW(rule.step(state, std::span<double>(four), std::span<double>(four)), Error);
}

// ---- schedules

RC_GTEST_PROP(StepProperty, ScheduleRisesThenFallsToItsEnd, ()) {
    std::int64_t warm = *rc::gen::inRange(0, 20), total = *rc::gen::inRange(0, 60);
    double last = *rc::gen::inRange(0, 9) / 8.0;
    step::WarmUp<step::decay::Cosine> cosine{warm, total, {last}};
    step::WarmUp<step::decay::Linear> linear{warm, total, {last}};
    step::WarmUp<step::decay::Constant> constant{warm, total, {}};
    for (std::int64_t t = 1; t <= 80; ++t)
        for (double factor : {cosine.factor(t), linear.factor(t)}) {
            RC_ASSERT(std::isfinite(factor) && factor >= 0.0 && factor <= 1.0 + 1e-15);
            if (t <= warm) RC_ASSERT(factor == double(t) / double(warm) && constant.factor(t) == factor);
            if (t > warm) RC_ASSERT(factor >= last - 1e-15 && constant.factor(t) == 1.0);
            if (t > warm && t >= total) RC_ASSERT(std::abs(factor - last) < 1e-15);
            if (t > warm + 1) RC_ASSERT(factor <= std::max(cosine.factor(t - 1), linear.factor(t - 1)) + 1e-15);
        }
    if (warm < total) {
        double half = 0.5 * (cosine.factor((warm + total) / 2) + cosine.factor((warm + total + 1) / 2));
        if ((warm + total) / 2 > warm) RC_ASSERT(std::abs(half - 0.5 * (1 + last)) < 1e-12);
    }
}

TEST(Step, ScheduleScalesTheRate) {
    std::vector<double> start = {1.0, -2.0};
    std::vector<std::vector<double>> gradients(4, {0.5, 0.25});
    step::Scheduled<step::Sgd, step::WarmUp<step::decay::Linear>> rule{{.learning_rate = 0.1}, {2, 6, {}}};
    double sum = 0.5 + 1.0 + 0.75 + 0.5;
    auto end = walk(rule, start, gradients);
    EXPECT_NEAR(end[0], 1.0 - 0.1 * 0.5 * sum, 1e-15);
    EXPECT_NEAR(end[1], -2.0 - 0.1 * 0.25 * sum, 1e-15);
}

// ---- Muon

Eigen::MatrixXd muon_direction(const step::Muon<>& rule, std::int64_t rows, std::int64_t columns,
                               std::vector<double> gradient) {
    std::vector<double> theta(gradient.size()), buffer(gradient.size());
    std::vector<step::Quintic> iterations(static_cast<std::size_t>(rule.iterations), rule.quintic);
    return rule.step_matrix(rows, columns, std::span<double>(theta), std::span<const double>(gradient),
                            std::span<double>(buffer), std::span<const step::Quintic>(iterations));
}

RC_GTEST_PROP(StepProperty, MuonEvensOutSingularValuesAndKeepsTheirVectors, ()) {
    auto rows = static_cast<std::int64_t>(*rc::gen::inRange(1, 9)), columns = rows + 8;
    auto gradient = normals(static_cast<std::size_t>(rows * columns), *rc::gen::inRange<std::uint32_t>(0, 10000));
    Eigen::MatrixXd x = muon_direction({}, rows, columns, gradient);
    auto singular = Eigen::JacobiSVD<Eigen::MatrixXd>(x).singularValues();
    RC_ASSERT(singular.maxCoeff() < 1.3 && singular.minCoeff() > 0.5);

    // X = P(G G^T) G commutes with G: X G^T is symmetric.
    Eigen::Map<step::detail::Dense<double>> g(gradient.data(), rows, columns);
    Eigen::MatrixXd mixed = x * g.transpose();
    RC_ASSERT((mixed - mixed.transpose()).norm() < 1e-10 * (1 + mixed.norm()));

    // The transposed gradient has the transposed direction.
    step::detail::Dense<double> turned = g.transpose();
    std::vector<double> flat(turned.data(), turned.data() + turned.size());
    RC_ASSERT((muon_direction({}, columns, rows, flat) - x.transpose()).norm() < 1e-12);
    // The size of the gradient does not matter, and momentum does not at the first step.
    for (double& each : flat) each *= 1024;
    RC_ASSERT((muon_direction({.momentum = 0.0}, columns, rows, flat) - x.transpose()).norm() < 1e-5);
}

TEST(Step, MuonStepsTheRestByItsOtherRule) {
    auto start = normals(40, 1), gradient = normals(40, 2);
    step::Muon<> rule{.learning_rate = 0.1, .weight_decay = 0.01, .rest = {.learning_rate = 0.3}};
    step::Muon<>::StateOf<double> state;
    const step::MatrixPlace matrices[] = {{3, 2, 5}, {13, 4, 2}, {30, 10, 1}};
    step::set_matrices(state, matrices);
    auto end = walk(rule, state, start, {gradient, gradient});
    auto other = walk(rule.rest, start, {gradient, gradient});
    for (std::size_t i = 0; i < 40; ++i) {
        bool rest = i < 3 || (i >= 21 && i < 30);
        EXPECT_EQ(end[i] == other[i], rest) << i;
    }
    EXPECT_EQ(state.buffer.size(), 28u);

    const step::MatrixPlace overlap[] = {{3, 2, 5}, {12, 4, 2}}, beyond[] = {{30, 11, 1}};
    for (auto wrong : {std::span<const step::MatrixPlace>(overlap), std::span<const step::MatrixPlace>(beyond)}) {
        step::Muon<>::StateOf<double> fresh;
        step::set_matrices(fresh, wrong);
        EXPECT_THROW(walk(rule, fresh, start, {gradient}), Error);
    }
}

TEST(Step, MuonOfNothingIsNothing) {
    EXPECT_EQ(muon_direction({}, 3, 4, std::vector<double>(12)).norm(), 0.0);
    step::Clipped<step::Muon<>>::State wrapped;
    const step::MatrixPlace matrices[] = {{0, 2, 2}};
    step::set_matrices(wrapped, matrices);
    EXPECT_EQ(wrapped.base.matrices.size(), 1u);
    step::AdamW::State plain;
    step::set_matrices(plain, matrices);
}

// ---- averages

RC_GTEST_PROP(StepProperty, SplitStepsEachPartByItsOwnRule, ()) {
    const std::size_t size = 9;
    const auto theta = *vectors(size);
    const auto gradients = some_gradients(size, 3);
    step::Split<step::AdamW, step::Sgd> rule{.first = {.learning_rate = 0.1},
                                             .second = {.learning_rate = 0.5, .momentum = 0.9}};
    rule.from = *rc::gen::inRange<std::int64_t>(0, std::int64_t(size) + 1);
    auto part = [&](const std::vector<double>& all, bool second) {
        const auto cut = all.begin() + rule.from;
        return second ? std::vector<double>(cut, all.end()) : std::vector<double>(all.begin(), cut);
    };
    std::vector<std::vector<double>> of_first, of_second;
    for (const auto& gradient : gradients) {
        of_first.push_back(part(gradient, false));
        of_second.push_back(part(gradient, true));
    }
    const auto both = walk(rule, theta, gradients);
    RC_ASSERT(part(both, false) == walk(rule.first, part(theta, false), of_first));
    RC_ASSERT(part(both, true) == walk(rule.second, part(theta, true), of_second));
}

TEST(Step, SplitBeyondTheParametersIsSaid) {
    step::Split<step::AdamW, step::Sgd> rule{.from = 3};
    EXPECT_THROW(walk(rule, std::vector<double>{1, 2}, {{1.0, 2.0}}), Error);
}

RC_GTEST_PROP(StepProperty, AccumulatedIsAStepWithTheMean, ()) {
    auto size = static_cast<std::size_t>(*rc::gen::inRange(1, 30));
    int together = *rc::gen::inRange(1, 5);
    auto start = *vectors(size);
    auto gradients = some_gradients(size, 2 * together + together - 1);
    step::AdamW base{.learning_rate = 0.01};
    std::vector<std::vector<double>> means(2, std::vector<double>(size));
    for (std::size_t i = 0; i < 2 * static_cast<std::size_t>(together); ++i)
        for (std::size_t k = 0; k < size; ++k)
            means[i / static_cast<std::size_t>(together)][k] += gradients[i][k] / together;
    auto one = walk(step::Accumulated<step::AdamW>{base, together}, start, gradients), other = walk(base, start, means);
    for (std::size_t k = 0; k < size; ++k) RC_ASSERT(std::abs(one[k] - other[k]) < 1e-9);
}

TEST(Step, AverageFollowsTheParameters) {
    step::Averaged<step::Sgd> rule{{.learning_rate = 1.0}, 0.75};
    step::Averaged<step::Sgd>::StateOf<double> state;
    EXPECT_EQ(walk<double>(rule, state, {4.0}, {{1.0}, {-2.0}}), std::vector<double>{5.0});
    EXPECT_DOUBLE_EQ(state.average[0], 0.75 * (0.75 * 4.0 + 0.25 * 3.0) + 0.25 * 5.0);
}

}  // namespace
}  // namespace roars::step_step_test
