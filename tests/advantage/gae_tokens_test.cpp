#include "roars/advantage/gae_tokens.hpp"

#include <gtest/gtest.h>

#include "random_batch.hpp"
#include "roars/advantage/times.hpp"
#include "roars/advantage/whiten.hpp"

namespace roars::gae_tokens_test {
namespace {

using TokenColumns = columns<col::mask, col::token_reward, col::value, col::advantage, col::returns>;
using advantage::GaeTokens;
using advantage::RewardToGo;
using advantage::Whiten;

/// The batch of the trainable tokens alone, and where each of them stood.
template <class BatchType>
auto without_masked(const BatchType& batch) {
    auto offsets = batch.token_offsets();
    std::vector<std::int64_t> kept{0};
    std::vector<std::size_t> from;
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
        for (auto t = std::size_t(offsets[i]); t < std::size_t(offsets[i + 1]); ++t)
            if (batch[col::mask{}][t] != 0) from.push_back(t);
        kept.push_back(std::ssize(from));
    }
    Batch<double, columns<col::token_reward, col::value, col::advantage, col::returns>> rest(kept);
    for (std::size_t k = 0; k < from.size(); ++k) {
        rest[col::token_reward{}][k] = batch[col::token_reward{}][from[k]];
        rest[col::value{}][k] = batch[col::value{}][from[k]];
    }
    return std::pair(rest, from);
}

/// Masked tokens must not be seen: the same numbers come out without them, whatever they hold.
template <class Part>
void expect_masked_are_not_there(const Part& part) {
    Draw draw = any_draw();
    auto batch = random_batch<TokenColumns>(draw);
    auto [rest, from] = without_masked(batch);
    spoil_masked(batch, columns<col::token_reward, col::value>{});
    auto all = estimated(part, batch, small_grain(draw));
    auto few = estimated(part, rest);
    std::vector<char> seen(all.size());
    for (std::size_t k = 0; k < from.size(); ++k) {
        RC_ASSERT(close(all[from[k]], few[k]));
        if (contains_v<col::returns, gives_of<Part>>)
            RC_ASSERT(close(batch[col::returns{}][from[k]], rest[col::returns{}][k]));
        seen[from[k]] = 1;
    }
    for (std::size_t t = 0; t < all.size(); ++t)
        if (!seen[t]) RC_ASSERT(all[t] == 0.0);
}
RC_GTEST_PROP(GaeTokens, SkipsMaskedTokens, ()) {
    expect_masked_are_not_there(GaeTokens<>{.gamma = 0.9, .lambda = 0.8});
}
RC_GTEST_PROP(LengthAdaptiveGae, SkipsMaskedTokens, ()) {
    expect_masked_are_not_there(advantage::LengthAdaptiveGae<>{.gamma = 0.9, .trace = {.alpha = 0.4}});
}
RC_GTEST_PROP(Whiten, SkipsMaskedTokens, ()) { expect_masked_are_not_there(Whiten<GaeTokens<>>{{.gamma = 0.9}}); }
RC_GTEST_PROP(RewardToGo, SkipsMaskedTokens, ()) { expect_masked_are_not_there(RewardToGo{.gamma = 0.9}); }

RC_GTEST_PROP(GaeTokens, WithLambdaOneIsTheReturnMinusTheValue, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<TokenColumns>(draw);
    auto to_go = estimated(RewardToGo{.gamma = 0.9}, batch);
    auto advantage = estimated(GaeTokens<>{.gamma = 0.9, .lambda = 1.0}, batch, small_grain(draw));
    for (std::size_t t = 0; t < to_go.size(); ++t) {
        RC_ASSERT(close(batch[col::returns{}][t], to_go[t]));
        RC_ASSERT(close(advantage[t], batch[col::mask{}][t] != 0 ? to_go[t] - batch[col::value{}][t] : 0.0));
    }
}

RC_GTEST_PROP(LengthAdaptiveGae, ItsCriticLearnsTheRewardsToCome, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<TokenColumns>(draw);
    auto to_go = estimated(RewardToGo{}, batch);
    estimated(advantage::LengthAdaptiveGae<>{}, batch);
    for (std::size_t t = 0; t < to_go.size(); ++t) RC_ASSERT(close(batch[col::returns{}][t], to_go[t]));
}

RC_GTEST_PROP(DecoupledGae, WithOneLambdaIsGae, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<TokenColumns>(draw);
    auto plain = estimated(GaeTokens<>{.gamma = 0.9, .lambda = 0.6}, batch);
    std::vector<double> returns(batch[col::returns{}].begin(), batch[col::returns{}].end());
    auto decoupled = estimated(
        advantage::DecoupledGae<trace::Constant>{.gamma = 0.9, .critic_lambda = 0.6, .trace = {.lambda = 0.6}}, batch);
    RC_ASSERT(plain == decoupled);
    RC_ASSERT(std::equal(returns.begin(), returns.end(), batch[col::returns{}].begin()));
}

TEST(LengthAdaptive, GrowsWithTheLengthFromZero) {
    trace::LengthAdaptive trace{.alpha = 0.5};
    EXPECT_EQ(trace(0), 0.0);
    EXPECT_EQ(trace(2), 0.0);
    EXPECT_DOUBLE_EQ(trace(4), 0.5);
    EXPECT_DOUBLE_EQ(trace(200), 0.99);
}

RC_GTEST_PROP(Whiten, HasMeanZeroAndSpreadOneWhateverTheScale, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<TokenColumns>(draw);
    auto first = estimated(Whiten<RewardToGo>{}, batch);
    double sum = 0, squares = 0, count = 0;
    for (std::size_t t = 0; t < first.size(); ++t)
        if (batch[col::mask{}][t] != 0) sum += first[t], squares += first[t] * first[t], count += 1;
    if (count < 2) return;
    RC_ASSERT(std::abs(sum) <= 1e-9 * count);
    RC_ASSERT(close(squares, count - 1, 1e-5));  // eps stands beside the variance
    for (double& reward : batch[col::token_reward{}]) reward *= 1000.0;
    auto scaled = estimated(Whiten<RewardToGo>{}, batch);
    for (std::size_t t = 0; t < first.size(); ++t) RC_ASSERT(close(first[t], scaled[t], 1e-5));
}

TEST(Whiten, LeavesOneTokenAsItIsAndMakesEqualOnesZero) {
    Batch<double, TokenColumns> batch(std::vector<std::int64_t>{0, 3, 3});
    for (double& reward : batch[col::token_reward{}]) reward = 0.1;
    batch[col::mask{}][1] = 1;
    EXPECT_EQ(estimated(Whiten<RewardToGo>{}, batch), (std::vector<double>{0, 0.1, 0}));
    batch[col::mask{}][2] = 1;
    EXPECT_EQ(estimated(Whiten<RewardToGo>{RewardToGo{.gamma = 0}}, batch), (std::vector<double>{0, 0, 0}));
    batch[col::mask{}][1] = batch[col::mask{}][2] = 0;
    EXPECT_EQ(estimated(Whiten<RewardToGo>{}, batch), (std::vector<double>{0, 0, 0}));
}

/// Twice as much for the first token of a sequence.
struct FirstTwice {
    template <class X>
    double operator()(const X& x) const {
        return x.position() == 0 ? 2.0 : 1.0;
    }
};

RC_GTEST_PROP(Times, WeighsEveryTrainableToken, ()) {
    Draw draw = any_draw();
    auto batch = random_batch<unite_t<TokenColumns, columns<col::importance_weight>>>(draw);
    spoil_masked(batch, columns<col::importance_weight>{});
    auto plain = estimated(RewardToGo{}, batch);
    auto weighed = estimated(advantage::Times<RewardToGo, weight::Column<col::importance_weight>>{}, batch);
    auto first = estimated(advantage::Times<RewardToGo, FirstTwice>{}, batch);
    for (std::size_t t = 0; t < plain.size(); ++t)
        RC_ASSERT(weighed[t] == (batch[col::mask{}][t] != 0 ? plain[t] * batch[col::importance_weight{}][t] : 0.0));
    auto offsets = batch.token_offsets();
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
        for (std::int64_t t = offsets[i]; t < offsets[i + 1]; ++t)
            RC_ASSERT(first[t] == (t == offsets[i] ? 2.0 : 1.0) * plain[t]);
}

TEST(Wrappers, CarryTheCriticOfTheirBase) {
    using Base = GaeTokens<critic::ClippedValue>;
    using Wrapped = Whiten<advantage::Times<Base, weight::Column<col::entropy>>>;
    static_assert(contains_v<col::entropy, needs_of<Wrapped>> && contains_v<col::returns, gives_of<Wrapped>>);
    static_assert(!HasTerms<Whiten<GaeTokens<>>> && !HasTerms<Whiten<RewardToGo>>);
    Wrapped part;
    part.base.base.critic.clip = 0.7;
    EXPECT_EQ(std::get<0>(part.terms({})).clip, 0.7);
}

}  // namespace
}  // namespace roars::gae_tokens_test
