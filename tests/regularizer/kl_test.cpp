#include "../optimizer/terms.hpp"

#include "roars/optimizer/aggregate.hpp"
#include "roars/regularizer/adaptive.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/regularizer/sum.hpp"

namespace roars::kl_test {
namespace {

using Mean = aggregate::SequenceMean;

template <class Visit>
void for_each_plain_kl(Visit&& visit) {
    visit(regularizer::Kl<kl::K1>{0.7});
    visit(regularizer::Kl<kl::Absolute>{0.7});
    visit(regularizer::Kl<kl::K2>{0.7});
    visit(regularizer::Kl<kl::K3>{0.7});
    visit(regularizer::ImportanceKl<kl::K3>{0.7});
    visit(regularizer::ImportanceKl<kl::K2>{0.7});
}
template <class Visit>
void for_each_kl(Visit&& visit) {
    for_each_plain_kl(visit);
    visit(regularizer::Kl<kl::StraightThrough<kl::K3>>{0.7});
    visit(regularizer::Kl<kl::StraightThrough<kl::K1>>{0.7});
}

RC_GTEST_PROP(Kl, PropertiesOfATerm, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_plain_kl([&](const auto& term) { check_gradient(term, Mean{}, random); });
    for_each_kl([&](const auto& term) {
        check_any_cut(term, Mean{}, random);
        check_masked_never_leak(term, Mean{}, random);
        check_scalar_path(term, Mean{}, random);
    });
    check_gradient<col::entropy>(regularizer::EntropyBonus{0.3}, Mean{}, random);
    check_any_cut(regularizer::EntropyBonus{0.3}, Mean{}, random);
    check_masked_never_leak(regularizer::EntropyBonus{0.3}, Mean{}, random);
    RC_ASSERT(!::testing::Test::HasFailure());
}

TEST(Kl, OfNothingIsZeroAndFarIsFinite) {
    std::mt19937 random(1);
    for_each_kl([&](const auto& term) {
        check_degenerate(term, Mean{}, random);
        for (double far : {5.0, 50.0, 1000.0}) check_far_off_policy(term, Mean{}, far);
    });
}

RC_GTEST_PROP(Kl, StraightThroughHasTheGradientOfK2, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    using Term = regularizer::Kl<kl::StraightThrough<kl::K3>>;
    auto batch = random_batch<Term>(random, 3);
    auto other = batch;
    Pass said = pass(Term{0.7}, Mean{}, batch);
    EXPECT_EQ(said.gradient, pass(regularizer::Kl<kl::K2>{0.7}, Mean{}, other).gradient);
    EXPECT_EQ(said.loss, pass(regularizer::Kl<kl::K3>{0.7}, Mean{}, other).loss);
    RC_ASSERT(!::testing::Test::HasFailure());
}

/// Exactly, over all tokens of two distributions: k1 and k3 are unbiased, the gradient of k2 is that of KL(policy ||
/// reference), and from the old policy's tokens the corrected k3 is unbiased in value and gradient.
TEST(Kl, EstimatorsInExpectation) {
    const std::vector<double> logits{0.3, -1.0, 0.8, 0.1}, reference{0.0, 0.2, -0.5, 0.4}, old{0.1, -0.4, 0.5, 0.3};
    auto softmax = [](std::vector<double> z) {
        double sum = 0;
        for (double& x : z) sum += x = std::exp(x);
        for (double& x : z) x /= sum;
        return z;
    };
    auto p = softmax(logits), q = softmax(reference), b = softmax(old);
    double kl = 0;
    for (std::size_t a = 0; a < 4; ++a) kl += p[a] * std::log(p[a] / q[a]);
    // d KL / d z_j = p_j (log p_j/q_j - KL); d logp_a / d z_j = [a = j] - p_j.
    auto gradient_of = [&](auto&& weight, auto&& slope) {
        std::vector<double> g(4, 0.0);
        for (std::size_t a = 0; a < 4; ++a)
            for (std::size_t j = 0; j < 4; ++j) g[j] += weight(a) * slope(a) * ((a == j) - p[j]);
        return g;
    };
    std::vector<double> exact;
    for (std::size_t j = 0; j < 4; ++j) exact.push_back(p[j] * (std::log(p[j] / q[j]) - kl));

    double k1 = 0, k3 = 0, corrected = 0;
    regularizer::ImportanceKl<kl::K3> importance{1.0};
    auto token = [&](std::size_t a) {
        return Token<double, columns<col::logp, col::logp_old, col::logp_ref>>{
            {std::log(p[a])}, {std::log(b[a])}, {std::log(q[a])}};
    };
    for (std::size_t a = 0; a < 4; ++a) {
        double d = std::log(p[a]) - std::log(q[a]);
        k1 += p[a] * kl::K1::of(d).value;
        k3 += p[a] * kl::K3::of(d).value;
        corrected += b[a] * importance.token(token(a)).loss;
    }
    EXPECT_NEAR(k1, kl, 1e-14);
    EXPECT_NEAR(k3, kl, 1e-14);
    EXPECT_NEAR(corrected, kl, 1e-14);
    auto of_k2 = gradient_of([&](std::size_t a) { return p[a]; },
                             [&](std::size_t a) { return kl::K2::of(std::log(p[a]) - std::log(q[a])).slope; });
    expect_close(of_k2, exact, 1e-14, "gradient of k2");
    auto of_corrected = gradient_of([&](std::size_t a) { return b[a]; },
                                    [&](std::size_t a) { return importance.token(token(a)).slope[0]; });
    expect_close(of_corrected, exact, 1e-14, "gradient of the corrected k3");
}

TEST(Adaptive, KlCoefficientFollowsItsTarget) {
    regularizer::AdaptiveKl<> part{.coefficient = 0.1, .target = 1.0, .samples = 100, .horizon = 1000};
    regularizer::AdaptiveKl<>::State state;
    EXPECT_EQ(part.in_force(state), 0.1);
    part.observe(state, 1.0);
    EXPECT_EQ(part.in_force(state), 0.1);
    part.observe(state, 50.0);  // at most a fifth of n / horizon
    EXPECT_NEAR(part.in_force(state), 0.1 * 1.02, 1e-15);
    part.observe(state, 0.0);
    EXPECT_NEAR(part.in_force(state), 0.1 * 1.02 * 0.98, 1e-15);
    EXPECT_EQ(std::get<0>(part.terms(state)).coefficient, part.in_force(state));
}

TEST(Adaptive, EntropyCoefficientStaysInItsRange) {
    regularizer::AdaptiveEntropy part{.coefficient = 0.0, .target = 0.5, .step = 0.1, .min = 0.0, .max = 0.25};
    regularizer::AdaptiveEntropy::State state;
    for (int k = 0; k < 5; ++k) part.observe(state, 0.1);
    EXPECT_DOUBLE_EQ(part.current(state), 0.25);
    EXPECT_DOUBLE_EQ(part.in_force(state), 0.25);
    part.observe(state, 2.0);
    EXPECT_EQ(part.in_force(state), 0.0);
    for (int k = 0; k < 5; ++k) part.observe(state, 2.0);
    EXPECT_DOUBLE_EQ(part.current(state), 0.0);
}

/// The result of an update reaches the parts of a sum, and only those that ask for it; one without tokens changes
/// nothing.
TEST(Adaptive, SumPassesTheResultOn) {
    using Part = regularizer::Sum<regularizer::AdaptiveKl<>, regularizer::EntropyBonus, regularizer::AdaptiveEntropy>;
    Part part{regularizer::AdaptiveKl<>{.coefficient = 0.1, .target = 1.0, .samples = 100, .horizon = 1000},
              regularizer::EntropyBonus{}, regularizer::AdaptiveEntropy{.coefficient = 0.01}};
    static_assert(RegularizerPart<Part>);
    Part::State state;
    backend::Host host;
    roars::Run run{host};
    struct {
        std::int64_t tokens = 0;
        double metric(std::string_view name) const { return name == "kl" ? 9.0 : 0.1; }
        std::int64_t count(std::string_view) const { return tokens; }
    } result;
    part.observe(run, state, result);
    EXPECT_EQ(get<0>(state).factor, 1.0);
    result.tokens = 5;
    part.observe(run, state, result);
    EXPECT_NEAR(get<0>(state).factor, 1.02, 1e-15);
    EXPECT_EQ(get<2>(state).entropy, 0.1);
    EXPECT_NEAR(std::get<0>(part.terms(state)).coefficient, 0.102, 1e-15);
}

TEST(KlInReward, AddsUpToRewardMinusDivergence) {
    const std::int64_t tokens[] = {0, 3, 3, 5};
    Batch<double, columns<col::mask, col::reward, col::logp_old, col::logp_ref, col::token_reward>> batch(tokens);
    for (std::size_t t = 0; t < 5; ++t) {
        batch[col::mask{}][t] = t != 2;
        batch[col::logp_old{}][t] = t == 2 ? std::numeric_limits<double>::quiet_NaN() : -0.1 * double(t);
        batch[col::logp_ref{}][t] = -1.0;
    }
    for (std::size_t i = 0; i < 3; ++i) batch[col::reward{}][i] = double(i + 1);
    backend::Host host;
    roars::Run run{host};
    regularizer::KlInReward{0.5}.shape(run, batch);
    auto reward = batch[col::token_reward{}];
    EXPECT_DOUBLE_EQ(reward[0], -0.5);
    EXPECT_DOUBLE_EQ(reward[1], 1.0 - 0.45);
    EXPECT_EQ(reward[2], 0.0);
    EXPECT_DOUBLE_EQ(reward[4], 3.0 - 0.3);
    batch[col::logp_ref{}][0] = std::numeric_limits<double>::quiet_NaN();
    regularizer::KlInReward{0.0}.shape(run, batch);
    EXPECT_EQ(reward[0], 0.0) << "no reference is asked";
    EXPECT_EQ(reward[1], 1.0);
}

RC_GTEST_PROP(KlInReward, NeitherSeesWhatIsMaskedNorTheCut, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    using Set = columns<col::groups, col::mask, col::reward, col::logp_old, col::logp_ref, col::token_reward>;
    std::vector<std::int64_t> tokens{0}, groups{0, 2, 3, 5};
    for (int i = 0; i < 5; ++i) tokens.push_back(tokens.back() + std::int64_t(random() % 5));
    Batch<double, Set> batch(tokens, groups);
    std::normal_distribution<double> normal;
    for (auto column : {batch[col::reward{}], batch[col::logp_old{}], batch[col::logp_ref{}]})
        for (double& x : column) x = normal(random);
    for (double& mask : batch[col::mask{}]) mask = random() % 3 > 0;
    auto ugly = batch;
    for (std::size_t t = 0; t < ugly[col::mask{}].size(); ++t)
        if (ugly[col::mask{}][t] == 0) ugly[col::logp_old{}][t] = ugly[col::logp_ref{}][t] = std::nan("");
    backend::Host host;
    roars::Run run{host};
    regularizer::KlInReward part{0.3};
    part.shape(run, batch);
    part.shape(run, ugly);
    std::vector<double> pieces, whole(batch[col::token_reward{}].begin(), batch[col::token_reward{}].end());
    for (std::int64_t g = 0; g < 3; ++g) {
        auto piece = batch.slice_groups(g, g + 1);
        part.shape(run, piece);
        pieces.insert(pieces.end(), piece[col::token_reward{}].begin(), piece[col::token_reward{}].end());
    }
    RC_ASSERT(pieces == whole);
    RC_ASSERT(std::equal(whole.begin(), whole.end(), ugly[col::token_reward{}].begin()));
}

}  // namespace
}  // namespace roars::kl_test
