#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "against_host.hpp"
#include "on_device.hpp"
#include "roars/methods/grpo.hpp"
#include "roars/methods/preference.hpp"
#include "roars/optimizer/correction.hpp"
#include "roars/optimizer/preference/around_pairs.hpp"
#include "roars/optimizer/preference/sorted_pairs.hpp"
#include "roars/optimizer/surrogates/by_kind.hpp"
#include "roars/optimizer/surrogates/covariance.hpp"
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

/// Surrogates that choose tokens of the whole batch. Draws of few values are often equal.
struct RoundedDraws {
    using needs = columns<>;
    static constexpr bool everywhere = true;
    ROARS_FN double operator()(const Random& random, const draw::Sequence& sequence, std::int64_t place) const {
        return double(int(3 * draw::BySequence{}(random, sequence, place))) / 3;
    }
};
struct UnknownToDevices : RoundedDraws {
    static constexpr bool everywhere = false;
};
static_assert(!runs_on_device<With<surrogate::ClipCov<UnknownToDevices>>>);
static_assert(!runs_on_device<With<surrogate::TopEntropy<surrogate::ClipCov<>>>>);
static_assert(!runs_on_device<With<surrogate::OffPolicySequenceMask<surrogate::ClipCov<>>>>);

template <class Visit>
void for_each_chooser(Visit&& visit) {
    visit(surrogate::KlCov{.fraction = 0.1});
    visit(surrogate::ClipCov<>{.fraction = 0.1, .cov_low = -0.05, .cov_high = 0.1});
    visit(surrogate::ClipCov<RoundedDraws>{.fraction = 0.1, .cov_low = -0.05, .cov_high = 0.1});
    visit(surrogate::TopEntropy<surrogate::Clip>{.fraction = 0.3});
    visit(surrogate::TopEntropy<surrogate::OffPolicySequenceMask<surrogate::SequenceClip>>{{.threshold = 0.01}, 0.3});
}

TYPED_TEST(EverywhereOnDevice, ChosenTokensAreTheHosts) {
    for_each_chooser([]<class Surrogate>(const Surrogate& surrogate) {
        using A = With<Surrogate>;
        static_assert(runs_on_device<A>);
        expect_the_hosts<TypeParam, A, double>({.optimizer = {.surrogate = surrogate}}, 1e-11);
        expect_the_hosts<TypeParam, A, float>({.optimizer = {.surrogate = surrogate}}, 1e-4);
    });
    // A surrogate with sums of its own stays on the host, with what stands around it.
    using A = With<surrogate::TopEntropy<surrogate::ClipCov<UnknownToDevices>>>;
    expect_the_hosts<TypeParam, A, double>({.optimizer = {.surrogate = {{.fraction = 0.1, .cov_low = -0.05}, 0.3}}},
                                           1e-11);
}

/// The columns of tokens of a batch's piece, which begins at token `first`, are the batch's.
template <class Column, class HostBatch>
void expect_part_of(const HostBatch& piece, const HostBatch& whole, std::int64_t first, double tolerance) {
    if constexpr (Column::extent == Extent::token && Column::kind == Kind::real)
        for (std::int64_t t = 0; t < piece.tokens(); ++t)
            ASSERT_NEAR(piece[Column{}][std::size_t(t)], whole[Column{}][std::size_t(first + t)], tolerance)
                << Column::name << ' ' << first + t;
}
template <class HostBatch, class... Column>
void expect_part_of(const HostBatch& piece, const HostBatch& whole, std::int64_t first, double tolerance,
                    columns<Column...>) {
    (expect_part_of<Column>(piece, whole, first, tolerance), ...);
}
/// Loss, gradients and what is chosen, of a batch in one piece and in several, with the host's of the whole. What comes
/// after the first time takes no memory.
template <class D, class A, class Real, class Set>
void expect_the_hosts_in_pieces(const A& algorithm, roars::Batch<Real, Set> whole,
                                const std::vector<std::int64_t>& cuts, double tolerance) {
    backend::Host cpu;
    roars::Run host_run{cpu};
    typename A::State state{};
    auto uncut = whole;
    auto expected = algorithm.objective(host_run, state, whole);

    D device;
    roars::Run run{device};
    Objective objective(device, algorithm);
    std::vector<Batch<Real, Set, D>> pieces;
    for (std::size_t k = 0; k + 1 < cuts.size(); ++k)
        pieces.emplace_back(device, uncut.slice_groups(cuts[k], cuts[k + 1]));
    std::int64_t allocations = 0;
    for (int turn = 0; turn < 3; ++turn) {
        if constexpr (requires { device.allocations; }) {
            if (turn == 1) allocations = device.allocations;
            if (turn == 2) EXPECT_EQ(device.allocations, allocations);
        }
        objective.begin();
        for (auto& piece : pieces) objective.add(run, state, piece);
        double loss = 0.0;
        std::int64_t first = 0;
        for (auto& piece : pieces) {
            objective(run, state, piece);
            loss += objective.read(piece).loss();
            expect_part_of(piece.download(Set{}), whole, first, tolerance, Set{});
            first += piece.tokens();
        }
        EXPECT_NEAR(loss, expected.loss(), tolerance);
    }
}
/// Four groups of two sequences, and the first two of them once more at the end. One sequence is empty, one is `length`
/// long.
template <class Set, class Real>
roars::Batch<Real, Set> batch_with_equal_sequences(std::int64_t length) {
    const std::vector<std::int64_t> lengths{40, 0, 3, 40, length, 7, 110, 1};
    std::vector<std::int64_t> tokens{0};
    for (std::int64_t each : lengths) tokens.push_back(tokens.back() + each);
    roars::Batch<Real, Set> batch(tokens, std::vector<std::int64_t>{0, 2, 4, 6, 8});
    std::mt19937 engine(5);
    fill(batch, engine, Set{});
    if constexpr (roars::Batch<Real, Set>::template has<col::entropy>)
        for (auto& x : batch[col::entropy{}]) x = std::round(10 * x) / 10;
    batch.append(batch.slice_groups(0, 2));
    return batch;
}
template <class A>
using WithoutMask = minus_t<WithMask<A>, columns<col::mask>>;

template <class D, class Set, class Real, class A>
void expect_ties(const A& algorithm, double tolerance) {
    auto expect_each = [&](const auto& batch) {
        for (const std::vector<std::int64_t>& cuts : {std::vector<std::int64_t>{0, 6}, {0, 1, 3, 5, 6}})
            expect_the_hosts_in_pieces<D, A>(algorithm, batch, cuts, tolerance);
    };
    auto batch = batch_with_equal_sequences<Set, Real>(200);
    expect_each(batch);
    for (auto& a : batch[col::advantage{}]) a = 0.7f;  // every covariance is 0
    expect_each(batch);
    for (auto column : {batch[col::logp{}], batch[col::logp_old{}]})
        for (auto& x : column) x = std::round(2 * x) / 2;  // and equal sequences that are short
    expect_each(batch);
    if constexpr (roars::Batch<Real, Set>::template has<col::mask>) {
        for (auto& mask : batch[col::mask{}]) mask = 0;
        expect_each(batch);
    }
}
TYPED_TEST(EverywhereOnDevice, TokensOfEqualKeysAreChosenAsOnTheHost) {
    for_each_chooser([]<class Surrogate>(Surrogate surrogate) {
        if constexpr (requires { surrogate.cov_high; }) surrogate.cov_low = -1.0, surrogate.cov_high = 1.0;
        using A = With<Surrogate>;
        A algorithm{.optimizer = {.surrogate = surrogate}};
        expect_ties<TypeParam, WithMask<A>, double>(algorithm, 1e-11);
        expect_ties<TypeParam, WithoutMask<A>, double>(algorithm, 1e-11);
        expect_ties<TypeParam, WithMask<A>, float>(algorithm, 1e-4);
        roars::Batch<double, WithMask<A>> empty(std::vector<std::int64_t>{0}, std::vector<std::int64_t>{0});
        expect_the_hosts_in_pieces<TypeParam, A>(algorithm, empty, {0, 0}, 1e-11);
        roars::Batch<double, WithMask<A>> tokenless(std::vector<std::int64_t>{0, 0, 0},
                                                    std::vector<std::int64_t>{0, 1, 2});
        expect_the_hosts_in_pieces<TypeParam, A>(algorithm, tokenless, {0, 1, 2}, 1e-11);
    });
}

struct Wanted {
    std::int64_t count;
    ROARS_FN std::int64_t operator()(std::int64_t) const { return count; }
};
template <class Ranked>
struct ShareOfKey {
    Ranked ranked;
    const double* keys;
    const std::uint64_t* marks;
    double* to;
    ROARS_FN void operator()(std::int64_t j) const { to[j] = ranked.share(keys[j], marks[j]); }
};
/// Chosen shares of keys with marks: those of the host, which counts.
TYPED_TEST(EverywhereOnDevice, SmallestKeysAreTheHosts) {
    backend::Host host;
    TypeParam device;
    std::mt19937 engine(9);
    for (std::int64_t count : {0, 1, 7, 300, 5000})
        for (int kinds : {1, 3, 1000}) {
            std::vector<double> keys;
            std::vector<std::uint64_t> marks;
            for (std::int64_t j = 0; j < count; ++j) {
                keys.push_back(engine() % 5 == 0 ? NAN : engine() % 9 == 0 ? -0.0 : double(engine() % kinds));
                marks.push_back(engine() % 3 == 0 ? ~std::uint64_t{0} - (engine() % 2) * 2
                                                  : roars::detail::mixed(engine() % 40));
            }
            for (std::int64_t wanted : {0L, 1L, 2L, 100L, 3999L, 4000L, 9999L}) {
                roars::detail::SmallestKeys expected(
                    host, count, [&](std::int64_t j) { return keys[std::size_t(j)]; },
                    [&](std::int64_t j) { return marks[std::size_t(j)]; }, [=](std::int64_t) { return wanted; });
                auto keys_there = put(device, keys);
                auto marks_there = put(device, marks);
                Buffer<double, TypeParam> shares(device, count);
                roars::detail::RankedKeys<TypeParam> ranked(device, keys_there.data(), marks_there.data(), count,
                                                            Wanted{wanted});
                for_each(device, count,
                         ShareOfKey<decltype(ranked.view())>{ranked.view(), keys_there.data(), marks_there.data(),
                                                             shares.data()});
                auto is = shares.download();
                for (std::size_t j = 0; j < keys.size(); ++j)
                    ASSERT_EQ(is[j],
                              expected.asks(keys[j]) ? expected.share(marks[j]) : double(expected.takes(keys[j])))
                        << j << " of " << count << ", " << wanted << " wanted";
            }
        }
}

TYPED_TEST(EverywhereOnDevice, PrintsOfSequencesAreTheHosts) {
    using Set = columns<col::groups, col::mask, col::logp, col::advantage>;
    using Read = columns<col::advantage, col::logp>;
    auto host = batch_with_equal_sequences<Set, float>(9000);
    TypeParam device;
    roars::Run run{device};
    Batch<float, Set, TypeParam> batch(device, host);
    Buffer<std::uint64_t, TypeParam> prints(device, batch.sequences());
    roars::detail::sequence_prints<0, 1>(run, batch, roars::detail::numbers_of(run, batch, Read{}), prints.data());
    auto is = prints.download();
    for (std::int64_t i = 0; i < host.sequences(); ++i)
        EXPECT_EQ(is[std::size_t(i)], (roars::detail::sequence_print<0, 1>(roars::detail::numbers_of(host, Read{}), i)))
            << i;
    EXPECT_EQ(is[0], is[8]);
    EXPECT_NE(is[0], is[3]) << "as long";
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
