#include "roars/advantage/maximum_a_posteriori.hpp"

#include <gtest/gtest.h>

#include "random_batch.hpp"
#include "roars/advantage/critic_weight.hpp"
#include "roars/advantage/normalise.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogate.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/regularizer/tuned_weight.hpp"

namespace roars::maximum_a_posteriori_test {
namespace {

using advantage::Temperature;

/// The raw signal of a test: the advantage is q.
struct FromQ {
    using needs = columns<col::q>;
    using gives = columns<col::advantage>;
    template <class RunType, BatchWith<col::q, col::advantage> BatchType>
    void estimate(RunType&, BatchType& batch) const {
        std::copy(batch[col::q{}].begin(), batch[col::q{}].end(), batch[col::advantage{}].begin());
    }
};
using Mpo = advantage::MaximumAPosteriori;
using Vmpo = advantage::OnPolicyMaximumAPosteriori<FromQ>;
using Columns = columns<col::mask, col::q, col::advantage>;

/// Estimates once; the state stays with the caller.
template <class Part, class BatchType>
std::vector<double> estimated_with(const Part& part, state_of<Part>& state, BatchType& batch, backend::Host host = {}) {
    roars::Run run{host};
    part.estimate(run, state, batch);
    return {batch[col::advantage{}].begin(), batch[col::advantage{}].end()};
}

RC_GTEST_PROP(MaximumAPosteriori, WeighsTheActionsOfEveryStateAndSumsToOne, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<Columns>(draw);
    auto clean = batch;
    spoil_masked(batch, columns<col::q>{});
    Mpo part{.temperature = {.initial = draw.real(0.1, 3)}};
    Mpo::State state, other;
    auto weight = estimated_with(part, state, batch, small_grain(draw));
    RC_ASSERT(weight == estimated_with(part, other, clean));
    auto offsets = batch.token_offsets();
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
        double sum = 0, all = 0;
        bool any = false;
        auto counts = [&](std::size_t t) { return batch[col::mask{}][t] != 0; };
        for (auto t = std::size_t(offsets[i]); t < std::size_t(offsets[i + 1]); ++t)
            if (counts(t)) sum += weight[t], any = true, all += std::exp(clean[col::q{}][t] / part.temperature.initial);
        if (any) RC_ASSERT(close(sum, 1.0));
        for (auto t = std::size_t(offsets[i]); t < std::size_t(offsets[i + 1]); ++t)
            RC_ASSERT(
                close(weight[t], counts(t) ? std::exp(clean[col::q{}][t] / part.temperature.initial) / all : 0.0));
    }
    // A shift of a state's values says nothing.
    for (double& q : clean[col::q{}]) q += 1e3;
    Mpo::State third;
    auto shifted = estimated_with(part, third, clean);
    for (std::size_t t = 0; t < weight.size(); ++t) RC_ASSERT(close(weight[t], shifted[t]));
}

RC_GTEST_PROP(Temperature, ItsSlopeIsTheFiniteDifference, ()) {
    Draw draw = any_draw();
    std::vector<double> x(std::size_t(draw.whole(1, 6)));
    for (double& each : x) each = draw.real(-2, 2);
    Temperature part{.epsilon = 0.3};
    auto dual_at = [&](double eta) {
        auto weights = x;
        return Temperature::weigh(weights, eta);
    };
    double eta = draw.real(0.2, 3), step = 1e-5;
    double up = eta * std::exp(step), down = eta * std::exp(-step);
    double numeric = (part.loss(up, dual_at(up)) - part.loss(down, dual_at(down))) / (2 * step);
    RC_ASSERT(close(part.slope(eta, dual_at(eta)), numeric, 1e-7));
}

/// Where it has settled, the weights differ from equal ones by a divergence of epsilon.
TEST(MaximumAPosteriori, TheTemperatureHoldsTheDivergence) {
    Batch<double, Columns> batch(std::vector<std::int64_t>{0, 4});
    const double q[] = {0.0, 1.0, 2.0, 5.0};
    std::copy(std::begin(q), std::end(q), batch[col::q{}].begin());
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    for (double initial : {0.3, 30.0}) {
        Mpo part{.temperature = {.initial = initial, .epsilon = 0.2, .step = {.learning_rate = 0.02}}};
        Mpo::State state;
        std::vector<double> weight;
        for (int k = 0; k < 3000; ++k) weight = estimated_with(part, state, batch);
        double divergence = 0;
        for (double w : weight) divergence += w * std::log(4 * w);
        EXPECT_NEAR(divergence, 0.2, 1e-3);
    }
}

RC_GTEST_PROP(OnPolicyMaximumAPosteriori, KeepsTheLargestAndSumsToTheirNumber, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<Columns>(draw);
    spoil_masked(batch, columns<col::q>{});
    Vmpo part{.share = draw.real(0.1, 1.0), .temperature = {.initial = draw.real(0.1, 3)}};
    state_of<Vmpo> state;
    auto weight = estimated_with(part, state, batch, small_grain(draw));
    double count = 0, sum = 0, least = 1e300;
    std::int64_t kept = 0;
    for (std::size_t t = 0; t < weight.size(); ++t) {
        if (batch[col::mask{}][t] == 0) {
            RC_ASSERT(weight[t] == 0.0);
            continue;
        }
        ++count, sum += weight[t];
        if (weight[t] > 0) ++kept, least = std::min(least, double(batch[col::q{}][t]));
    }
    if (count == 0) return;
    RC_ASSERT(close(sum, count));
    RC_ASSERT(kept == std::max<std::int64_t>(1, std::int64_t(part.share * count)));  // no two values are equal here
    for (std::size_t t = 0; t < weight.size(); ++t)
        if (batch[col::mask{}][t] != 0) RC_ASSERT((batch[col::q{}][t] >= least) == (weight[t] > 0));
}

TEST(OnPolicyMaximumAPosteriori, DegenerateBatchesAreDefined) {
    Vmpo part{};
    state_of<Vmpo> state;
    Batch<double, Columns> empty, one(std::vector<std::int64_t>{0, 3});
    EXPECT_TRUE(estimated_with(part, state, empty).empty());
    EXPECT_EQ(estimated_with(part, state, one), (std::vector<double>{0, 0, 0}));  // all masked
    EXPECT_EQ(state.temperature.shift, 0.0);
    std::fill(one[col::mask{}].begin(), one[col::mask{}].end(), 1.0);
    EXPECT_EQ(estimated_with(part, state, one), (std::vector<double>{1, 1, 1}));  // equal advantages are all kept
    EXPECT_THROW(estimated_with(Vmpo{.share = 0.0}, state, one), Error);
}

/// The multiplier grows where the divergence is above its bound, and falls below it.
TEST(LearnedMultiplier, HoldsTheDivergence) {
    using Part = regularizer::LearnedMultiplier<regularizer::Kl<kl::FromReference<>, col::logp_old>>;
    static_assert(RegularizerPart<Part>);
    Part part{.weight = {.target = 0.1, .step = {.learning_rate = 0.1}}};
    for (double said : {0.3, 0.05}) {
        Part::State state;
        Batch<double, columns<col::logp, col::logp_old, col::grad<col::logp>>> batch(std::vector<std::int64_t>{0, 1});
        // k3 from the reference's token: e^d - 1 - d.
        double d = 1.0;
        for (int k = 0; k < 50; ++k) d -= (std::expm1(d) - d - said) / std::expm1(d);
        batch[col::logp{}][0] = d - 2.0, batch[col::logp_old{}][0] = -2.0;
        backend::Host host;
        roars::Run run{host};
        for (int k = 0; k < 5; ++k) {
            auto term = std::get<0>(part.terms(state));
            auto result = evaluate(host, batch, {count(host, batch)},
                                   Weighed<std::remove_cvref_t<decltype(term)>, aggregate::TokenMean>{term, {}});
            EXPECT_NEAR(result.metric("kl"), said, 1e-12);
            EXPECT_NEAR(result.loss(), part.weight.weight(state) * said, 1e-12);
            EXPECT_NEAR(batch[col::grad<col::logp>{}][0], part.weight.weight(state) * std::expm1(d), 1e-12);
            part.observe(run, state, result);
        }
        EXPECT_EQ(state.log_weight > 0.0, said > 0.1);
    }
}

/// Nash-MD's score: how likely an answer beats the mixture's, less a half; with the squared log-ratio as penalty.
TEST(ConstantBaseline, OfAHalfIsTheScoreAgainstTheMixture) {
    Batch<double, columns<col::groups, col::reward, col::advantage>> batch(std::vector<std::int64_t>{0, 2, 3},
                                                                           std::vector<std::int64_t>{0, 2});
    batch[col::reward{}][0] = 0.9, batch[col::reward{}][1] = 0.5;
    advantage::ConstantBaseline part{.center = {0.5}};
    auto score = estimated(part, batch);
    EXPECT_DOUBLE_EQ(score[0], 0.4);
    EXPECT_DOUBLE_EQ(score[1], 0.4);
    EXPECT_EQ(score[2], 0.0);
}

TEST(BinaryWeight, ImitatesBetterActionsAlone) {
    advantage::BinaryWeight weight;
    EXPECT_EQ(weight.of(1.0, 0.5), 1.0);
    EXPECT_EQ(weight.of(0.5, 0.5), 0.0);
    EXPECT_EQ(weight.of(0.2, 0.5), 0.0);
    static_assert(AdvantagePart<advantage::CriticWeightOf<advantage::BinaryWeight>>);
}

/// The weight of a row, from its q and its state's value.
struct Difference {
    double of(double q, double value) const { return q - value; }
};
template <class Value, critic::PolicyValue among>
void check_critic_weight(auto&& of_critics, auto&& of_actions) {
    using Part = advantage::CriticWeightOf<Difference, Value, among>;
    Batch<double, unite_t<needs_of<Part>, gives_of<Part>, columns<col::policy_samples, col::mask>>> batch(
        std::vector<std::int64_t>{0, 3, 5});
    batch.set_width(col::state{}, 2), batch.set_width(col::next_state{}, 2);
    batch.set_width(col::policy_samples{}, 3);
    auto fill = [](auto column, double from) {
        for (double& each : column) each = std::sin(from += 1.3);
    };
    fill(batch[col::state{}], 0.1), fill(batch[col::next_state{}], 0.2), fill(batch[col::action{}], 0.3);
    fill(batch[col::policy_action{}], 0.4), fill(batch[col::next_policy_action{}], 0.5);
    fill(batch[col::policy_samples{}], 0.6), fill(batch[col::token_reward{}], 0.7);
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    batch[col::mask{}][3] = 0.0;
    Part part;
    part.critics.network.width = 8;
    typename Part::template StateOf<double> state;
    backend::Host host;
    Run run{host};
    part.learn(run, state, batch);  // it makes the critics
    part.estimate(run, state, batch);
    auto q = [&](std::int64_t t, double action) {
        std::vector<double> row{batch.row(col::state{}, t)[0], batch.row(col::state{}, t)[1], action}, each;
        for (std::int64_t k = 0; k < state.networks.members(); ++k) each.push_back(state.networks.forward(k, row)[0]);
        return of_critics(each);
    };
    for (std::int64_t t = 0; t < batch.tokens(); ++t) {
        std::vector<double> own;
        for (double action : batch.row(typename Value::Actions{}, t)) own.push_back(q(t, action));
        double expected = t == 3 ? 0.0 : q(t, batch[col::action{}][std::size_t(t)]) - of_actions(own);
        EXPECT_NEAR(batch[col::advantage{}][std::size_t(t)], expected, 1e-12) << t;
    }
}
TEST(CriticWeight, IsOfTheCriticsAndActionsThatItSays) {
    auto least = [](const std::vector<double>& x) { return *std::min_element(x.begin(), x.end()); };
    auto largest = [](const std::vector<double>& x) { return *std::max_element(x.begin(), x.end()); };
    auto first = [](const std::vector<double>& x) { return x[0]; };
    auto mean = [](const std::vector<double>& x) {
        double sum = 0.0;
        for (double each : x) sum += each / double(x.size());
        return sum;
    };
    check_critic_weight<advantage::state_value::OneAction, critic::PolicyValue::least>(least, first);
    check_critic_weight<advantage::state_value::OneAction, critic::PolicyValue::first>(first, first);
    check_critic_weight<advantage::state_value::MeanOfActions, critic::PolicyValue::mean>(mean, mean);
    check_critic_weight<advantage::state_value::LargestOfActions, critic::PolicyValue::mean>(mean, largest);
}

}  // namespace
}  // namespace roars::maximum_a_posteriori_test
