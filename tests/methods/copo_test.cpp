#include "roars/methods/copo.hpp"

#include "../optimizer/terms.hpp"
#include "any_cut.hpp"

namespace roars::copo_test {
namespace {

using advantage::LocalAndGlobal;
using surrogate::Blended;
using surrogate::DualClip;

template <class Visit>
void for_each_blend(Visit&& visit) {
    visit(Blended<DualClip>{{0.2, 0.2, 1.5}}, aggregate::SequenceMeanOfAll{});
    visit(Blended<surrogate::Clip>{}, aggregate::TokenMean{});
    visit(Blended<surrogate::PolicyGradient>{}, aggregate::TokenMean{});
}
RC_GTEST_PROP(Copo, DoesNotDependOnTheCutIntoMicroBatchesOrTheOrder, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_blend([&](const auto& term, const auto& aggregate) { check_any_cut(term, aggregate, random); });
    RC_ASSERT(!::testing::Test::HasFailure());
}
RC_GTEST_PROP(Copo, GradientIsTheFiniteDifference, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_blend([&](const auto& term, const auto& aggregate) { check_gradient(term, aggregate, random); });
    RC_ASSERT(!::testing::Test::HasFailure());
}
RC_GTEST_PROP(Copo, MaskedTokensNeverLeak, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_blend([&](const auto& term, const auto& aggregate) { check_masked_never_leak(term, aggregate, random); });
    RC_ASSERT(!::testing::Test::HasFailure());
}
RC_GTEST_PROP(Copo, LanesSayWhatTheFormulaSays, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_blend([&](const auto& term, const auto& aggregate) { check_scalar_path(term, aggregate, random); });
    RC_ASSERT(!::testing::Test::HasFailure());
}
TEST(Copo, Degenerate) {
    std::mt19937 random(1);
    for_each_blend([&](const auto& term, const auto& aggregate) { check_degenerate(term, aggregate, random); });
    check_far_off_policy(Blended<DualClip>{}, aggregate::SequenceMean{}, 1000.0);
}

TEST(Copo, ABlendOfLossesIsNoBlendOfAdvantages) {
    using X = Token<double, columns<col::logp, col::logp_old, col::advantage, col::advantage_global, col::blend>>;
    X x{{0.0}, {-1.0}, {2.0}, {-2.0}, {0.5}};  // ratio e: clipped for the local signal, not for the global one
    auto said = Blended<DualClip>{}.token(x);
    EXPECT_NEAR(said.loss, 0.5 * (-2 * 1.2) + 0.5 * 2 * std::exp(1.0), 1e-12);
    EXPECT_NEAR(said.slope[0], std::exp(1.0), 1e-12) << "a mean advantage of 0 would have no gradient";
}

struct Signals {
    std::vector<double> local, global, blend;
};
template <class Part = LocalAndGlobal<>>
Signals signals(const std::vector<std::int64_t>& groups, const std::vector<double>& reward,
                const std::vector<std::int32_t>& answer, const Part& part = {}) {
    std::vector<std::int64_t> tokens(reward.size() + 1);
    std::iota(tokens.begin(), tokens.end(), 0);
    Batch<double, unite_t<needs_of<Part>, gives_of<Part>>> batch(tokens, groups);
    std::copy(reward.begin(), reward.end(), batch[col::reward{}].begin());
    std::copy(answer.begin(), answer.end(), batch[col::answer{}].begin());
    backend::Host host;
    roars::Run run{host};
    NoState state;
    part.estimate(run, state, batch);
    auto of = [&](auto column) { return std::vector<double>(batch[column].begin(), batch[column].end()); };
    return {of(col::advantage{}), of(col::advantage_global{}), of(col::blend{})};
}
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TEST(Copo, AUnanimousGroupIsDrivenByTheOthers) {
    // All wrong and equal, all right, mixed and diverse.
    auto s = signals({0, 3, 6, 10}, {0, 0, 0, 1, 1, 1, 1, 0, 0, 0}, {5, 5, 5, 7, 7, 7, 1, 2, 3, 4});
    for (std::size_t i = 0; i < 6; ++i) {
        EXPECT_EQ(s.local[i], 0.0);
        EXPECT_NEAR(s.blend[i], sigmoid(-20 * 1.5), 1e-15);
    }
    double mean = 1.25 / 3,
           spread = std::sqrt((mean * mean + (1 - mean) * (1 - mean) + (0.25 - mean) * (0.25 - mean)) / 2);
    EXPECT_NEAR(s.global[0], -mean / (spread + 1e-6), 1e-12);
    EXPECT_NEAR(s.global[3], (1 - mean) / (spread + 1e-6), 1e-12);
    EXPECT_EQ(s.global[0], s.global[2]);
    EXPECT_NEAR(s.blend[6], sigmoid(20 * 0.5), 1e-15) << "four different answers: 2 bits";
}

TEST(Copo, PromptsThatAreAllAlikeHaveNoGlobalSignal) {
    for (double g : signals({0, 2, 4}, {1, 0, 0, 1}, {1, 2, 3, 4}).global) EXPECT_EQ(g, 0.0);
    for (double g : signals({0, 2}, {1, 0}, {1, 2}).global) EXPECT_EQ(g, 0.0) << "a single prompt";
    EXPECT_NEAR(signals({0, 2, 2}, {1, 0}, {1, 2}).global[0], 0.0, 0.0) << "an empty group is no prompt";
    EXPECT_TRUE(signals({0}, {}, {}).global.empty());
}

TEST(Copo, AGroupOfOne) {
    LocalAndGlobal<advantage::GroupZScore, prompt_reward::Consistent> part;
    auto s = signals({0, 1, 3}, {1, 0, 0}, {4, 5, 5}, part);
    EXPECT_EQ(s.local[0], 0.0);
    EXPECT_NEAR(s.global[0], 0.5 / (std::sqrt(0.5) + 1e-6), 1e-12) << "factor 1: log2 1 does not divide";
}

TEST(Copo, DifferentAnswersDivideTheConsistentRewardByTheirNumber) {
    prompt_reward::Consistent reward;
    for (std::int64_t k : {2, 3, 6, 64}) EXPECT_NEAR(reward(0.7, std::log2(double(k)), k), 0.7 / double(k), 1e-12);
    EXPECT_EQ(reward(0.7, 0.0, 6), 0.7) << "unanimous";
    EXPECT_EQ(reward(0.7, 0.0, 1), 0.7);
}

TEST(Copo, ASteepWeightDoesNotOverflow) {
    LocalAndGlobal<> part{.steepness = 1e4};
    EXPECT_EQ(part.local_weight(0.0), 0.0);
    EXPECT_EQ(part.local_weight(3.0), 1.0);
    part.steepness = 50;
    EXPECT_NEAR(part.local_weight(0.5), std::exp(-50.0), 1e-30);
    EXPECT_EQ(part.local_weight(1.5), 0.5);
}

TEST(Copo, Blends) {
    std::vector<std::int64_t> groups{0, 2, 4};
    std::vector<double> reward{1, 0, 1, 1};
    std::vector<std::int32_t> answer{1, 2, 3, 3};
    double even = sigmoid(20 * (1 - 1.5)), sure = sigmoid(-30);
    auto blends = [&]<class Blend>(Blend) {
        return signals(groups, reward, answer, LocalAndGlobal<advantage::GroupZScore, prompt_reward::Mean, Blend>{})
            .blend;
    };
    auto expect = [](const std::vector<double>& a, const std::vector<double>& b) {
        for (std::size_t i = 0; i < b.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-15);
    };
    expect(blends(blend::Soft{}), {even, even, sure, sure});
    expect(blends(blend::WhereRewarded{}), {even, 0, sure, sure});
    expect(blends(blend::WhereContrasted{}), {even, even, 0, 0});
    expect(blends(blend::OnlyGlobal{}), {0, 0, 0, 0});
    expect(blends(blend::OnlyLocal{}), {1, 1, 1, 1});
}

TEST(Copo, OnePromptMoreDoesNotChangeItsOwnLocalSignal) {
    auto a = signals({0, 3}, {1, 0, 0}, {1, 2, 3}), b = signals({0, 3, 5}, {1, 0, 0, 1, 1}, {1, 2, 3, 4, 4});
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(a.local[i], b.local[i]);
    EXPECT_LT(b.global[0], 0.0);
}

}  // namespace
}  // namespace roars::copo_test
