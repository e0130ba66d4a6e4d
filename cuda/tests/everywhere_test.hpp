#include <algorithm>
#include <cmath>
#include <vector>

#include "against_host.hpp"
#include "on_device.hpp"
#include "roars/methods/grpo.hpp"
#include "roars/methods/preference.hpp"
#include "roars/optimizer/correction.hpp"
#include "roars/optimizer/preference/around_pairs.hpp"
#include "roars/optimizer/preference/sorted_pairs.hpp"
#include "roars/optimizer/surrogates/by_kind.hpp"
#include "roars/optimizer/surrogates/importance.hpp"
#include "roars/optimizer/surrogates/masked.hpp"
#include "roars/optimizer/surrogates/sequence_clip.hpp"
#include "roars/optimizer/surrogates/weighted.hpp"
#include "roars/regularizer/sum.hpp"
#include "roars/reward/combine.hpp"
#include "roars/reward/length.hpp"
#include "roars/reward/truncated.hpp"

/// Parts that run everywhere and that no method of the registry has, in algorithms of their own.
namespace roars::gpu {
namespace {

template <class D>
struct EverywhereOnDevice : OnDevice<D> {};
TYPED_TEST_SUITE(EverywhereOnDevice, OneDevice);

using G = methods::Grpo;
template <class Surrogate, class Regularizer = G::Regularizer, class Reward = reward::Verified>
using With = Algorithm<G::Sampler, Reward, G::Advantage, Regularizer,
                       optimizer::PolicyGradient<Surrogate, aggregate::TokenMean, step::Recipe>>;

TYPED_TEST(EverywhereOnDevice, MasksAndWeightsAreTheHosts) {
    using Masked = With<surrogate::OffPolicySequenceMask<surrogate::SequenceClip>>;
    static_assert(runs_on_device<Masked>);
    expect_the_hosts<TypeParam, Masked, double>({.optimizer = {.surrogate = {.threshold = 0.01}}}, 1e-11);
    // Corrections in the regularizer's slot, in order: the weights see the mask that a rejection has left.
    using Corrected =
        With<surrogate::Weighted<surrogate::Clip>,
             regularizer::Sum<correction::Reject<correction::over::Mean>, correction::Normalised, G::Regularizer>>;
    static_assert(runs_on_device<Corrected>);
    expect_the_hosts<TypeParam, Corrected, double>({}, 1e-11);
    expect_the_hosts<TypeParam, Corrected, float>({}, 1e-4);
    using Kinds = With<surrogate::ByKind<surrogate::SequenceClip, surrogate::MultipleImportance<behaviour::Known>>>;
    static_assert(runs_on_device<Kinds>);
    expect_the_hosts<TypeParam, Kinds, double>({}, 1e-11);
}

TYPED_TEST(EverywhereOnDevice, PairsAreTheHosts) {
    using Drawn = methods::OfflinePreference<surrogate::OnPolicyPairs<>>;
    static_assert(runs_on_device<Drawn>);
    expect_the_hosts<TypeParam>(Drawn{}, random_batch<double, WithMask<Drawn>>(pair_offsets), 1e-11);
    using Sorted = methods::OfflinePreference<surrogate::SortedPairwise<>>;
    static_assert(runs_on_device<Sorted>);
    expect_the_hosts<TypeParam>(Sorted{}, random_batch<double, WithMask<Sorted>>(pair_offsets), 1e-11);
}

template <class Loss>
using OnlinePreference = Algorithm<sampler::Groups, reward::Verified, advantage::None, regularizer::None,
                                   optimizer::Preference<Loss, step::Recipe>>;
/// Groups of any sizes, some without a pair; every other answer is the reference's.
template <class A>
auto groups_with_pairs() {
    auto batch = random_batch<double, WithMask<A>>();
    if constexpr (contains_v<col::external, typename A::Columns>)
        for (std::size_t i = 0; i + 1 < token_offsets.size(); ++i)
            std::fill(batch[col::external{}].begin() + token_offsets[i],
                      batch[col::external{}].begin() + token_offsets[i + 1], i % 2 == 0 ? 1.0 : 0.0);
    return batch;
}

TYPED_TEST(EverywhereOnDevice, PairsOfGroupsAreTheHosts) {
    using surrogate::ExploratoryPairs, surrogate::SortedMargins, pairing::BestAndWorst;
    using Base = surrogate::Pairwise<pair::Logistic, summary::LogRatio, BestAndWorst>;
    using Explored = OnlinePreference<ExploratoryPairs<Base>>;
    using Margins = OnlinePreference<SortedMargins<pair::Logistic, BestAndWorst>>;
    static_assert(runs_on_device<Explored> && runs_on_device<Margins>);
    expect_the_hosts<TypeParam>(Explored{.optimizer = {.surrogate = {.alpha = 0.3}}}, groups_with_pairs<Explored>(),
                                1e-11);
    expect_the_hosts<TypeParam>(Margins{}, groups_with_pairs<Margins>(), 1e-11);
}

TYPED_TEST(EverywhereOnDevice, AnAnswerThatIsExternalInPartIsFound) {
    using A = methods::OfflinePreference<surrogate::ExploratoryPairs<>>;
    auto host = random_batch<double, WithMask<A>>(pair_offsets);
    TypeParam device;
    roars::Run run{device};
    typename A::State state{};
    Batch<double, WithMask<A>, TypeParam> batch(device, host);
    Objective objective(device, A{});
    objective.count(run, state, batch);
    objective(run, state, batch);
    EXPECT_THROW(objective.read(batch), Error);
}

/// A sort of the whole batch, cut into micro-batches.
TYPED_TEST(EverywhereOnDevice, SortedPairsOfMicroBatchesAreTheWhole) {
    using A = methods::OfflinePreference<surrogate::SortedMargins<>>;
    using Set = WithMask<A>;
    auto whole = random_batch<double, Set>(pair_offsets);
    backend::Host cpu;
    roars::Run host_run{cpu};
    typename A::State state{};
    auto expected = A{}.objective(host_run, state, whole);

    TypeParam device;
    roars::Run run{device};
    Objective objective(device, A{});
    auto piece = [&](std::int64_t first, std::int64_t last) {
        return Batch<double, Set, TypeParam>(device, whole.slice_groups(first, last));
    };
    auto few = piece(0, 1), many = piece(1, 4);
    for (int turn = 0; turn < 2; ++turn)
        EXPECT_NEAR(loss_in_two(objective, run, state, few, many), expected.loss(), 1e-11);
    using Gradient = columns<col::grad<col::logp>>;
    auto one = few.download(Gradient{}), other = many.download(Gradient{});
    std::vector<double> gradient;
    for (auto* part : {&one, &other})
        gradient.insert(gradient.end(), (*part)[col::grad<col::logp>{}].begin(), (*part)[col::grad<col::logp>{}].end());
    for (std::size_t t = 0; t < gradient.size(); ++t)
        ASSERT_NEAR(gradient[t], whole[col::grad<col::logp>{}][t], 1e-11) << t;
}

TYPED_TEST(EverywhereOnDevice, RewardsAreTheHosts) {
    using Reward =
        reward::Sum<reward::Clip<reward::Scale<reward::Verified>>, reward::Gate<reward::Finished, reward::CosineLength>,
                    reward::LinearLength, reward::ReplaceTruncated<reward::PeriodicCosineLength>>;
    using A = With<surrogate::Clip, G::Regularizer, Reward>;
    static_assert(scores_on_device<A>);
    expect_the_hosts<TypeParam, A, double>({}, 1e-11);
}

}  // namespace
}  // namespace roars::gpu
