#include "terms.hpp"

#include "roars/optimizer/preference/around_pairs.hpp"
#include "roars/optimizer/preference/f_divergence.hpp"
#include "roars/optimizer/preference/score_pairwise.hpp"
#include "roars/optimizer/preference/sorted_pairs.hpp"
#include "roars/optimizer/surrogates/all_actions.hpp"
#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/sampler/geometric_mixture.hpp"

namespace roars::pairs_and_actions_test {
namespace {

using namespace surrogate;
using Sum = aggregate::TokenSum;
using Soft = pair::Logistic;

template <class Visit>
void for_each_link(Visit&& visit) {
    visit(pair::FDivergence<pair::link::JensenShannon>{.base = {0.5, 0.1}});
    visit(pair::FDivergence<pair::link::ForwardKl>{.base = {0.5, 0.1}});
    visit(pair::FDivergence<pair::link::AlphaDivergence, pair::Squared>{.base = {0.5}, .link = {0.3}});
}
template <class Visit>
void for_each_term(Visit&& visit) {
    for_each_link([&]<class Loss>(const Loss& loss) { visit(Pairwise<Loss>{loss}); });
    visit(SortedMargins<>{{0.5, 0.1}});
    visit(OnPolicyPairs<>{});
    visit(ExploratoryPairs<Pairwise<Soft, summary::LogRatio, pairing::ByFlag>>{.alpha = 0.3});
}

TEST(Pairs, DerivativesOfLinkedLossesAreFiniteDifferences) {
    std::mt19937 random(1);
    for_each_link([&](const auto& loss) {
        for (int k = 0; k < 200; ++k) {
            std::uniform_real_distribution<double> ratio(-4, 4);
            pair::View<double> x{ratio(random), ratio(random)};
            auto said = loss.of(x);
            auto slope = [&](double pair::View<double>::*side) {
                auto up = x, down = x;
                up.*side += 1e-6, down.*side -= 1e-6;
                return (loss.of(up).value - loss.of(down).value) / 2e-6;
            };
            double by_chosen = slope(&pair::View<double>::chosen), by_rejected = slope(&pair::View<double>::rejected);
            EXPECT_NEAR(said.by_chosen, by_chosen, 1e-6 * std::max(1.0, std::abs(by_chosen)));
            EXPECT_NEAR(said.by_rejected, by_rejected, 1e-6 * std::max(1.0, std::abs(by_rejected)));
            using V = math::Lanes<double>;
            auto lanes = loss.of(pair::View<V>{V(x.chosen), V(x.rejected)});
            EXPECT_NEAR(math::largest(lanes.value), said.value, 1e-12 * std::max(1.0, std::abs(said.value)));
        }
        for (double far : {30.0, 1e4, 1e8})
            for (double c : {0.0, -far, far}) {
                auto said = loss.of(pair::View<double>{c, -c});
                EXPECT_TRUE(std::isfinite(said.value) && std::isfinite(said.by_chosen) &&
                            std::isfinite(said.by_rejected));
            }
    });
}

/// Every divergence is the reverse KL near the reference, and alpha = 0 is it everywhere.
TEST(Pairs, LinksAreTheReverseKlWhereTheyShouldBe) {
    const pair::View<double> near{1e-4, -2e-4}, far{1.0, -2.0};
    auto plain = Soft{0.5}.of(near);
    EXPECT_NEAR((pair::FDivergence<pair::link::ForwardKl>{.base = {0.5}}.of(near).value), plain.value, 1e-7);
    // f'' of Jensen-Shannon at 1 is half as large.
    EXPECT_NEAR((pair::FDivergence<pair::link::JensenShannon>{.base = {1.0}}.of(near).value), plain.value, 1e-7);
    EXPECT_NEAR((pair::FDivergence<pair::link::AlphaDivergence>{.base = {0.5}, .link = {1e-7}}.of(far).value),
                Soft{0.5}.of(far).value, 1e-6);
    // d = beta ((1 - e^-c) - (1 - e^-r)), and beta (log s(c) - log s(r)).
    auto softplus = [](double x) { return std::log1p(std::exp(x)); };
    EXPECT_NEAR((pair::FDivergence<pair::link::ForwardKl>{.base = {0.5}}.of(far).value),
                softplus(-0.5 * (std::exp(2.0) - std::exp(-1.0))), 1e-12);
    EXPECT_NEAR((pair::FDivergence<pair::link::JensenShannon>{.base = {0.5}}.of(far).value),
                softplus(-0.5 * (3.0 - (softplus(1.0) - softplus(-2.0)))), 1e-12);
}

RC_GTEST_PROP(Pairs, DoNotDependOnTheCutIntoMicroBatchesOrTheOrder, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_term([&](const auto& term) { check_any_cut(term, Sum{}, random); });
    RC_ASSERT(!::testing::Test::HasFailure());
}

RC_GTEST_PROP(Pairs, TheirGradientIsTheFiniteDifference, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_link([&]<class Loss>(const Loss& loss) { check_gradient(Pairwise<Loss>{loss}, Sum{}, random); });
    check_gradient(SortedMargins<>{{0.5, 0.1}}, Sum{}, random);
    check_gradient(ExploratoryPairs<>{.alpha = 0.3}, Sum{}, random);
    RC_ASSERT(!::testing::Test::HasFailure());
}

RC_GTEST_PROP(Pairs, MaskedTokensNeverLeak, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_term([&](const auto& term) { check_masked_never_leak(term, Sum{}, random); });
    RC_ASSERT(!::testing::Test::HasFailure());
}

TEST(Pairs, OfNothingAreZeroAndFarAwayFinite) {
    std::mt19937 random(1);
    for_each_term([&](const auto& term) {
        check_degenerate(term, Sum{}, random);
        check_far_off_policy(term, Sum{}, 1000.0);
    });
}

/// One pair: there is nothing to sort, and the loss is DPO's. Sorted margins cross over where that is less.
RC_GTEST_PROP(SortedMargins, OfOnePairAreDirectPreference, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    auto batch = random_batch<SortedMargins<>>(random, 1);
    Pass sorted = pass(SortedMargins<>{{0.5, 0.1}}, Sum{}, batch), plain = pass(Pairwise<>{{0.5, 0.1}}, Sum{}, batch);
    expect_close(sorted, plain, 1e-12);
    RC_ASSERT(!::testing::Test::HasFailure());
}

TEST(SortedMargins, CompareDistributions) {
    const std::int64_t tokens[] = {0, 1, 2, 3, 4}, pairs[] = {0, 2, 4};
    BatchOf<SortedMargins<>> batch(tokens, pairs);
    auto set = [&](auto column, std::initializer_list<double> values) {
        std::copy(values.begin(), values.end(), batch[column].begin());
    };
    set(col::mask{}, {1, 1, 1, 1});
    set(col::logp{}, {-1, -2, -1, -4});      // margins 1, 3
    set(col::logp_ref{}, {-1, -6, -1, -3});  // margins 5, 2
    auto softplus = [](double x) { return std::log1p(std::exp(x)); };
    Pass sorted = pass(SortedMargins<>{{1.0}}, Sum{}, batch);
    EXPECT_NEAR(sorted.loss, (softplus(-(1 - 2)) + softplus(-(3 - 5))) / 2, 1e-14);  // 1 against 2, 3 against 5
    EXPECT_NEAR(sorted.gradient[0], -math::sigmoid(1.0) / 2, 1e-15);
    EXPECT_NEAR(sorted.gradient[3], math::sigmoid(2.0) / 2, 1e-15);
}

TEST(OnPolicyPairs, WeighsByWhatThePolicyWouldDraw) {
    const std::int64_t tokens[] = {0, 1, 3}, pairs[] = {0, 2};
    BatchOf<OnPolicyPairs<>> batch(tokens, pairs);
    for (std::size_t t = 0; t < 3; ++t) {
        batch[col::mask{}][t] = 1;
        batch[col::sum_pi_squared{}][t] = 0.5;
        batch[col::logp{}][t] = std::log(0.5);
    }
    Pass plain = pass(Pairwise<>{}, Sum{}, batch), same = pass(OnPolicyPairs<>{}, Sum{}, batch);
    expect_close(same, plain, 1e-15);  // as likely as the distribution is sure: weight 1
    for (double more : {2.0, 0.5}) {
        for (std::size_t t = 0; t < 3; ++t) batch[col::sum_pi_squared{}][t] = 0.5 * more;
        // Two answers whose tokens are 1 / more as likely; a weight is at most 1.
        Pass weighed = pass(OnPolicyPairs<>{}, Sum{}, batch);
        double weight = std::min(1.0, 1.0 / (more * more));
        EXPECT_NEAR(weighed.loss, weight * plain.loss, 1e-15);
        EXPECT_NEAR(weighed.gradient[1], weight * plain.gradient[1], 1e-15);
    }
}

TEST(ExploratoryPairs, AddTheLikelihoodOfTheOtherAnswer) {
    const std::int64_t tokens[] = {0, 1, 3}, pairs[] = {0, 2};
    BatchOf<ExploratoryPairs<>> batch(tokens, pairs);
    for (std::size_t t = 0; t < 3; ++t) {
        batch[col::mask{}][t] = 1;
        batch[col::logp{}][t] = -1.5 - double(t);
        batch[col::external{}][t] = t >= 1;
    }
    Pass plain = pass(Pairwise<>{}, Sum{}, batch), with = pass(ExploratoryPairs<>{.alpha = 0.25}, Sum{}, batch);
    EXPECT_NEAR(with.loss, plain.loss + 0.25 * (-2.5 - 3.5), 1e-14);
    EXPECT_NEAR(with.gradient[0], plain.gradient[0], 1e-15);
    EXPECT_NEAR(with.gradient[2], plain.gradient[2] + 0.25, 1e-15);
    batch[col::external{}][2] = 0;
    EXPECT_THROW(pass(ExploratoryPairs<>{}, Sum{}, batch), Error);
}

/// The reward model's other name for its loss: log(1 + e^{rejected - chosen}).
TEST(ScorePairwise, IsTheLogarithmOfTheExponential) {
    for (double c : {-3.0, 0.0, 2.0})
        for (double r : {-1.0, 0.5})
            EXPECT_NEAR(pair::BradleyTerry{}.of(c, r).value, std::log1p(std::exp(r - c)), 1e-14);
}

TEST(GeometricMixture, LiesBetweenTwoPolicies) {
    constexpr double never = -std::numeric_limits<double>::infinity();
    backend::Host host;
    const std::vector<double> policy{0.0, 1.0, never, 3.0}, reference{10.0, 10.0, 10.0, never};
    std::vector<double> mixed(4);
    auto with = [&](double mixture) {
        sampler::GeometricMixture{mixture}.mix(host, std::span<const double>(policy),
                                               std::span<const double>(reference), 2, std::span(mixed));
        return mixed;
    };
    auto probability = [&](std::size_t row) { return math::sigmoid(mixed[2 * row + 1] - mixed[2 * row]); };
    with(0.0);
    EXPECT_NEAR(probability(0), math::sigmoid(1.0), 1e-15);
    EXPECT_NEAR(probability(1), 1.0, 1e-15);
    EXPECT_NEAR(std::exp(mixed[0]) + std::exp(mixed[1]), 1.0, 1e-14);
    with(1.0);
    EXPECT_NEAR(probability(0), 0.5, 1e-15);
    EXPECT_NEAR(probability(1), 0.0, 1e-15);
    with(0.25);
    EXPECT_NEAR(probability(0), math::sigmoid(0.75), 1e-15);
    EXPECT_EQ(mixed[2], never);
    EXPECT_EQ(mixed[3], never);
}

// Row terms.

using Actions = Batch<double, columns<col::mask, col::logits, col::action_values, col::grad<col::logits>>>;

Actions random_actions(std::mt19937& random, std::int64_t rows, std::int64_t actions) {
    std::uniform_real_distribution<double> any(-2, 2);
    Actions batch(std::vector<std::int64_t>{0, rows});
    batch.set_width(col::logits{}, actions);
    batch.set_width(col::action_values{}, actions);
    for (double& x : batch[col::logits{}]) x = any(random);
    for (double& x : batch[col::action_values{}]) x = any(random);
    for (double& x : batch[col::mask{}]) x = any(random) > -1.0;
    return batch;
}
template <class Rule>
double loss_of(const Rule& rule, Actions& batch) {
    backend::Host host;
    roars::Run run{host};
    AllActions<Rule> term{rule};
    term.prepare(run, batch);
    return evaluate(host, batch, {count(host, batch)}, Weighed<AllActions<Rule>, aggregate::TokenMean>{term, {}})
        .loss();
}

/// The gradient, with the regrets of `constants` where a rule holds them constant.
struct ConstantRegrets {
    std::vector<double> regret;
    double of(const Probabilities<double>& p, std::span<const double>, double, std::span<double>) const {
        double sum = 0;
        for (std::size_t a = 0; a < regret.size(); ++a) sum -= p[a] * regret[a];
        return sum;
    }
};
RC_GTEST_PROP(AllActions, GradientIsTheFiniteDifference, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    const std::int64_t actions = 1 + std::int64_t(random() % 5);
    auto batch = random_actions(random, 4, actions);
    auto check = [&](const auto& rule, auto&& loss_at) {
        loss_of(rule, batch);
        std::vector<double> said(batch[col::grad<col::logits>{}].begin(), batch[col::grad<col::logits>{}].end());
        for (std::size_t c = 0; c < said.size(); ++c) {
            double own = batch[col::logits{}][c];
            batch[col::logits{}][c] = own + 1e-6;
            double up = loss_at();
            batch[col::logits{}][c] = own - 1e-6;
            double down = loss_at();
            batch[col::logits{}][c] = own;
            RC_ASSERT(std::abs(said[c] - (up - down) / 2e-6) <= 1e-7);
        }
    };
    check(all_actions::Value{}, [&] { return loss_of(all_actions::Value{}, batch); });
    check(all_actions::Regret{}, [&] { return loss_of(all_actions::Regret{}, batch); });
    // Regrets are constants of one row.
    batch = random_actions(random, 1, actions);
    double sum = 0, v = 0;
    auto z = batch[col::logits{}], q = batch[col::action_values{}];
    for (double each : z) sum += std::exp(each);
    for (std::size_t a = 0; a < z.size(); ++a) v += std::exp(z[a]) / sum * q[a];
    ConstantRegrets constants;
    for (double each : q) constants.regret.push_back(std::max(each - v, 0.0));
    check(all_actions::RegretMatching{}, [&] { return loss_of(constants, batch); });
    RC_ASSERT(std::abs(loss_of(all_actions::RegretMatching{}, batch) - loss_of(constants, batch)) <= 1e-12);
}

TEST(AllActions, MaskedRowsNeverLeakAndDegenerateOnesAreDefined) {
    std::mt19937 random(3);
    auto batch = random_actions(random, 6, 3);
    batch[col::mask{}][1] = 0;
    auto clean = batch;
    batch[col::logits{}][4] = batch[col::action_values{}][3] = std::nan("");
    EXPECT_EQ(loss_of(all_actions::Regret{}, batch), loss_of(all_actions::Regret{}, clean));
    // Equal values: nothing to learn. A policy that is sure: no slope.
    auto flat = random_actions(random, 2, 3);
    std::fill(flat[col::mask{}].begin(), flat[col::mask{}].end(), 1.0);
    std::fill(flat[col::action_values{}].begin(), flat[col::action_values{}].end(), 0.5);
    for (double far : {0.0, 1e5}) {
        flat[col::logits{}][0] += far;
        loss_of(all_actions::Value{}, flat);
        for (double slope : flat[col::grad<col::logits>{}]) EXPECT_NEAR(slope, 0.0, 1e-15);
        EXPECT_NEAR(loss_of(all_actions::Regret{}, flat), 0.0, 1e-15);
    }
    Actions empty;
    EXPECT_EQ(loss_of(all_actions::Value{}, empty), 0.0);
    flat.set_width(col::action_values{}, 2);
    EXPECT_THROW(loss_of(all_actions::Value{}, flat), Error);
}

TEST(BoundedClimb, ShortensSteepSlopes) {
    using Wide = Batch<double, columns<col::policy_action, col::q, col::q_gradient, col::grad<col::policy_action>>>;
    Wide batch(std::vector<std::int64_t>{0, 3});
    batch.set_width(col::policy_action{}, 2);
    batch.set_width(col::q_gradient{}, 2);
    const double slopes[] = {3, 4, 0.3, 0.4, 0, 0};
    std::copy(std::begin(slopes), std::end(slopes), batch[col::q_gradient{}].begin());
    backend::Host host;
    roars::Run run{host};
    BoundedClimb term{.bound = 2.0};
    term.prepare(run, batch);
    evaluate(host, batch, {count(host, batch)}, Weighed<BoundedClimb, Sum>{term, {}});
    auto gradient = batch[col::grad<col::policy_action>{}];
    const double expected[] = {-1.2, -1.6, -0.3, -0.4, 0, 0};
    for (std::size_t c = 0; c < 6; ++c) EXPECT_DOUBLE_EQ(gradient[c], expected[c]);
    EXPECT_THROW((BoundedClimb{.bound = 0.0}.prepare(run, batch)), Error);
}

}  // namespace
}  // namespace roars::pairs_and_actions_test
