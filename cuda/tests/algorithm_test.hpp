#include <cmath>
#include <random>

#include "on_device.hpp"
#include "roars/cuda/algorithm.hpp"
#include "roars/methods/dapo.hpp"
#include "roars/methods/disco.hpp"
#include "roars/methods/gmpo.hpp"
#include "roars/methods/grpo.hpp"
#include "roars/methods/gspo.hpp"
#include "roars/methods/ppo.hpp"
#include "roars/methods/reinforce_plus_plus.hpp"
#include "roars/objective_logits.hpp"

namespace roars::gpu {
namespace {

template <class D>
struct AlgorithmOnDevice : OnDevice<D> {};
TYPED_TEST_SUITE(AlgorithmOnDevice, OneDevice);

const std::vector<std::int64_t> token_offsets{0, 5, 5, 9, 1500, 4000, 4001, 4003, 4010};
const std::vector<std::int64_t> group_offsets{0, 4, 4, 5, 8};

template <class C>
constexpr bool is_flag =
    std::is_same_v<C, col::mask> || std::is_same_v<C, col::done> || std::is_same_v<C, col::terminated> ||
    std::is_same_v<C, col::outcome> || std::is_same_v<C, col::truncated>;
template <class C, class BatchType>
void fill_one(BatchType& batch, std::mt19937& engine) {
    using Real = typename BatchType::Real;
    std::normal_distribution<double> normal;
    if constexpr (C::kind == Kind::real && !is_gradient_v<C>)
        for (auto& x : batch[C{}])
            x = is_flag<C> ? Real(engine() % 3 != 0) : Real(0.3 * normal(engine) - (C::name.substr(0, 4) == "logp"));
}
template <class BatchType, class... Column>
void fill(BatchType& batch, std::mt19937& engine, columns<Column...>) {
    (fill_one<Column>(batch, engine), ...);
}
template <class C, class HostBatch>
void expect_column(const HostBatch& is, const HostBatch& should, double tolerance) {
    if constexpr (C::kind == Kind::real)
        for (std::size_t t = 0; t < should[C{}].size(); ++t)
            ASSERT_NEAR(is[C{}][t], should[C{}][t], tolerance * (1e-3 + std::abs(double(should[C{}][t]))))
                << C::name << ' ' << t;
}
template <class HostBatch, class... Column>
void expect_columns(const HostBatch& is, const HostBatch& should, double tolerance, columns<Column...>) {
    (expect_column<Column>(is, should, tolerance), ...);
}
template <class Real, class Set>
roars::Batch<Real, Set> random_batch() {
    roars::Batch<Real, Set> batch(token_offsets);
    if constexpr (contains_v<col::groups, Set>) batch.set_offsets(col::groups{}, group_offsets);
    std::mt19937 engine(3);
    fill(batch, engine, Set{});
    return batch;
}

/// Rewards, advantage, loss and gradients of an algorithm, on the device and on the host.
template <class D, class A, class Real>
void expect_the_hosts(const A& algorithm, double tolerance) {
    using Set = unite_t<typename A::Columns, columns<col::mask>>;
    auto host = random_batch<Real, Set>();
    backend::Host cpu;
    roars::Run host_run{cpu};
    typename A::State state{}, device_state{};
    D device;
    roars::Run run{device};
    Batch<Real, Set, D> batch(device, host);

    algorithm.score(host_run, state, host);
    algorithm.estimate(host_run, state, host);
    auto expected = algorithm.objective(host_run, state, host);

    score(algorithm, run, device_state, batch);
    estimate(algorithm, run, device_state, batch);
    Objective objective(device, algorithm);
    objective.count(run, device_state, batch);
    objective(run, device_state, batch);
    auto result = objective.read(batch);

    EXPECT_EQ(result.tokens, expected.tokens);
    for (std::size_t k = 0; k < result.terms; ++k)
        EXPECT_NEAR(result.term_loss[k], expected.term_loss[k], tolerance * (1 + std::abs(expected.term_loss[k])));
    for (std::size_t m = 0; m < result.measured; ++m)
        EXPECT_NEAR(result.metric_sum[m], expected.metric_sum[m], tolerance * 4000);
    expect_columns(batch.download(Set{}), host, tolerance, Set{});
}

TYPED_TEST(AlgorithmOnDevice, IsTheHosts) {
    static_assert(runs_on_device<methods::Grpo> && runs_on_device<methods::Gspo> && runs_on_device<methods::Gmpo>);
    static_assert(!runs_on_device<methods::Disco>);
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
}

template <class D, class Part>
void expect_the_hosts_advantage(const Part& part) {
    using Set = unite_t<needs_of<Part>, gives_of<Part>, columns<col::mask>>;
    auto host = random_batch<double, Set>();
    backend::Host cpu;
    roars::Run host_run{cpu};
    state_of<Part> state{};
    D device;
    roars::Run run{device};
    Batch<double, Set, D> batch(device, host);
    roars::detail::call_estimate(part, host_run, state, host);
    estimate(part, run, state, batch);
    expect_columns(batch.download(Set{}), host, 1e-9, gives_of<Part>{});
}

TYPED_TEST(AlgorithmOnDevice, AdvantagesAreTheHosts) {
    expect_the_hosts_advantage<TypeParam>(advantage::GroupZScore{});
    expect_the_hosts_advantage<TypeParam>(advantage::LeaveOneOut{});
    expect_the_hosts_advantage<TypeParam>(advantage::GroupMeanBatchSpread{});
    expect_the_hosts_advantage<TypeParam>(advantage::BatchBaseline{});
    expect_the_hosts_advantage<TypeParam>(advantage::LeaveOneOutZScore{});       // on the host
    expect_the_hosts_advantage<TypeParam>(advantage::LengthWeightedBaseline{});  // on the host
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

TYPED_TEST(AlgorithmOnDevice, MicroBatchesAreTheBatch) {
    using A = methods::Gspo;
    using Set = unite_t<typename A::Columns, columns<col::mask>>;
    auto host = random_batch<double, Set>();
    TypeParam device;
    roars::Run run{device};
    A::State state{};
    Batch<double, Set, TypeParam> all(device, host), left(device, host.slice_groups(0, 2)),
        right(device, host.slice_groups(2, 4));
    Objective objective(device, methods::gspo);
    objective.count(run, state, all);
    objective(run, state, all);
    double whole_loss = objective.read(all).loss();
    objective.begin();
    objective.add(run, state, left);
    objective.add(run, state, right);
    objective(run, state, left);
    double loss = objective.read(left).loss();
    objective(run, state, right);
    loss += objective.read(right).loss();
    EXPECT_NEAR(loss, whole_loss, 1e-13);
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
