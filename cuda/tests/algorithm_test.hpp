#include <cmath>
#include <random>

#include "against_host.hpp"
#include "on_device.hpp"
#include "roars/advantage/best_minus_second.hpp"
#include "roars/advantage/decoupled_components.hpp"
#include "roars/advantage/optimal_token_baseline.hpp"
#include "roars/methods/copo.hpp"
#include "roars/methods/dapo.hpp"
#include "roars/methods/disco.hpp"
#include "roars/methods/dqn.hpp"
#include "roars/methods/gmpo.hpp"
#include "roars/methods/grpo.hpp"
#include "roars/methods/gspo.hpp"
#include "roars/methods/ppo.hpp"
#include "roars/methods/preference.hpp"
#include "roars/methods/reinforce_plus_plus.hpp"
#include "roars/objective_logits.hpp"
#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/optimizer/surrogates/weighted_likelihood.hpp"
#include "roars/regularizer/near_action.hpp"
#include "roars/reward/none.hpp"

namespace roars::gpu {
namespace {

template <class D>
struct AlgorithmOnDevice : OnDevice<D> {};
TYPED_TEST_SUITE(AlgorithmOnDevice, OneDevice);

TYPED_TEST(AlgorithmOnDevice, IsTheHosts) {
    static_assert(runs_on_device<methods::Grpo> && runs_on_device<methods::Gspo> && runs_on_device<methods::Gmpo>);
    static_assert(runs_on_device<methods::Disco> && runs_on_device<methods::Dpo>);
    expect_the_hosts<TypeParam, methods::Grpo, double>(methods::grpo, 1e-11);
    expect_the_hosts<TypeParam, methods::Grpo, float>(methods::grpo, 3e-5);
    expect_the_hosts<TypeParam, methods::Dapo, double>(methods::dapo, 1e-11);
    expect_the_hosts<TypeParam, methods::Gspo, double>(methods::gspo, 1e-11);
    expect_the_hosts<TypeParam, methods::Gmpo, double>(methods::gmpo, 1e-11);
    // GRPO with another surrogate.
    auto with = []<class Surrogate>(const Surrogate& surrogate) {
        using G = methods::Grpo;
        return Algorithm<G::Sampler, G::Reward, G::Advantage, G::Regularizer,
                         optimizer::PolicyGradient<Surrogate, aggregate::TokenMean, step::Recipe>>{
            methods::grpo.sampler,
            methods::grpo.reward,
            methods::grpo.advantage,
            methods::grpo.regularizer,
            {surrogate}};
    };
    auto vespo = with(surrogate::VariationalWeight{});
    auto topr = with(surrogate::TaperedWeight{});
    static_assert(runs_on_device<decltype(vespo)> && runs_on_device<decltype(topr)>);
    expect_the_hosts<TypeParam, decltype(vespo), double>(vespo, 1e-11);
    expect_the_hosts<TypeParam, decltype(topr), double>(topr, 1e-11);
    expect_the_hosts<TypeParam, methods::Ppo, double>(methods::ppo, 1e-11);
    expect_the_hosts<TypeParam, methods::ReinforcePlusPlus, double>(methods::reinforce_plus_plus, 1e-11);
    expect_the_hosts<TypeParam, methods::Disco, double>(methods::disco, 1e-11);
    expect_the_hosts<TypeParam>(methods::dpo, random_batch<double, WithMask<methods::Dpo>>(pair_offsets), 1e-11);
    expect_the_hosts<TypeParam, methods::Kto, double>(methods::kto, 1e-11);
    expect_the_hosts<TypeParam, methods::Copo, double>(methods::copo, 1e-11);
}

/// Rows of actions and of quantiles.
template <class Real, class A>
auto rows_batch(std::int64_t actions, std::int64_t quantiles) {
    auto batch = random_batch<Real, WithMask<A>>();
    std::mt19937 engine(4);
    for_each_column(WithMask<A>{}, [&]<class C>(C column) {
        using namespace col;
        if constexpr (contains_v<C, columns<policy_action, action, q_gradient>>) batch.set_width(column, actions);
        if constexpr (contains_v<C, columns<col::quantiles>>) batch.set_width(column, quantiles);
        if constexpr (contains_v<C, columns<next_target_quantiles>>) batch.set_width(column, actions * quantiles);
    });
    fill(batch, engine, WithMask<A>{});
    return batch;
}
TYPED_TEST(AlgorithmOnDevice, TermsOfRowsAreTheHosts) {
    // TD3 + BC behind critics that somebody else trains; its climb needs a sum over the whole batch.
    using Climbs = Algorithm<sampler::Groups, reward::None, advantage::None, regularizer::NearAction<>,
                             optimizer::PolicyGradient<surrogate::NormalisedClimb, aggregate::TokenMean, step::AdamW>>;
    static_assert(runs_on_device<Climbs> && runs_on_device<methods::QuantileDeepQ>);
    expect_the_hosts<TypeParam>(Climbs{}, rows_batch<double, Climbs>(3, 1), 1e-11);
    expect_the_hosts<TypeParam>(Climbs{}, rows_batch<float, Climbs>(3, 1), 3e-5);
    expect_the_hosts<TypeParam>(methods::qr_dqn, rows_batch<double, methods::QuantileDeepQ>(3, 5), 1e-11);
}

TYPED_TEST(AlgorithmOnDevice, AdvantagesAreTheHosts) {
    expect_the_hosts_advantage<TypeParam>(advantage::GroupZScore{});
    expect_the_hosts_advantage<TypeParam>(advantage::LeaveOneOut{});
    expect_the_hosts_advantage<TypeParam>(advantage::GroupMeanBatchSpread{});
    expect_the_hosts_advantage<TypeParam>(advantage::BatchBaseline{});
    expect_the_hosts_advantage<TypeParam>(advantage::LeaveOneOutZScore{});
    expect_the_hosts_advantage<TypeParam>(advantage::LengthWeightedBaseline{});
    expect_the_hosts_advantage<TypeParam>(advantage::ScaledMeanBaseline{});
    expect_the_hosts_advantage<TypeParam>(advantage::BestMinusSecond{});
    expect_the_hosts_advantage<TypeParam>(advantage::Gdpo{});
    expect_the_hosts_advantage<TypeParam>(advantage::OptimalTokenBaseline<weight::Column<col::importance_weight>>{});
    expect_the_hosts_advantage<TypeParam>(advantage::Gae<>{});
    expect_the_hosts_advantage<TypeParam>(advantage::VTrace<>{.lambda = 0.9});
    expect_the_hosts_advantage<TypeParam>(advantage::LeakyVTrace<>{.lambda = 0.9});
    expect_the_hosts_advantage<TypeParam>(advantage::RewardToGo{0.97});
    expect_the_hosts_advantage<TypeParam>(advantage::GaeTokens<>{.gamma = 0.98});
    expect_the_hosts_advantage<TypeParam>(advantage::LengthAdaptiveGae<>{.gamma = 0.98});
    expect_the_hosts_advantage<TypeParam>(advantage::Whiten<advantage::RewardToGo>{});
    expect_the_hosts_advantage<TypeParam>(advantage::WhitenedGroupMean{});
}

TYPED_TEST(AlgorithmOnDevice, FromLogitsIsTheHosts) {
    using A = methods::Grpo;
    using Set = unite_t<typename A::Columns, columns<col::mask, col::token>>;
    constexpr std::int64_t vocabulary = 37;
    auto host = random_batch<double, Set>();
    std::mt19937 engine(8);
    std::normal_distribution<double> normal;
    for (auto& token : host[col::token{}]) token = std::int32_t(engine() % vocabulary);
    std::vector<double> logits(std::size_t(host.tokens() * vocabulary));
    for (auto& x : logits) x = normal(engine);
    TypeParam device;
    roars::Run run{device};
    Batch<double, Set, TypeParam> batch(device, host);
    Buffer<double, TypeParam> there(device, std::span<const double>(logits));
    A::State state{};
    Objective objective(device, methods::grpo);
    objective.count(run, state, batch);
    objective.from_logits(run, state, batch, Logits<double>(there.data(), batch.tokens(), vocabulary), 1.2);
    auto result = objective.read(batch);

    backend::Host cpu;
    roars::Run host_run{cpu};
    auto expected =
        objective_from_logits(methods::grpo, host_run, state, host, methods::grpo.totals(host_run, state, host),
                              std::span(logits), vocabulary, 1.2);
    EXPECT_NEAR(result.loss(), expected.loss(), 1e-12);
    auto gradient = there.download();
    for (std::size_t i = 0; i < logits.size(); ++i) ASSERT_NEAR(gradient[i], logits[i], 1e-12) << i;
}

/// The loss of a batch, and of its two halves after both were counted.
template <class D, class A>
void expect_micro_batches_are_the_batch(const A& algorithm) {
    auto host = random_batch<double, WithMask<A>>();
    backend::Host cpu;
    roars::Run host_run{cpu};
    typename A::State state{};
    algorithm.score(host_run, state, host);
    algorithm.estimate(host_run, state, host);
    D device;
    roars::Run run{device};
    bool groups = host.groups() > 0;
    Batch<double, WithMask<A>, D> all(device, host),
        left(device, groups ? host.slice_groups(0, 2) : host.slice_sequences(0, 4)),
        right(device, groups ? host.slice_groups(2, 4) : host.slice_sequences(4, 8));
    Objective objective(device, algorithm);
    objective.count(run, state, all);
    objective(run, state, all);
    double whole_loss = objective.read(all).loss();
    const double loss = loss_in_two(objective, run, state, left, right);
    EXPECT_NEAR(loss, whole_loss, 1e-12 * (1 + std::abs(whole_loss)));
}
TYPED_TEST(AlgorithmOnDevice, MicroBatchesAreTheBatch) {
    expect_micro_batches_are_the_batch<TypeParam>(methods::gspo);
    expect_micro_batches_are_the_batch<TypeParam>(methods::disco);  // with two phases
    expect_micro_batches_are_the_batch<TypeParam>(methods::kto);
}

/// What cannot be a pair is an error of the host; a device cannot throw, and makes the loss NaN, which is told of.
TYPED_TEST(AlgorithmOnDevice, AGroupThatIsNoPairIsTold) {
    using A = methods::Dpo;
    TypeParam device;
    roars::Run run{device};
    A::State state{};
    Batch<double, WithMask<A>, TypeParam> batch(device, random_batch<double, WithMask<A>>());
    Objective objective(device, methods::dpo);
    objective.count(run, state, batch);
    objective(run, state, batch);
    EXPECT_THROW(objective.read(batch), Error);
}

TYPED_TEST(AlgorithmOnDevice, ASteadyLoopAllocatesNothing) {
    using A = methods::Grpo;
    using Set = unite_t<typename A::Columns, columns<col::mask>>;
    TypeParam device;
    roars::Run run{device};
    A::State state{};
    Batch<float, Set, TypeParam> batch(device, random_batch<float, Set>());
    Objective objective(device, methods::grpo);
    auto turn = [&] {
        estimate(methods::grpo, run, state, batch);
        objective.count(run, state, batch);
        objective(run, state, batch);
    };
    turn();
    turn();
    auto before = device.arena().capacity();
    for (int i = 0; i < 3; ++i) turn();
    EXPECT_EQ(device.arena().capacity(), before);
}

}  // namespace
}  // namespace roars::gpu
