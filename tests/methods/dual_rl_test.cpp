#include "rows.hpp"

#include "roars/advantage/exponential_weight.hpp"
#include "roars/critic/dual_value.hpp"
#include "roars/critic/implicit_maximiser.hpp"
#include "roars/critic/recoil.hpp"
#include "roars/objective.hpp"
#include "roars/optimizer/aggregate.hpp"

namespace roars::dual_rl_test {
namespace {

using f_divergence::ChiSquare;
using f_divergence::ReverseKl;
using f_divergence::TotalVariation;

double generator(ReverseKl, double t) { return t > 0 ? t * std::log(t) : 0.0; }
double generator(ChiSquare, double t) { return (t - 1) * (t - 1); }
double generator(TotalVariation, double t) { return 0.5 * std::abs(t - 1); }

/// y t - f(t) never exceeds the conjugate, and reaches it at the weight.
template <class Divergence>
void check_conjugate(Numbers& numbers, double highest) {
    Divergence f;
    for (int i = 0; i < 50; ++i) {
        double y = numbers.real(-6, highest), best = f.positive_conjugate(y), weight = f.weight(y);
        EXPECT_GE(weight, 0.0);
        EXPECT_NEAR(weight * y - generator(f, weight), best, 1e-12 * std::max(1.0, std::abs(best)));
        for (double t : numbers.reals(20, 0, 5)) EXPECT_LE(t * y - generator(f, t), best + 1e-12);
    }
}
RC_GTEST_PROP(DualRl, ConjugatesAreTheLargestValueAndTheirSlopeIsTheWeight, (std::uint32_t seed)) {
    Numbers numbers(seed);
    check_conjugate<ReverseKl>(numbers, 3);
    check_conjugate<ChiSquare>(numbers, 3);
    check_conjugate<TotalVariation>(numbers, 0.5);
    Values y = numbers.reals(20, -4, 2), slope;
    for (double each : y) slope.push_back(ChiSquare::weight(each));
    expect_slope(y, slope, [&] {
        double sum = 0;
        for (double each : y) sum += ChiSquare::positive_conjugate(each);
        return sum;
    });
    RC_ASSERT(!::testing::Test::HasFailure());
}
TEST(DualRl, ConjugatesAtTheEnds) {
    EXPECT_EQ(ReverseKl::conjugate(-infinity), 0.0);
    EXPECT_EQ(ReverseKl::weight(infinity), infinity);
    EXPECT_EQ(ChiSquare::positive_conjugate(-2.0), -1.0);
    EXPECT_EQ(ChiSquare::positive_conjugate(-infinity), -1.0);
    EXPECT_EQ(ChiSquare::positive_conjugate(infinity), infinity);
    EXPECT_EQ(ChiSquare::weight(-1e300), 0.0);
    EXPECT_EQ(TotalVariation::positive_conjugate(-1e300), -0.5);
    EXPECT_EQ(TotalVariation::positive_conjugate(0.5), 0.5);
    EXPECT_EQ(TotalVariation::positive_conjugate(0.5 + 1e-12), infinity);
    EXPECT_EQ(TotalVariation::conjugate(-0.6), infinity);
}

using ValueBatch = Batch<double, columns<col::mask, col::value, col::q, col::grad<col::value>>>;
ValueBatch value_batch(const Values& value, const Values& q) {
    ValueBatch batch(std::vector<std::int64_t>{0, std::ssize(value)});
    std::copy(value.begin(), value.end(), batch[col::value{}].begin());
    std::copy(q.begin(), q.end(), batch[col::q{}].begin());
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    return batch;
}
template <class Term>
double value_loss(const Term& term, ValueBatch& batch) {
    backend::Host host;
    roars::Run run{host};
    auto bound = term;
    if constexpr (requires { term.with(term.reduce(run, batch)); })
        bound = term.with(term.reduce(run, batch));
    else
        term.prepare(run, batch);
    return evaluate(host, batch, {count(host, batch)}, Weighed<Term, aggregate::TokenMean>{bound, {}}).loss();
}
template <class Term>
Values value_slopes(const Term& term, ValueBatch& batch) {
    value_loss(term, batch);
    return {batch[col::grad<col::value>{}].begin(), batch[col::grad<col::value>{}].end()};
}
template <class Divergence>
using Maximiser = critic::ImplicitMaximiser<Divergence>;

RC_GTEST_PROP(DualRl, TheSlopesOfTheValueLossesAreThose, (std::uint32_t seed)) {
    Numbers numbers(seed);
    Values value = numbers.reals(8), q = numbers.reals(8, -8, 4);
    auto check = [&](const auto& term) {
        auto batch = value_batch(value, q);
        expect_slope(value, value_slopes(term, batch), [&] {
            auto moved = value_batch(value, q);
            return value_loss(term, moved);
        });
    };
    check(Maximiser<ChiSquare>{numbers.real(0.1, 0.95)});
    check(Maximiser<TotalVariation>{numbers.real(0.1, 0.95)});
    RC_ASSERT(!::testing::Test::HasFailure());
}
RC_GTEST_PROP(DualRl, TheSlopeOfTheGumbelLossHoldsItsLargestElementFixed, (std::uint32_t seed)) {
    Numbers numbers(seed);
    Values value = numbers.reals(8), q = numbers.reals(8, -3, 6);
    critic::GumbelRegression term{.temperature = numbers.real(0.3, 2), .clip = 2};
    backend::Host host;
    roars::Run run{host};
    auto batch = value_batch(value, q);
    auto fixed = term.with(term.reduce(run, batch));
    expect_slope(value, value_slopes(term, batch), [&] {
        auto moved = value_batch(value, q);
        return evaluate(host, moved, {count(host, moved)},
                        Weighed<critic::GumbelRegression, aggregate::TokenMean>{fixed, {}})
            .loss();
    });
    RC_ASSERT(!::testing::Test::HasFailure());
}

/// Where the loss of one value for all of q is least.
template <class Term>
double minimiser(const Term& term, const Values& q) {
    double value = 0;
    for (int i = 0; i < 4000; ++i) {
        auto batch = value_batch(Values(q.size(), value), q);
        for (double slope : value_slopes(term, batch)) value -= 0.05 * slope;
    }
    return value;
}
TEST(DualRl, TheValueClimbsToTheUpperEndWithTau) {
    Values q{0, 0, 0, 0, 0, 0, 0.5, 0.5, 0.5, 1};
    double before = -infinity;
    for (double tau : {0.55, 0.7, 0.8, 0.9, 0.95, 0.99}) {
        double value = minimiser(Maximiser<ChiSquare>{tau}, q);
        EXPECT_GT(value, before) << tau;
        before = value;
    }
    EXPECT_NEAR(before, 1.0, 0.1);
    EXPECT_NEAR(minimiser(Maximiser<TotalVariation>{0.95}, q), 1.0, 0.05);
    EXPECT_NEAR(minimiser(Maximiser<TotalVariation>{0.75}, q), 0.5, 0.05) << "the share above is (1 - tau) / tau = 1/3";
}
TEST(DualRl, AtAKinkTheMaximumAddsNothing) {
    auto batch = value_batch({0, 4}, {0, 0});
    EXPECT_EQ(value_slopes(Maximiser<ChiSquare>{0.75}, batch), (Values{0.125, 0.125}));
    EXPECT_EQ(value_slopes(Maximiser<TotalVariation>{0.75}, batch), (Values{0.125, 0.125}));
}
TEST(DualRl, FarValuesStayFinite) {
    auto batch = value_batch({-1e100, 1e100}, {0, 0});
    for (double slope : value_slopes(Maximiser<ChiSquare>{0.8}, batch)) EXPECT_TRUE(std::isfinite(slope));
    for (double slope : value_slopes(Maximiser<TotalVariation>{0.8}, batch)) EXPECT_TRUE(std::isfinite(slope));
    EXPECT_GT(value_slopes(Maximiser<ChiSquare>{0.8}, batch)[1], 0.0) << "far above q it is pulled down";
    for (double slope : value_slopes(critic::GumbelRegression{0.1, infinity}, batch)) EXPECT_TRUE(std::isfinite(slope));
}
TEST(DualRl, NothingPullsDownAtTauOne) {
    auto batch = value_batch({0}, {1});
    for (double tau : {1.0, 0.0, -1.0, nan})
        expect_error([&] { value_loss(Maximiser<ChiSquare>{tau}, batch); }, "expected a number in (0, 1)");
    expect_error([&] { value_loss(critic::GumbelRegression{0.0}, batch); }, "temperature");
}
TEST(DualRl, AGumbelElementThatIsClippedHasNoSlope) {
    auto batch = value_batch({0, 0}, {10, 1});
    Values slope = value_slopes(critic::GumbelRegression{1.0, 5.0}, batch);
    EXPECT_EQ(slope[0], 0.0);
    EXPECT_LT(slope[1], 0.0);
    auto low = value_batch({9, 9}, {0, 0});  // the shift is not below -1
    EXPECT_NEAR(value_loss(critic::GumbelRegression{}, low), std::exp(-8.0) + 8 * std::exp(1.0), 1e-12);
}
TEST(DualRl, AGumbelLossDoesNotDependOnTheCut) {
    Numbers numbers(3);
    Values value = numbers.reals(7), q = numbers.reals(7, -2, 4);
    critic::GumbelRegression term;
    backend::Host host;
    roars::Run run{host};
    auto whole = value_batch(value, q);
    double expected = value_loss(term, whole), found = 0;
    auto head = value_batch({value.begin(), value.begin() + 3}, {q.begin(), q.begin() + 3}),
         tail = value_batch({value.begin() + 3, value.end()}, {q.begin() + 3, q.end()});
    auto sums = term.reduce(run, head);
    sums += term.reduce(run, tail);
    Counts counts = count(host, head) + count(host, tail);
    for (auto* piece : {&head, &tail})
        found += evaluate(host, *piece, {counts},
                          Weighed<critic::GumbelRegression, aggregate::TokenMean>{term.with(sums), {}})
                     .loss();
    EXPECT_NEAR(found, expected, 1e-12);
}
TEST(DualRl, AMaskedRowIsNotTheLargest) {
    auto batch = value_batch({0, nan}, {1, 100});
    batch[col::mask{}][1] = 0;
    auto alone = value_batch({0}, {1});
    EXPECT_EQ(value_loss(critic::GumbelRegression{}, batch), value_loss(critic::GumbelRegression{}, alone));
    ValueBatch empty;
    EXPECT_EQ(value_loss(critic::GumbelRegression{}, empty), 0.0);
    EXPECT_EQ(value_loss(Maximiser<ChiSquare>{}, empty), 0.0);
}

struct Dual {
    Values initial, value, next, reward, done, weight, grad_initial, grad, grad_next;

    Dual(Numbers& numbers, std::int64_t starts, std::int64_t rows)
        : initial(numbers.reals(starts)),
          value(numbers.reals(rows)),
          next(numbers.reals(rows)),
          reward(numbers.reals(rows)),
          done(numbers.flags(rows, 0.3)),
          weight(value),
          grad_initial(initial),
          grad(value),
          grad_next(value) {}
    template <class Part>
    double loss(const Part& part) {
        backend::Host host;
        return part.template loss<double>(host, {initial, value, next, reward, done},
                                          {weight, grad_initial, grad, grad_next});
    }
};
RC_GTEST_PROP(DualRl, NoGradientOfTheDualIsStopped, (std::uint32_t seed)) {
    Numbers numbers(seed);
    Dual dual(numbers, numbers.whole(1, 4), numbers.whole(1, 9));
    auto check = [&](const auto& part) {
        dual.loss(part);
        Values first = dual.grad_initial, own = dual.grad, next = dual.grad_next;
        auto loss = [&] { return dual.loss(part); };
        expect_slope(dual.initial, first, loss);
        expect_slope(dual.value, own, loss);
        expect_slope(dual.next, next, loss);
    };
    check(critic::DualValue<ChiSquare>{0.9, numbers.real(0.5, 2)});
    check(critic::DualValue<ReverseKl>{0.9, numbers.real(1, 2)});
    RC_ASSERT(!::testing::Test::HasFailure());
}
TEST(DualRl, BehindAnEndNothingIsRead) {
    Numbers numbers(1);
    Dual dual(numbers, 2, 4);
    dual.done = {1, 0, 1, 0};
    dual.next[0] = dual.next[2] = nan;
    EXPECT_TRUE(std::isfinite(dual.loss(critic::DualValue<>{})));
    EXPECT_EQ(dual.grad_next[0], 0.0);
    Dual none(numbers, 0, 0);
    EXPECT_EQ(none.loss(critic::DualValue<>{}), 0.0);
    expect_error([&] { dual.loss(critic::DualValue<>{0.9, 0.0}); }, "alpha");
    dual.reward.pop_back();
    expect_error([&] { dual.loss(critic::DualValue<>{}); }, "reward has 3 values, expected 4");
}

/// In a chain that the data visits as the best policy does, the optimum of the dual is the value of the data.
TEST(DualRl, WithoutABetterActionTheWeightsAreOne) {
    backend::Host host;
    double gamma = 0.5;
    Values value{1.5, 1.0}, next{1.0, 0.0}, reward{1.0, 1.0}, done{0, 1}, initial{1.5};
    Values weight(2), grad_initial(1), grad(2), grad_next(2);
    critic::DualValue<>{gamma, 1.0}.loss<double>(host, {initial, value, next, reward, done},
                                                 {weight, grad_initial, grad, grad_next});
    EXPECT_EQ(weight, (Values{1, 1}));
}

struct RecoilRows {
    Values expert, policy, mixture, next, done, grad_expert, grad_policy, grad;

    RecoilRows(Numbers& numbers, std::int64_t experts, std::int64_t others)
        : expert(numbers.reals(experts)),
          policy(numbers.reals(others)),
          mixture(numbers.reals(experts + others)),
          next(numbers.reals(experts + others)),
          done(numbers.flags(experts + others, 0.2)),
          grad_expert(expert),
          grad_policy(policy),
          grad(mixture) {}
    template <class Part>
    double loss(const Part& part) {
        backend::Host host;
        return part.template loss<double>(host, {expert, policy, mixture, next, done},
                                          {grad_expert, grad_policy, grad});
    }
};
RC_GTEST_PROP(DualRl, TheSlopesOfRecoilAreThose, (std::uint32_t seed)) {
    Numbers numbers(seed);
    RecoilRows rows(numbers, numbers.whole(1, 4), numbers.whole(1, 6));
    auto check = [&](const auto& part) {
        rows.loss(part);
        Values expert = rows.grad_expert, mixture = rows.grad;
        auto loss = [&] { return rows.loss(part); };
        expect_slope(rows.expert, expert, loss);
        expect_slope(rows.mixture, mixture, loss);
    };
    critic::Recoil recoil{0.9, numbers.real(0, 1)};
    check(recoil);
    Values policy = rows.grad_policy;
    expect_slope(rows.policy, policy, [&] { return rows.loss(recoil); });
    check(critic::RecoilStabilised{0.9, 3.0, 0.5});
    RC_ASSERT(!::testing::Test::HasFailure());
}
TEST(DualRl, RecoilRaisesTheExpertAndLowersThePolicy) {
    Numbers numbers(2);
    RecoilRows rows(numbers, 3, 5);
    rows.loss(critic::Recoil{});
    for (double slope : rows.grad_expert) EXPECT_LT(slope, 0.0);
    for (double slope : rows.grad_policy) EXPECT_GT(slope, 0.0);
    double up = 0, down = 0;
    for (double slope : rows.grad_expert) up -= slope;
    for (double slope : rows.grad_policy) down += slope;
    EXPECT_NEAR(up, 0.5, 1e-12);
    EXPECT_NEAR(down, 0.5, 1e-12) << "as much as the expert's goes up";
    Values weight = critic::mixture_weights(3, 5, 0.5);
    EXPECT_NEAR(std::accumulate(weight.begin(), weight.end(), 0.0), 1.0, 1e-12);
}
TEST(DualRl, RecoilAtItsEdges) {
    Numbers numbers(4);
    RecoilRows no_expert(numbers, 0, 3), no_offline(numbers, 2, 0), ends(numbers, 1, 1);
    expect_error([&] { no_expert.loss(critic::Recoil{}); }, "no row of an expert");
    expect_error([&] { no_expert.loss(critic::RecoilStabilised{}); }, "no row of an expert");
    expect_error([&] { no_offline.loss(critic::Recoil{}); }, "expected beta 1");
    EXPECT_TRUE(std::isfinite(no_offline.loss(critic::Recoil{.beta = 1.0})));
    expect_error([&] { ends.loss(critic::Recoil{.beta = 1.5}); }, "expected a number in [0, 1]");
    ends.done = {1, 1};
    ends.next = {nan, nan};
    EXPECT_TRUE(std::isfinite(ends.loss(critic::Recoil{})));
    ends.mixture = {0, 0};
    ends.expert = {7};
    EXPECT_DOUBLE_EQ(ends.loss(critic::RecoilStabilised{0.5, 7.0, 2.0}), 0.5 * 5.5 * 5.5);
}

TEST(DualRl, ThePolicysWeightIsCappedBeforeItIsRaised) {
    EXPECT_NEAR(advantage::exponential_weight(1e300, 10, 100), 100, 1e-12);
    EXPECT_EQ(advantage::exponential_weight(-1e300, 10, 100), 0.0);
    EXPECT_EQ(advantage::exponential_weight(infinity, 0, 100), 1.0) << "plain cloning";
    EXPECT_NEAR(advantage::exponential_weight(0.3, 2, 100), std::exp(0.6), 1e-15);
}

}  // namespace
}  // namespace roars::dual_rl_test
