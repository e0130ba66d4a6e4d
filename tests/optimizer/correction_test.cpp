#include "terms.hpp"

#include "roars/advantage/normalise.hpp"
#include "roars/optimizer/correction.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/surrogates/weighted.hpp"
#include "roars/regularizer/sum.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

namespace roars::correction_test {
namespace {

/// A batch of correction parts: Real tokens with an engine's and a trainer's log-probability.
using Corrected =
    Batch<double, columns<col::groups, col::mask, col::logp_old, col::logp_behaviour, col::importance_weight>>;

struct TwoEngines {
    using needs = columns<col::logp_old, col::logp_behaviour>;
    using differentiates = columns<>;
};

Corrected random_corrected(std::mt19937& random) {
    auto wide = random_batch<TwoEngines>(random, 5);
    Corrected batch(wide.token_offsets(), wide[col::groups{}]);
    auto copy = [&](auto column) { std::copy(wide[column].begin(), wide[column].end(), batch[column].begin()); };
    copy(col::mask{});
    copy(col::logp_old{});
    copy(col::logp_behaviour{});
    return batch;
}

template <class Visit>
void for_each_weight(Visit&& visit) {
    visit(correction::TruncatedToken{});
    visit(correction::TruncatedSequence{});
    visit(correction::IcePop{});
    visit(correction::IcePopSequence{});
    visit(correction::GeometricMask{});
    visit(correction::Normalised{});
}

template <class Part>
std::vector<double> weights(const Part& part, Corrected& batch) {
    backend::Host host;
    roars::Run run{host};
    part.shape(run, batch);
    return {batch[col::importance_weight{}].begin(), batch[col::importance_weight{}].end()};
}

RC_GTEST_PROP(Correction, WeightsAreZeroWhereMaskedAndNeverNegative, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    auto batch = random_corrected(random);
    auto ugly = batch;
    for (std::size_t t = 0; t < ugly[col::mask{}].size(); ++t)
        if (ugly[col::mask{}][t] == 0.0) ugly[col::logp_behaviour{}][t] = std::numeric_limits<double>::quiet_NaN();
    for_each_weight([&](const auto& part) {
        auto clean = weights(part, batch);
        EXPECT_EQ(weights(part, ugly), clean);
        for (std::size_t t = 0; t < clean.size(); ++t) {
            EXPECT_GE(clean[t], 0.0);
            if (batch[col::mask{}][t] == 0.0) {
                EXPECT_EQ(clean[t], 0.0);
            }
        }
    });
    RC_ASSERT(!::testing::Test::HasFailure());
}

/// An engine that agrees with the trainer needs no correction.
RC_GTEST_PROP(Correction, AgreementWeighsOne, (std::uint32_t seed)) {
    std::mt19937 random(seed);
    auto batch = random_corrected(random);
    std::copy(batch[col::logp_old{}].begin(), batch[col::logp_old{}].end(), batch[col::logp_behaviour{}].begin());
    backend::Host host;
    roars::Run run{host};
    for_each_weight([&](const auto& part) {
        auto w = weights(part, batch);
        for (std::size_t t = 0; t < w.size(); ++t) EXPECT_DOUBLE_EQ(w[t], batch[col::mask{}][t]);
    });
    bool any = count(host, batch).tokens > 0;
    EXPECT_DOUBLE_EQ(correction::effective_sample_size(run, batch), any ? 1.0 : 0.0);
    correction::Reject<correction::over::Largest, correction::within::K3> reject{{1e-9}};
    auto before = std::vector<double>(batch[col::mask{}].begin(), batch[col::mask{}].end());
    reject.shape(run, batch);
    EXPECT_TRUE(std::equal(before.begin(), before.end(), batch[col::mask{}].begin()));
    RC_ASSERT(!::testing::Test::HasFailure());
}

TEST(Correction, NormalisedWeightsHaveMeanOne) {
    std::mt19937 random(4);
    auto batch = random_corrected(random);
    auto w = weights(correction::Normalised{}, batch);
    double sum = std::accumulate(w.begin(), w.end(), 0.0);
    backend::Host host;
    EXPECT_NEAR(sum / double(count(host, batch).tokens), 1.0, 1e-12);
}

TEST(Correction, RejectionOfASequenceTakesAllOfIt) {
    std::mt19937 random(5);
    auto batch = random_corrected(random);
    backend::Host host;
    roars::Run run{host};
    correction::Reject<correction::over::Mean, correction::within::K2>{{0.5}}.shape(run, batch);
    random.seed(5);
    auto before = random_corrected(random);
    Offsets offsets = batch.token_offsets();
    int kept = 0, dropped = 0;
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
        bool same = true, gone = true;
        for (auto t = std::size_t(offsets[i]); t < std::size_t(offsets[i + 1]); ++t) {
            same = same && batch[col::mask{}][t] == before[col::mask{}][t];
            gone = gone && batch[col::mask{}][t] == 0.0;
        }
        EXPECT_TRUE(same || gone);
        kept += same && !gone;
        dropped += gone && !same;
    }
    EXPECT_GT(kept, 0);
    EXPECT_GT(dropped, 0);
}

/// The whole line: the weight reaches the surrogate, and rejected tokens count in no mean.
TEST(Correction, WorksInAnAlgorithm) {
    using Method =
        Algorithm<sampler::Groups, reward::Verified, advantage::BatchBaseline,
                  regularizer::Sum<correction::Reject<>, correction::TruncatedToken>,
                  optimizer::PolicyGradient<surrogate::Weighted<surrogate::Clip>, aggregate::TokenMean, step::AdamW>>;
    static_assert(contains_v<col::logp_behaviour, Method::Inputs>);
    static_assert(!contains_v<col::importance_weight, Method::Inputs>);
    const std::int64_t tokens[] = {0, 2, 4}, groups[] = {0, 1, 2};
    Method::BatchFor<double> batch(tokens, groups);
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    batch[col::outcome{}][0] = 1.0;
    batch[col::logp_behaviour{}][1] = -5.0;                // far away: rejected
    batch[col::logp_behaviour{}][2] = std::log(1 / 1.25);  // weight 1.25
    backend::Host host;
    roars::Run run{host};
    Method method;
    Method::State state;
    method.score(run, state, batch);
    method.estimate(run, state, batch);
    auto result = method.objective(run, state, batch);
    EXPECT_EQ(result.tokens, 3);
    auto gradient = batch[col::grad<col::logp>{}];
    EXPECT_NEAR(gradient[0], -0.5 / 3, 1e-12);
    EXPECT_EQ(gradient[1], 0.0);
    EXPECT_NEAR(gradient[2], 1.25 * 0.5 / 3, 1e-12);
    EXPECT_NEAR(result.metric("importance_weight"), (1 + 1.25 + 1) / 3, 1e-12);
}

}  // namespace
}  // namespace roars::correction_test
