#include <cmath>
#include <random>

#include "on_device.hpp"
#include "roars/critic/squared_errors.hpp"
#include "roars/critic/value_loss.hpp"
#include "roars/cuda/objective.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogate.hpp"
#include "roars/optimizer/surrogates/all_actions.hpp"
#include "roars/optimizer/surrogates/balanced_climb.hpp"
#include "roars/optimizer/surrogates/damped_climb.hpp"
#include "roars/optimizer/surrogates/quantile_regression.hpp"
#include "roars/optimizer/surrogates/sequence_clip.hpp"
#include "roars/optimizer/surrogates/variational.hpp"
#include "roars/regularizer/action_size.hpp"
#include "roars/regularizer/advantage_constraint.hpp"
#include "roars/regularizer/gaussian_trust.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/regularizer/mean_discrepancy.hpp"
#include "roars/regularizer/near_action.hpp"
#include "roars/regularizer/near_references.hpp"

namespace roars::gpu {
namespace {

template <class D>
struct ObjectiveOnDevice : OnDevice<D> {};
TYPED_TEST_SUITE(ObjectiveOnDevice, OneDevice);

template <class Real>
constexpr double tolerance = sizeof(Real) == 8 ? 1e-13 : 2e-5;

template <class C, class BatchType>
void fill_one(BatchType& batch, std::mt19937& engine) {
    std::normal_distribution<double> normal;
    if constexpr (!is_gradient_v<C>)
        for (auto& x : batch[C{}]) x = typename BatchType::Real(normal(engine));
    if constexpr (contains_v<C, columns<col::latent_deviation, col::policy_deviation, col::policy_deviation_old>>)
        for (auto& x : batch[C{}]) x = std::abs(x) + typename BatchType::Real(0.1);
}
template <class BatchType, class... Column>
void fill(BatchType& batch, std::mt19937& engine, columns<Column...>) {
    (fill_one<Column>(batch, engine), ...);
}
/// 4 numbers a row, 2 of an action of which there are several.
template <class Real, class Set, class Rows = columns<>>
roars::Batch<Real, Set> random_batch(const std::vector<std::int64_t>& offsets) {
    roars::Batch<Real, Set> batch(offsets);
    for_each_column(Rows{}, [&]<class C>(C column) {
        batch.set_width(column, std::is_same_v<C, col::action> && contains_v<col::policy_samples, Rows> ? 2 : 4);
    });
    std::mt19937 engine(3);
    fill(batch, engine, Set{});
    if constexpr (contains_v<col::mask, Set>)
        for (std::size_t t = 0; t < batch[col::mask{}].size(); ++t) {
            batch[col::mask{}][t] = engine() % 4 ? Real(1) : Real(0);
            if constexpr (contains_v<col::logp, Set>)
                if (batch[col::mask{}][t] == Real(0)) batch[col::logp{}][t] = Real(NAN);
        }
    return batch;
}

const std::vector<std::vector<std::int64_t>> shapes{
    {0}, {0, 0}, {0, 1}, {0, 0, 3, 3, 7, 7}, {0, 8191, 8193}, {0, 4, 4, 5000, 5001, 9000, 20003}, {0, 16384}};

template <class C, class Real, class HostBatch>
void expect_gradient(const HostBatch& is, const HostBatch& should) {
    if constexpr (is_gradient_v<C>)
        for (std::size_t t = 0; t < should[C{}].size(); ++t)
            ASSERT_NEAR(is[C{}][t], should[C{}][t], tolerance<Real> * (std::abs(double(should[C{}][t])) + 1e-6)) << t;
}
template <class Real, class HostBatch, class... Column>
void expect_gradients(const HostBatch& is, const HostBatch& should, columns<Column...>) {
    (expect_gradient<Column, Real>(is, should), ...);
}

/// Loss, metrics and gradients are the host's. `shift` columns begin so many values behind an aligned address.
template <class D, class Set, class Real, class... Entry>
void expect_the_hosts(const Entry&... entry) {
    for (const auto& offsets : shapes)
        for (std::int64_t shift : {0, 1}) {
            using Rows = unite_t<typename roars::detail::rows_of<typename Entry::Term>::type...>;
            if (Rows::size > 0 && (offsets.back() > 10000 || shift > 0)) continue;  // rows are read one by one
            auto host = random_batch<Real, Set, Rows>(offsets);
            backend::Host cpu;
            D device;
            Batch<Real, Set, D> batch(device, host);
            Buffer<Real, D> moved(device, host.tokens() + shift);
            if constexpr (contains_v<col::logp, Set>)
                if (shift && host.tokens() > 0) {
                    device.copy(moved.data() + shift, batch[col::logp{}], std::size_t(host.tokens()) * sizeof(Real),
                                Way::within);
                    batch.borrow(col::logp{}, moved.data() + shift, host.tokens());
                }
            Buffer<Counts, D> counts(device, sizeof...(Entry));
            Buffer<Outcome, D> outcome(device, 1);
            std::array<Counts, sizeof...(Entry)> counted{roars::count<mask_of<typename Entry::Term>>(cpu, host)...};
            std::int64_t k = 0;
            (count<mask_of<typename Entry::Term>>(device, batch, counts.data() + k++), ...);
            for (std::size_t i = 0; i < counted.size(); ++i) {
                ASSERT_EQ(counts.download()[i].tokens, counted[i].tokens);
                ASSERT_EQ(counts.download()[i].live_sequences, counted[i].live_sequences);
                ASSERT_EQ(counts.download()[i].sequences, counted[i].sequences);
            }
            auto expected = roars::evaluate(cpu, host, counted, entry...);
            evaluate(device, batch, counts.data(), outcome.data(), entry...);
            auto result = read_outcome<typename Entry::Term...>(device, batch, outcome.data());
            EXPECT_EQ(result.tokens, expected.tokens);
            EXPECT_EQ(result.own_tokens, expected.own_tokens);
            for (std::size_t i = 0; i < result.terms; ++i)
                EXPECT_NEAR(result.term_loss[i], expected.term_loss[i],
                            tolerance<Real> * (1 + std::abs(expected.term_loss[i])));
            for (std::size_t i = 0; i < result.measured; ++i)
                EXPECT_NEAR(result.metric_sum[i], expected.metric_sum[i],
                            tolerance<Real> * double(1 + expected.tokens));
            expect_gradients<Real>(batch.download(Set{}), host, Set{});
        }
}

using GrpoSet = columns<col::mask, col::logp, col::logp_old, col::logp_ref, col::advantage, col::grad<col::logp>>;

TYPED_TEST(ObjectiveOnDevice, TwoTermsWithAWeightPerSequence) {
    expect_the_hosts<TypeParam, GrpoSet, double>(Weighed{surrogate::Clip{}, aggregate::SequenceMean{}},
                                                 Weighed{regularizer::Kl<>{}, aggregate::SequenceMean{}});
    expect_the_hosts<TypeParam, GrpoSet, float>(Weighed{surrogate::Clip{}, aggregate::SequenceMean{}},
                                                Weighed{regularizer::Kl<>{}, aggregate::TokenMean{}});
}
TYPED_TEST(ObjectiveOnDevice, NoMaskAndNoRoomForAGradient) {
    using Set = columns<col::logp, col::advantage>;
    expect_the_hosts<TypeParam, Set, double>(Weighed{surrogate::PolicyGradient{}, aggregate::TokenMean{}});
    expect_the_hosts<TypeParam, Set, double>(Weighed{surrogate::PolicyGradient{}, aggregate::SequenceSumOverLength{}});
}
TYPED_TEST(ObjectiveOnDevice, AColumnOfSequences) {
    using Set =
        columns<col::mask, col::logp, col::logp_old, col::advantage, col::sequence_log_ratio, col::grad<col::logp>>;
    expect_the_hosts<TypeParam, Set, float>(Weighed{surrogate::SequenceClip{0.2, 0.2}, aggregate::SequenceMean{}});
    expect_the_hosts<TypeParam, Set, double>(Weighed{surrogate::SequenceClip{0.2, 0.2}, aggregate::TokenSum{}});
}
TYPED_TEST(ObjectiveOnDevice, ThreeTermsAndThreeGradients) {
    using Set = columns<col::mask, col::logp, col::logp_old, col::advantage, col::entropy, col::value, col::value_old,
                        col::returns, col::grad<col::logp>, col::grad<col::entropy>, col::grad<col::value>>;
    expect_the_hosts<TypeParam, Set, double>(Weighed{surrogate::Clip{}, aggregate::TokenMean{}},
                                             Weighed{regularizer::EntropyBonus{}, aggregate::TokenMean{}},
                                             Weighed{critic::ClippedValue{}, aggregate::TokenMean{}});
}

/// A term that counts other tokens.
struct ExternalBonus : regularizer::EntropyBonus {
    using mask = col::external;
};
TYPED_TEST(ObjectiveOnDevice, TermsOfOtherTokensCountTheirs) {
    using Set = columns<col::mask, col::external, col::logp, col::advantage, col::entropy, col::grad<col::logp>,
                        col::grad<col::entropy>>;
    expect_the_hosts<TypeParam, Set, double>(Weighed{surrogate::PolicyGradient{}, aggregate::TokenMean{}},
                                             Weighed{ExternalBonus{}, aggregate::TokenMean{}});
}

template <class D, class... Entry>
void expect_rows_are_the_hosts(const Entry&... entry) {
    using Set = unite_t<columns<col::mask>, needs_of<typename Entry::Term>...,
                        columns<col::grad<col::policy_action>, col::grad<col::entropy>, col::grad<col::quantiles>,
                                col::grad<col::logits>, col::grad<col::policy_samples>, col::grad<col::policy_mean>,
                                col::grad<col::latent_deviation>, col::grad<col::value>>>;
    expect_the_hosts<D, Set, double>(entry...);
    expect_the_hosts<D, Set, float>(entry...);
}
TYPED_TEST(ObjectiveOnDevice, RowsAndLanesInOneObjective) {
    using namespace aggregate;
    expect_rows_are_the_hosts<TypeParam>(
        Weighed{surrogate::Climb{}, TokenMean{}}, Weighed{regularizer::EntropyBonus{0.3}, SequenceMean{}},
        Weighed{regularizer::NearAction<>{}, SequenceMean{}}, Weighed{regularizer::ActionSize{0.1}, TokenSum{}});
    expect_rows_are_the_hosts<TypeParam>(
        Weighed{surrogate::BalancedClimb{}, TokenMean{}}, Weighed{regularizer::NearReferences{}, TokenMean{}},
        Weighed{surrogate::DampedClimb{}, TokenMean{}}, Weighed{regularizer::AdvantageConstraint{}, SequenceMean{}});
}
TYPED_TEST(ObjectiveOnDevice, RowsAlone) {
    using namespace aggregate;
    expect_rows_are_the_hosts<TypeParam>(Weighed{surrogate::QuantileRegression{}, TokenMean{}},
                                         Weighed{surrogate::AllActions<surrogate::all_actions::Regret>{}, TokenMean{}},
                                         Weighed{regularizer::GaussianKl<4>{{1, 2, 3, 4, 5, 6, 7, 8}}, TokenMean{}},
                                         Weighed{surrogate::Variational{}, TokenMean{}});
    expect_rows_are_the_hosts<TypeParam>(Weighed{regularizer::MeanDiscrepancy<>{}, TokenMean{}});
    expect_rows_are_the_hosts<TypeParam>(Weighed{critic::SquaredErrors{}, SequenceMean{}});
}

TYPED_TEST(ObjectiveOnDevice, NamesTheFirstValueThatIsNotFinite) {
    auto host = random_batch<float, GrpoSet>({0, 3, 6});
    std::fill(host[col::mask{}].begin(), host[col::mask{}].end(), 1.0f);
    std::fill(host[col::logp{}].begin(), host[col::logp{}].end(), -1.0f);
    host[col::logp_old{}][4] = INFINITY;
    TypeParam device;
    Batch<float, GrpoSet, TypeParam> batch(device, host);
    Buffer<Counts, TypeParam> counts(device, 1);
    Buffer<Outcome, TypeParam> outcome(device, 1);
    count(device, batch, counts.data());
    evaluate(device, batch, counts.data(), outcome.data(), Weighed{surrogate::Clip{}, aggregate::TokenMean{}});
    try {
        read_outcome<surrogate::Clip>(device, batch, outcome.data());
        FAIL();
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(),
                     "logp_old of token 4 (sequence 1) is inf, expected a finite number at a trainable token");
    }
}

TYPED_TEST(ObjectiveOnDevice, CountsOfMicroBatchesAddUp) {
    auto host = random_batch<float, GrpoSet>({0, 3, 6, 6});
    TypeParam device;
    Buffer<Counts, TypeParam> counts(device, 1), whole(device, 1);
    Batch<float, GrpoSet, TypeParam> all(device, host), left(device, host.slice_sequences(0, 1)),
        right(device, host.slice_sequences(1, 3));
    count(device, all, whole.data());
    count(device, left, counts.data());
    count(device, right, counts.data(), true);
    EXPECT_EQ(counts.download()[0].tokens, whole.download()[0].tokens);
    EXPECT_EQ(counts.download()[0].sequences, 3);
}

}  // namespace
}  // namespace roars::gpu
