#include "terms.hpp"

#include <map>
#include <string>

#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogate.hpp"
#include "roars/optimizer/surrogates/clip_variants.hpp"
#include "roars/optimizer/surrogates/covariance.hpp"
#include "roars/optimizer/surrogates/geometric_mean.hpp"
#include "roars/optimizer/surrogates/masked.hpp"
#include "roars/optimizer/surrogates/sequence_clip.hpp"
#include "roars/optimizer/surrogates/weighted.hpp"
#include "roars/optimizer/surrogates/weighted_likelihood.hpp"

namespace roars::surrogates_test {
namespace {

using namespace surrogate;

/// Surrogates whose loss is differentiated as it stands.
template <class Visit>
void for_each_plain(Visit&& visit) {
    visit(surrogate::PolicyGradient{}, aggregate::TokenMean{});
    visit(Likelihood{}, aggregate::TokenMean{});
    visit(Clip{0.2, 0.28}, aggregate::TokenMean{});
    visit(DualClip{0.2, 0.28, 1.5}, aggregate::ConstantLength{7});
    visit(TwoSidedClip{0.2, 0.28, 2.0}, aggregate::SequenceSum{});
    visit(SoftGate{}, aggregate::SequenceMean{});
    visit(SquaredLogRatio{0.7}, aggregate::TokenSum{});
    visit(SequenceClip{0.2, 0.3}, aggregate::SequenceMean{});
    visit(SequenceClip{0.2, 0.3}, aggregate::SequenceSum{});
    visit(GeometricMean{0.4, 0.3}, aggregate::SequenceMeanOfAll{});
    visit(ClipCov<>{.fraction = 0.3, .cov_low = -0.5}, aggregate::TokenMean{});
    visit(KlCov{.fraction = 0.3}, aggregate::TokenMean{});
    visit(OffPolicySequenceMask<Clip>{{}, 0.1}, aggregate::SequenceMean{});
    visit(OffPolicySequenceMask<SequenceClip>{{0.2, 0.2}, 0.1}, aggregate::SequenceMean{});
    visit(TopEntropy<Clip>{{}, 0.4}, aggregate::TokenMean{});
    visit(TopEntropy<OffPolicySequenceMask<ClipCov<>>>{{{.fraction = 0.3, .cov_low = -0.5}, 0.1}, 0.4},
          aggregate::TokenMean{});
    visit(Weighted<DualClip>{}, aggregate::TokenMean{});
}
/// Surrogates with a weight that counts as a constant.
template <class Visit>
void for_each_weighted(Visit&& visit) {
    visit(ClippedWeight{}, aggregate::TokenMean{});
    visit(ClippedWeight{0.2, 0.2}, aggregate::SequenceMean{});
    visit(VariationalWeight{}, aggregate::TokenMean{});
    visit(TaperedWeight{}, aggregate::TokenMean{});
    visit(DivergenceGate<trust::TotalVariation>{}, aggregate::TokenMean{});
    visit(DivergenceGate<trust::BinaryKl>{}, aggregate::TokenMean{});
}
template <class Visit>
void for_each_surrogate(Visit&& visit) {
    for_each_plain(visit);
    for_each_weighted(visit);
    // Tokens of a sequence's ratio that weigh differently: differentiated as GSPO-token.
    visit(Weighted<TopEntropy<GeometricMean>>{}, aggregate::SequenceMean{});
}

RC_GTEST_PROP(Surrogates, DoNotDependOnTheCutIntoMicroBatchesOrTheOrder, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_surrogate([&](const auto& term, const auto& aggregate) { check_any_cut(term, aggregate, random); });
    RC_ASSERT(!::testing::Test::HasFailure());
}

RC_GTEST_PROP(Surrogates, GradientIsTheFiniteDifference, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_plain([&](const auto& term, const auto& aggregate) { check_gradient(term, aggregate, random); });
    RC_ASSERT(!::testing::Test::HasFailure());
}

/// -sum of weight A logp with the weight of the batch as it was.
template <class Term, class Aggregate>
void check_constant_weight(const Term& term, const Aggregate& aggregate, std::mt19937& random) {
    auto frozen = random_batch<Term>(random, 3);
    pass(term, aggregate, frozen);
    auto loss = [&](const auto& batch) {
        // The term's loss is linear in logp where its weight is kept: loss_t = (loss_t / logp_t) logp_t.
        backend::Host host;
        Counts counts = count(host, batch);
        auto lengths = roars::detail::trainable_lengths<col::mask>(host, batch);
        Offsets offsets = batch.token_offsets();
        double sum = 0;
        for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
            for (auto t = std::size_t(offsets[i]); t < std::size_t(offsets[i + 1]); ++t) {
                if (batch[col::mask{}][t] == 0.0) continue;
                auto x = [&]<class... Column>(columns<Column...>) {
                    return Token<double, columns<Column...>>{
                        {frozen[Column{}][Column::extent == Extent::sequence ? i : t]}...};
                }(needs_of<Term>{});
                double weight = term.token(x).loss / x[col::logp{}];
                sum += aggregate.weight(counts, lengths[i]) * weight * batch[col::logp{}][t];
            }
        return sum;
    };
    check_gradient(term, aggregate, frozen, loss);
}
RC_GTEST_PROP(Surrogates, WeightsAreConstants, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_weighted([&](const auto& term, const auto& aggregate) { check_constant_weight(term, aggregate, random); });
    RC_ASSERT(!::testing::Test::HasFailure());
}

RC_GTEST_PROP(Surrogates, MaskedTokensNeverLeak, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_surrogate(
        [&](const auto& term, const auto& aggregate) { check_masked_never_leak(term, aggregate, random); });
    RC_ASSERT(!::testing::Test::HasFailure());
}

RC_GTEST_PROP(Surrogates, LanesGiveWhatScalarsGive, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_surrogate([&](const auto& term, const auto& aggregate) { check_scalar_path(term, aggregate, random); });
    RC_ASSERT(!::testing::Test::HasFailure());
}

TEST(Surrogates, OfNothingAreZero) {
    std::mt19937 random(1);
    for_each_surrogate([&](const auto& term, const auto& aggregate) { check_degenerate(term, aggregate, random); });
}

TEST(Surrogates, StayFiniteFarOffPolicy) {
    for (double far : {5.0, 50.0, 1000.0})
        for_each_surrogate(
            [&](const auto& term, const auto& aggregate) { check_far_off_policy(term, aggregate, far); });
}

TEST(Surrogates, NameTheColumnThatIsNotFinite) {
    std::mt19937 random(3);
    for_each_surrogate([&](const auto& term, const auto& aggregate) {
        using Term = std::remove_cvref_t<decltype(term)>;
        auto batch = random_batch<Term>(random, 3);
        std::size_t t = 0;
        while (batch[col::mask{}][t] == 0.0) ++t;
        batch[col::logp{}][t] = std::numeric_limits<double>::quiet_NaN();
        try {
            pass(term, aggregate, batch);
            ADD_FAILURE() << "no error";
        } catch (const Error& error) {
            EXPECT_EQ(std::string(error.what()).find("logp of token " + std::to_string(t)), 0u) << error.what();
        }
    });
}

/// Without a change of the policy, and on one sequence, kin agree: slope -A w for every token.
TEST(Surrogates, AgreeOnPolicy) {
    std::map<std::string, std::vector<double>> gradients;
    auto on_policy = [&](const char* name, const auto& term) {
        const std::int64_t tokens[] = {0, 3, 6}, pair[] = {0, 2};
        BatchOf<std::remove_cvref_t<decltype(term)>> batch(tokens, pair);
        for (std::size_t t = 0; t < 6; ++t) {
            batch[col::mask{}][t] = 1;
            batch[col::logp{}][t] = -0.3 * double(t + 1);
            if constexpr (decltype(batch)::template has<col::logp_old>)
                batch[col::logp_old{}][t] = batch[col::logp{}][t];
            batch[col::advantage{}][t] = t < 3 ? 1.5 : -0.5;
        }
        gradients[name] = pass(term, aggregate::SequenceMean{}, batch).gradient;
    };
    on_policy("gradient", surrogate::PolicyGradient{});
    on_policy("clip", Clip{});
    on_policy("dual", DualClip{});
    on_policy("two-sided", TwoSidedClip{});
    on_policy("sequence", SequenceClip{});
    on_policy("geometric", GeometricMean{});
    on_policy("soft", SoftGate{});
    on_policy("cispo", ClippedWeight{});
    on_policy("vespo", VariationalWeight{});
    on_policy("topr", TaperedWeight{});
    on_policy("dppo", DivergenceGate<>{});
    on_policy("squared", SquaredLogRatio{});
    for (const auto& [name, gradient] : gradients) expect_close(gradient, gradients["gradient"], 1e-14, name);
}

TEST(Surrogates, BoundsActWhereTheyShould) {
    Token<double, needs_of<Clip>> x{{std::log(5.0)}, {0.0}, {-1.0}};
    EXPECT_DOUBLE_EQ((Clip{}.token(x).loss), 5.0);
    EXPECT_DOUBLE_EQ((DualClip{0.2, 0.2, 3.0}.token(x).loss), 3.0);
    EXPECT_EQ((DualClip{0.2, 0.2, 3.0}.token(x).slope[0]), 0.0);
    EXPECT_DOUBLE_EQ((TwoSidedClip{0.2, 0.2, 4.0}.token(x).loss), 4.0);
    EXPECT_EQ((TwoSidedClip{0.2, 0.2, 4.0}.token(x).slope[0]), 0.0);
    // A cap of 4 within a clip at 9: the loss is 5, that of the clip's side, which is not held and follows the ratio.
    EXPECT_DOUBLE_EQ((TwoSidedClip{0.2, 8.0, 4.0}.token(x).loss), 5.0);
    EXPECT_DOUBLE_EQ((TwoSidedClip{0.2, 8.0, 4.0}.token(x).slope[0]), 5.0);
}

TEST(Surrogates, DropsOfClipCovDoNotFollowTheOrder) {
    std::mt19937 random(5);
    auto batch = random_batch<ClipCov<>>(random, 4);
    auto draws = [](const auto& of) {
        auto x = roars::detail::numbers_of(of, columns<col::logp_old>{});
        std::vector<double> all;
        for (std::int64_t i = 0; i < of.sequences(); ++i) {
            draw::Sequence sequence{of.token_offsets()[std::size_t(i)],
                                    static_cast<std::uint32_t>(roars::detail::sequence_print<0>(x, i))};
            for (std::int64_t t = sequence.begin; t < of.token_offsets()[std::size_t(i) + 1]; ++t)
                all.push_back(draw::BySequence{}(Random(7), sequence, t - sequence.begin));
        }
        return all;
    };
    auto whole = draws(batch), its = draws(batch.slice_groups(2, 4));
    EXPECT_TRUE(std::equal(its.begin(), its.end(), whole.end() - std::ptrdiff_t(its.size())));
    for (double u : whole) EXPECT_TRUE(u >= 0.0 && u < 1.0);
}

TEST(Surrogates, PrintsOfSequencesAreSumsOfTokens) {
    std::mt19937 random(6);
    auto batch = random_batch<KlCov>(random, 20);
    backend::Host host;
    host.grain = 16;  // long sequences are cut
    roars::Run run{host};
    using Read = columns<col::advantage, col::logp>;
    std::vector<std::uint64_t> prints(static_cast<std::size_t>(batch.sequences()));
    roars::detail::sequence_prints<0, 1>(run, batch, roars::detail::numbers_of(run, batch, Read{}), prints.data());
    for (std::int64_t i = 0; i < batch.sequences(); ++i)
        EXPECT_EQ(prints[std::size_t(i)],
                  (roars::detail::sequence_print<0, 1>(roars::detail::numbers_of(batch, Read{}), i)));
}

TEST(Surrogates, TopEntropyKeepsItsShare) {
    backend::Host host;
    auto threshold = [&](double fraction, std::int64_t count) {
        BatchOf<TopEntropy<Clip>> batch(std::vector<std::int64_t>{0, count});
        for (std::int64_t t = 0; t < count; ++t) {
            batch[col::mask{}][std::size_t(t)] = 1;
            batch[col::entropy{}][std::size_t(t)] = double((t * 7) % 11);
        }
        TopEntropy<Clip> term{{}, fraction};
        roars::Run run{host};
        return term.threshold(host, roars::detail::reduce_base(term, run, batch));
    };
    EXPECT_DOUBLE_EQ(threshold(0.2, 11), 8.0);
    EXPECT_DOUBLE_EQ(threshold(0.25, 11), 7.5);
    EXPECT_DOUBLE_EQ(threshold(0.0, 11), 10.0);
    EXPECT_DOUBLE_EQ(threshold(1.0, 11), 0.0);
    EXPECT_DOUBLE_EQ(threshold(0.2, 0), 0.0);
}

TEST(Surrogates, SmallestKeysTakeTheFirstOfEqualOnes) {
    backend::Host host;
    const std::vector<double> keys{2.0, 1.0, 2.0, std::nan(""), 2.0, 5.0};
    auto shares = [&](const std::vector<std::uint64_t>& marks, std::int64_t count) {
        auto key = [&](std::int64_t j) { return keys[std::size_t(j)]; };
        roars::detail::SmallestKeys smallest(
            host, std::ssize(keys), key, [&](std::int64_t j) { return marks[std::size_t(j)]; },
            [=](std::int64_t numbers) { return numbers == 5 ? count : 0; });
        roars::detail::RankedKeys<backend::Host> ranked(host, keys.data(), marks.data(), std::ssize(keys),
                                                        [=](std::int64_t numbers) { return numbers == 5 ? count : 0; });
        std::vector<double> share;
        for (std::size_t j = 0; j < keys.size(); ++j) {
            share.push_back(smallest.asks(keys[j]) ? smallest.share(marks[j]) : double(smallest.takes(keys[j])));
            EXPECT_EQ(ranked.view().share(keys[j], marks[j]), share[j]) << "by a sort " << j;
        }
        return share;
    };
    EXPECT_EQ(shares({1, 2, 3, 0, 4, 5}, 3), (std::vector<double>{1, 1, 1, 0, 0, 0}));
    EXPECT_EQ(shares({1, 2, 3, 0, 3, 5}, 3), (std::vector<double>{1, 1, 0.5, 0, 0.5, 0})) << "equal sequences";
    EXPECT_EQ(shares({1, 2, 3, 0, 3, 5}, 4), (std::vector<double>{1, 1, 1, 0, 1, 0})) << "all equal ones";
    EXPECT_EQ(shares({1, 2, 3, 0, 3, 5}, 0), (std::vector<double>{0, 0, 0, 0, 0, 0}));
    EXPECT_EQ(shares({1, 2, 3, 0, 3, 5}, 9), (std::vector<double>{1, 1, 1, 0, 1, 1})) << "more than there are";
    EXPECT_FALSE(roars::detail::SmallestKeys{}.takes(-1.0));
}

/// Equal advantages make every covariance 0, and rounded draws are often equal: which tokens are taken must be a matter
/// of the whole batch, though a micro-batch knows but its own tokens. Equal sequences in several of them too.
struct RoundedDraws {
    using needs = columns<>;
    double operator()(const Random& random, const draw::Sequence& sequence, std::int64_t place) const {
        return std::floor(3 * draw::BySequence{}(random, sequence, place)) / 3;
    }
};
RC_GTEST_PROP(Surrogates, TiesDoNotDependOnTheCut, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    auto check = [&]<class Term>(const Term& term) {
        auto batch = random_batch<Term>(random, 6);
        for (double& a : batch[col::advantage{}]) a = 1.0;
        for (auto column : {batch[col::logp{}], batch[col::logp_old{}]})
            for (double& x : column) x = std::round(4 * x) / 4;
        batch.append(batch.slice_groups(0, 2));
        std::vector<std::int64_t> order(static_cast<std::size_t>(batch.groups()));
        std::iota(order.begin(), order.end(), 0);
        auto uncut = batch;
        Pass whole = pass(term, aggregate::TokenMean{}, uncut);
        std::vector<std::int64_t> sizes;
        for (std::int64_t left = batch.groups(); left > 0; left -= sizes.back())
            sizes.push_back(1 + std::int64_t(random() % std::uint64_t(left)));
        Pass pieces = pass_in_pieces(term, aggregate::TokenMean{}, batch, order, sizes);
        expect_close(pieces.loss, whole.loss, 1e-14, "loss");
        expect_close(pieces.gradient, whole.gradient, 1e-14, "gradient");
    };
    check(KlCov{.fraction = 0.2});
    check(ClipCov<RoundedDraws>{.fraction = 0.2, .cov_low = -1.0, .cov_high = 1.0});
    RC_ASSERT(!::testing::Test::HasFailure());
}

/// However losses become one number, a cut changes neither it nor a gradient.
RC_GTEST_PROP(Aggregates, DoNotDependOnTheCut, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    auto check = [&](const auto& aggregate) { check_any_cut(Clip{0.2, 0.28}, aggregate, random); };
    check(aggregate::TokenMean{});
    check(aggregate::TokenSum{});
    check(aggregate::SequenceMean{});
    check(aggregate::SequenceMeanOfAll{});
    check(aggregate::SequenceSum{});
    check(aggregate::SequenceSumOverLength{9});
    check(aggregate::ConstantLength{9});
    check(aggregate::Constant{7});
    RC_ASSERT(!::testing::Test::HasFailure());
}

/// One name at the peers, two meanings here: whether a sequence without a trainable token is one of those averaged.
TEST(Aggregates, SayWhetherAMaskedSequenceCounts) {
    const std::int64_t tokens[] = {0, 2, 3, 3}, groups[] = {0, 3};
    BatchOf<surrogate::Likelihood> batch(tokens, groups);
    batch[col::mask{}][0] = batch[col::mask{}][1] = 1;  // the second sequence is masked, the third one empty
    batch[col::logp{}][0] = batch[col::logp{}][1] = -6;
    EXPECT_DOUBLE_EQ(pass(surrogate::Likelihood{}, aggregate::SequenceMean{}, batch).loss, 6.0);
    EXPECT_DOUBLE_EQ(pass(surrogate::Likelihood{}, aggregate::SequenceMeanOfAll{}, batch).loss, 2.0);
    EXPECT_DOUBLE_EQ(pass(surrogate::Likelihood{}, aggregate::SequenceSumOverLength{4}, batch).loss, 3.0);
    EXPECT_DOUBLE_EQ(pass(surrogate::Likelihood{}, aggregate::ConstantLength{4}, batch).loss, 1.0);
}

TEST(Aggregates, ALengthOfNothingDividesNothing) {
    const std::int64_t tokens[] = {0, 2}, groups[] = {0, 1};
    BatchOf<surrogate::Likelihood> batch(tokens, groups);
    EXPECT_THROW(pass(surrogate::Likelihood{}, aggregate::SequenceSumOverLength{0}, batch), Error);
    EXPECT_THROW(pass(surrogate::Likelihood{}, aggregate::ConstantLength{0}, batch), Error);
    EXPECT_THROW(pass(surrogate::Likelihood{}, aggregate::Constant{0}, batch), Error);
}

}  // namespace
}  // namespace roars::surrogates_test
