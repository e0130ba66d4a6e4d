#include "roars/objective_logits.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "roars/methods/grpo.hpp"
#include "roars/regularizer/sum.hpp"

namespace roars::logits_test {
namespace {

/// Terms that differentiate both log-probability and entropy.
using Method = Algorithm<sampler::Groups, reward::Verified, advantage::GroupZScore,
                         regularizer::Sum<regularizer::Kl<kl::K3>, regularizer::EntropyBonus>,
                         optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::AdamW>>;
constexpr Method method{
    .regularizer = {regularizer::Kl<kl::K3>{.coefficient = 0.3}, regularizer::EntropyBonus{.coefficient = 0.5}}};
using BatchType = Batch<double, unite_t<Method::Columns, columns<col::token>>>;

struct Case {
    BatchType batch;
    std::vector<double> logits;
    std::int64_t vocabulary;
    double temperature;
};

Case random_case(unsigned seed) {
    std::mt19937 random(seed);
    auto whole = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
    auto real = [&](double low, double high) { return std::uniform_real_distribution<double>(low, high)(random); };
    std::vector<std::int64_t> offsets{0};
    for (int i = 0; i < 4; ++i) offsets.push_back(offsets.back() + whole(0, 4));
    Case made{BatchType(offsets, std::vector<std::int64_t>{0, 2, 4}), {}, whole(2, 21), real(0.5, 2)};
    auto& batch = made.batch;
    for (std::size_t t = 0; t < std::size_t(batch.tokens()); ++t) {
        batch[col::mask{}][t] = whole(0, 3) > 0;
        batch[col::token{}][t] = whole(0, int(made.vocabulary) - 1);
        batch[col::advantage{}][t] = real(-2, 2);
        for (std::int64_t v = 0; v < made.vocabulary; ++v) made.logits.push_back(real(-2, 2));
        // One forbidden token in each row that is not the drawn one.
        auto forbidden = std::size_t(whole(0, int(made.vocabulary) - 1));
        if (std::int32_t(forbidden) != batch[col::token{}][t])
            made.logits[t * std::size_t(made.vocabulary) + forbidden] = -std::numeric_limits<double>::infinity();
    }
    return made;
}

/// Softmax of a row at its temperature.
std::vector<double> probabilities(const Case& made, std::size_t t) {
    std::vector<double> p;
    double sum = 0;
    for (std::int64_t v = 0; v < made.vocabulary; ++v) {
        p.push_back(std::exp(made.logits[t * std::size_t(made.vocabulary) + std::size_t(v)] / made.temperature));
        sum += p.back();
    }
    for (double& each : p) each /= sum;
    return p;
}
/// logp and entropy by hand; old and reference log-probabilities near them.
void fill(Case& made) {
    std::mt19937 random(7);
    std::uniform_real_distribution<double> off(-0.3, 0.3);
    for (std::size_t t = 0; t < std::size_t(made.batch.tokens()); ++t) {
        auto p = probabilities(made, t);
        double logp = std::log(p[std::size_t(made.batch[col::token{}][t])]), entropy = 0;
        for (double each : p) entropy -= each > 0 ? each * std::log(each) : 0;
        made.batch[col::logp{}][t] = logp;
        made.batch[col::entropy{}][t] = entropy;
        made.batch[col::logp_old{}][t] = logp + off(random);
        made.batch[col::logp_ref{}][t] = logp + off(random);
    }
}
double loss_from_logits(Case made) {
    backend::Host host;
    roars::Run run{host};
    Method::State state;
    auto totals = method.totals(run, state, made.batch);
    return objective_from_logits(method, run, state, made.batch, totals, std::span(made.logits), made.vocabulary,
                                 made.temperature)
        .loss();
}

RC_GTEST_PROP(FromLogits, IsTheObjectiveOfTheirLogProbabilities, (unsigned seed)) {
    Case made = random_case(seed);
    fill(made);
    Case by_hand = made;
    backend::Host host;
    roars::Run run{host};
    Method::State state;
    auto expected = method.objective(run, state, by_hand.batch);
    for (auto column : {0, 1})  // what stands there before does not matter
        for (auto& x : column ? made.batch[col::logp{}] : made.batch[col::entropy{}]) x = 77;
    auto totals = method.totals(run, state, made.batch);
    auto result = objective_from_logits(method, run, state, made.batch, totals, std::span(made.logits), made.vocabulary,
                                        made.temperature);
    RC_ASSERT(std::abs(result.loss() - expected.loss()) < 1e-12);
    for (std::size_t t = 0; t < std::size_t(made.batch.tokens()); ++t) {
        RC_ASSERT(std::abs(made.batch[col::logp{}][t] - by_hand.batch[col::logp{}][t]) < 1e-12);
        RC_ASSERT(std::abs(made.batch[col::entropy{}][t] - by_hand.batch[col::entropy{}][t]) < 1e-12);
        auto p = probabilities(by_hand, t);
        double by_logp = by_hand.batch[col::grad<col::logp>{}][t],
               by_entropy = by_hand.batch[col::grad<col::entropy>{}][t];
        for (std::size_t v = 0; v < p.size(); ++v) {
            // d logp / d x_v = ([v = token] - p_v) / T; d H / d x_v = -p_v (log p_v + H) / T.
            bool taken = std::int32_t(v) == by_hand.batch[col::token{}][t];
            double entropy_slope = p[v] > 0 ? -p[v] * (std::log(p[v]) + by_hand.batch[col::entropy{}][t]) : 0;
            double slope = (by_logp * (taken - p[v]) + by_entropy * entropy_slope) / made.temperature;
            RC_ASSERT(std::abs(made.logits[t * p.size() + v] - slope) < 1e-12);
        }
    }
}

RC_GTEST_PROP(FromLogits, GradientIsThatOfFiniteDifferences, (unsigned seed)) {
    Case made = random_case(seed);
    fill(made);
    Case gradient = made;
    backend::Host host;
    roars::Run run{host};
    Method::State state;
    auto totals = method.totals(run, state, made.batch);
    objective_from_logits(method, run, state, gradient.batch, totals, std::span(gradient.logits), made.vocabulary,
                          made.temperature);
    for (std::size_t i = 0; i < made.logits.size(); ++i) {
        if (!std::isfinite(made.logits[i])) {
            RC_ASSERT(gradient.logits[i] == 0.0);
            continue;
        }
        const double step = 1e-6;
        Case moved = made;
        moved.logits[i] += step;
        double up = loss_from_logits(moved);
        moved.logits[i] -= 2 * step;
        double down = loss_from_logits(moved);
        RC_ASSERT(std::abs(gradient.logits[i] - (up - down) / (2 * step)) < 1e-7);
    }
}

TEST(FromLogits, AForbiddenTokenThatWasDrawnIsAnError) {
    Case made{BatchType(std::vector<std::int64_t>{0, 2}, std::vector<std::int64_t>{0, 1}), {0, 0, 0, 0}, 2, 1.0};
    for (auto& mask : made.batch[col::mask{}]) mask = 1;
    made.batch[col::token{}][1] = 1;
    made.logits[3] = -std::numeric_limits<double>::infinity();
    try {
        loss_from_logits(made);
        FAIL() << "no error";
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(),
                     "logp of token 1 (sequence 0) is -inf, expected a finite number at a trainable token");
    }
    made.batch[col::mask{}][1] = 0;
    EXPECT_TRUE(std::isfinite(loss_from_logits(made)));
}

}  // namespace
}  // namespace roars::logits_test
