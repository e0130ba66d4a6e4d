#include "terms.hpp"

#include "roars/optimizer/preference/preference.hpp"
#include "roars/optimizer/preference/scores.hpp"
#include "roars/optimizer/preference/sorted_pairs.hpp"
#include "roars/optimizer/step/adamw.hpp"

namespace roars::preference_test {
namespace {

using namespace surrogate;
using Sum = aggregate::TokenSum;

/// Every loss of a pair.
template <class Visit>
void for_each_pair_loss(Visit&& visit) {
    visit(pair::Logistic{0.5, 0.1, 0.3});
    visit(pair::Squared{0.5});
    visit(pair::Hinge{0.5});
    visit(pair::Robust{0.5, 0.2});
    visit(pair::ExactPair{0.5, 0.1});
    visit(pair::NoiseContrastive{0.5});
    visit(pair::BinaryClassifier{0.5});
    visit(pair::SelfPlay{0.5});
    visit(pair::AnchoredZero{0.5});
    visit(pair::AnchoredDown{0.5});
    visit(pair::LogRatioModulated{0.5, 0.4});
    visit(pair::PerToken<pair::OddsRatio>{});
    visit(pair::PerToken<pair::Squared>{});
    visit(pair::WithLikelihood<pair::PerToken<pair::Logistic>>{{{0.5, 0.0, 0.2}}, 0.7});
}
template <class Visit>
void for_each_term(Visit&& visit) {
    for_each_pair_loss([&]<class Loss>(const Loss& loss) { visit(Pairwise<Loss>{loss}); });
    visit(Pairwise<pair::PerToken<pair::OddsRatio>, summary::LogLikelihood>{});
    visit(Pairwise<pair::Logistic, summary::LogLikelihood, pairing::ByFlag>{});
    visit(Pairwise<pair::Logistic, summary::LogRatio, pairing::BestAndWorst>{});
    visit(SortedPairwise<>{{0.5, 0.1}});
}

TEST(Preference, DerivativesOfAPairAreFiniteDifferences) {
    std::mt19937 random(1);
    for_each_pair_loss([&](const auto& loss) {
        for (int k = 0; k < 200; ++k) {
            std::uniform_real_distribution<double> ratio(-6, -0.1);
            pair::View<double> x{ratio(random), ratio(random), double(1 + random() % 4), double(1 + random() % 4)};
            auto said = loss.of(x);
            auto along = [&](double by_chosen, double by_rejected) {
                const double step = 1e-6;
                auto at = [&](double h) {
                    return loss
                        .of(pair::View<double>{x.chosen + h * by_chosen, x.rejected + h * by_rejected, x.chosen_length,
                                               x.rejected_length})
                        .value;
                };
                return (at(step) - at(-step)) / (2 * step);
            };
            expect_close(said.by_chosen, along(1, 0), 1e-7, "by_chosen");
            expect_close(said.by_rejected, along(0, 1), 1e-7, "by_rejected");
        }
    });
}

TEST(Preference, LanesGiveWhatScalarsGive) {
    std::mt19937 random(2);
    using V = math::Lanes<double>;
    for_each_pair_loss([&](const auto& loss) {
        std::uniform_real_distribution<double> ratio(-6, -0.1);
        for (int k = 0; k < 50; ++k) {
            double c = ratio(random), r = ratio(random), n = double(1 + random() % 4);
            auto one = loss.of(pair::View<double>{c, r, n, 2.0});
            auto lanes = loss.of(pair::View<V>{V(c), V(r), V(n), V(2.0)});
            expect_close(math::largest(lanes.value), one.value, 1e-13, "value");
            expect_close(math::smallest(lanes.by_chosen), one.by_chosen, 1e-13, "by_chosen");
            expect_close(math::smallest(lanes.by_rejected), one.by_rejected, 1e-13, "by_rejected");
        }
    });
}

TEST(Preference, NothingOverflows) {
    for (double far : {30.0, 1e4, 1e8})
        for_each_pair_loss([&](const auto& loss) {
            for (double c : {0.0, -far, far})
                for (double r : {0.0, -far, far}) {
                    auto said = loss.of(pair::View<double>{c, r});
                    EXPECT_TRUE(std::isfinite(said.value) && std::isfinite(said.by_chosen) &&
                                std::isfinite(said.by_rejected))
                        << c << ' ' << r << ": " << said.value << ' ' << said.by_chosen << ' ' << said.by_rejected;
                }
        });
}

/// In expectation over labels of which a share is flipped, the robust loss is the plain one.
TEST(Preference, RobustIsUnbiasedUnderFlippedLabels) {
    const double share = 0.2;
    for (double h : {-3.0, -0.2, 0.0, 1.0}) {
        pair::Robust robust{0.7, share};
        double expected = (1 - share) * robust.of(pair::View<double>{h, 0.0}).value +
                          share * robust.of(pair::View<double>{0.0, h}).value;
        EXPECT_NEAR(expected, (pair::Logistic{0.7}.of(pair::View<double>{h, 0.0}).value), 1e-14);
    }
}

TEST(Preference, IdenticalAnswersHaveOppositeSlopes) {
    for (double u : {-2.0, -0.3}) {
        auto said = pair::Logistic{0.1}.of(pair::View<double>{u, u});
        EXPECT_DOUBLE_EQ(said.value, std::log(2.0));
        EXPECT_DOUBLE_EQ(said.by_chosen, -0.05);
        EXPECT_DOUBLE_EQ(said.by_rejected, 0.05);
    }
}

RC_GTEST_PROP(Preference, DoesNotDependOnTheCutIntoMicroBatchesOrTheOrder, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_term([&](const auto& term) { check_any_cut(term, Sum{}, random); });
    check_any_cut(KahnemanTversky{0.5, 1.0, 1.3}, Sum{}, random);
    RC_ASSERT(!::testing::Test::HasFailure());
}

RC_GTEST_PROP(Preference, GradientIsTheFiniteDifference, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_term([&](const auto& term) { check_gradient(term, Sum{}, random); });
    // The divergence is a constant.
    KahnemanTversky term{0.5, 1.0, 1.3};
    auto batch = random_batch<KahnemanTversky>(random, 3);
    backend::Host host;
    roars::Run run{host};
    auto sums = roars::detail::reduce_base(term, run, batch);
    check_gradient(term, Sum{}, batch,
                   [&](auto& moved) { return pass_with(run, term, Sum{}, moved, count(host, moved), sums).loss; });
    RC_ASSERT(!::testing::Test::HasFailure());
}

RC_GTEST_PROP(Preference, MaskedTokensNeverLeak, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    for_each_term([&](const auto& term) { check_masked_never_leak(term, Sum{}, random); });
    check_masked_never_leak(KahnemanTversky{}, Sum{}, random);
    RC_ASSERT(!::testing::Test::HasFailure());
}

TEST(Preference, OfNothingIsZero) {
    std::mt19937 random(1);
    for_each_term([&](const auto& term) { check_degenerate(term, Sum{}, random); });
    check_degenerate(KahnemanTversky{}, Sum{}, random);
}

/// The mean is over all pairs and all answers: one without a trainable token has log-ratio 0, and no gradient.
TEST(Preference, EmptyAnswersCount) {
    const std::int64_t tokens[] = {0, 1, 2, 2, 2}, pairs[] = {0, 2, 4};
    auto with_ratios = [&](auto& batch) {
        std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
        batch[col::logp{}][0] = 0.75;
        batch[col::logp{}][1] = -0.5;
    };
    auto softplus = [](double x) { return std::log1p(std::exp(x)); };
    BatchOf<Pairwise<>> batch(tokens, pairs);
    with_ratios(batch);
    Pass dpo = pass(Pairwise<>{{1.0}}, Sum{}, batch);
    EXPECT_NEAR(dpo.loss, (softplus(-1.25) + softplus(0.0)) / 2, 1e-15);
    EXPECT_NEAR(dpo.gradient[0], -math::sigmoid(-1.25) / 2, 1e-15);
    BatchOf<SortedPairwise<>> sorted(tokens, pairs);
    with_ratios(sorted);
    EXPECT_NEAR(pass(SortedPairwise<>{{1.0}}, Sum{}, sorted).loss, (softplus(-0.5) + softplus(-0.75)) / 2, 1e-15);
    BatchOf<KahnemanTversky> single(tokens, pairs);
    with_ratios(single);
    single[col::chosen{}][0] = 1;
    Pass kto = pass(KahnemanTversky{1.0}, Sum{}, single);
    EXPECT_NEAR(kto.loss, (math::sigmoid(-0.75) + math::sigmoid(-0.5) + 2 * 0.5) / 4, 1e-15);
}

/// Answers of one token, a log-ratio each; the last one is mismatched.
TEST(Preference, KtoOfOneKindOfLabelAndBelowTheReference) {
    const std::int64_t tokens[] = {0, 1, 2, 3}, groups[] = {0, 3};
    BatchOf<KahnemanTversky> batch(tokens, groups);
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    batch[col::mismatched{}][2] = 1;
    auto loss_of = [&](bool desirable, double mismatched) {
        const double ratio[] = {0.75, -0.5, mismatched};
        for (std::size_t t = 0; t < 3; ++t) batch[col::logp{}][t] = batch[col::logp_ref{}][t] + ratio[t];
        batch[col::chosen{}][0] = batch[col::chosen{}][1] = desirable;
        return pass(KahnemanTversky{1.0}, Sum{}, batch);
    };
    EXPECT_NEAR(loss_of(true, -2.0).loss, (math::sigmoid(-0.75) + math::sigmoid(0.5)) / 2, 1e-15)
        << "a mean log-ratio below 0 counts as 0";
    EXPECT_NEAR(loss_of(false, -2.0).loss, (math::sigmoid(0.75) + math::sigmoid(-0.5)) / 2, 1e-15);
    EXPECT_NEAR(loss_of(true, 0.25).loss, (math::sigmoid(-0.5) + math::sigmoid(0.75)) / 2, 1e-15);
    EXPECT_EQ(loss_of(true, 0.25).gradient[2], 0.0) << "what measures the divergence learns nothing";
}

TEST(Preference, StaysFiniteFarFromTheReference) {
    for_each_term([&](const auto& term) { check_far_off_policy(term, Sum{}, 1000.0); });
    check_far_off_policy(KahnemanTversky{}, Sum{}, 1000.0);
}

/// Equal answers whose order is the labels' alone: the flag finds the chosen one wherever it stands.
TEST(Preference, FlagAndRewardFindThePair) {
    using Flag = Pairwise<pair::Logistic, summary::LogLikelihood, pairing::ByFlag>;
    using Reward = Pairwise<pair::Logistic, summary::LogLikelihood, pairing::BestAndWorst>;
    const std::int64_t tokens[] = {0, 1, 2}, pair[] = {0, 2}, three[] = {0, 1, 2, 3}, group[] = {0, 3};
    BatchOf<Flag> flagged(tokens, pair);
    flagged[col::mask{}][0] = flagged[col::mask{}][1] = 1;
    flagged[col::chosen{}][1] = 1;
    Pass second = pass(Flag{}, Sum{}, flagged);
    EXPECT_GT(second.gradient[0], 0.0);
    EXPECT_LT(second.gradient[1], 0.0);
    flagged[col::chosen{}][0] = 1;
    EXPECT_THROW(pass(Flag{}, Sum{}, flagged), Error);

    BatchOf<Reward> rewarded(three, group);
    for (std::size_t i = 0; i < 3; ++i) rewarded[col::mask{}][i] = 1;
    rewarded[col::reward{}][0] = 0.5;
    rewarded[col::reward{}][2] = 1.0;
    Pass best = pass(Reward{}, Sum{}, rewarded);
    EXPECT_EQ(best.gradient[0], 0.0);
    EXPECT_GT(best.gradient[1], 0.0);
    EXPECT_LT(best.gradient[2], 0.0);
    std::fill_n(rewarded[col::reward{}].begin(), 3, 0.5);
    EXPECT_EQ(pass(Reward{}, Sum{}, rewarded).loss, 0.0);
}

TEST(Preference, AGroupThatIsNoPairIsAnError) {
    const std::int64_t tokens[] = {0, 1, 2, 3}, group[] = {0, 3};
    BatchOf<DirectPreference> batch(tokens, group);
    try {
        pass(DirectPreference{}, Sum{}, batch);
        ADD_FAILURE();
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(), "group 0 has 3 sequences, expected a pair");
    }
}

/// One pair that always wins: the margin of DPO grows without end, IPO's rests at 1 / (2 beta). arXiv 2310.12036,
/// sec. 5.
TEST(Preference, IdentityLossStopsWhereDirectPreferenceGoesOn) {
    auto margin_after = [](const auto& loss) {
        double margin = 0.0;
        for (int step = 0; step < 200000; ++step)
            margin -= 0.05 * 2.0 * loss.of(pair::View<double>{margin / 2, -margin / 2}).by_chosen;
        return margin;
    };
    EXPECT_NEAR(margin_after(pair::Squared{0.1}), 5.0, 1e-9);
    EXPECT_GT(margin_after(pair::Logistic{0.1}), 50.0);
}

TEST(Preference, ScoresOfARewardModel) {
    pair::BradleyTerry loss{0.01};
    for (double label : {0.0, 0.3, 1.0})
        for (double c : {-40.0, -0.7, 2.0}) {
            auto said = loss.of(c, 0.4, 0.1, label);
            const double step = 1e-6;
            expect_close(
                said.by_chosen,
                (loss.of(c + step, 0.4, 0.1, label).value - loss.of(c - step, 0.4, 0.1, label).value) / (2 * step),
                1e-7, "by_chosen");
            expect_close(
                said.by_rejected,
                (loss.of(c, 0.4 + step, 0.1, label).value - loss.of(c, 0.4 - step, 0.1, label).value) / (2 * step),
                1e-7, "by_rejected");
        }
    EXPECT_DOUBLE_EQ(loss.of(0.0, 0.0).value, std::log(2.0));
}

TEST(Preference, IsAnOptimizer) {
    using Part = optimizer::Preference<DirectPreference, step::AdamW>;
    static_assert(OptimizerPart<Part>);
    static_assert(std::is_same_v<std::remove_cvref_t<decltype(Part{}.aggregate)>, Sum>);
    EXPECT_EQ(std::tuple_size_v<decltype(Part{}.terms({}))>, 1u);
}

}  // namespace
}  // namespace roars::preference_test
