#include <cmath>

#include "against_host.hpp"
#include "on_device.hpp"
#include "roars/methods/grpo.hpp"
#include "roars/methods/preference.hpp"
#include "roars/optimizer/correction.hpp"
#include "roars/optimizer/preference/around_pairs.hpp"
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
    // Its sums are lists: on the host.
    using Sorted = methods::OfflinePreference<surrogate::SortedPairwise<>>;
    static_assert(!runs_on_device<Sorted>);
    expect_the_hosts<TypeParam>(Sorted{}, random_batch<double, WithMask<Sorted>>(pair_offsets), 1e-11);
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
