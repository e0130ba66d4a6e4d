#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "roars/cuda/algorithm.hpp"

/// A random batch, and what the host and a device make of it.
namespace roars::gpu {

inline const std::vector<std::int64_t> token_offsets{0, 5, 5, 9, 1500, 4000, 4001, 4003, 4010};
inline const std::vector<std::int64_t> group_offsets{0, 4, 4, 5, 8};

inline const std::vector<std::int64_t> pair_offsets{0, 2, 4, 6, 8};

template <class C>
constexpr bool is_flag = contains_v<
    C, columns<col::mask, col::done, col::terminated, col::outcome, col::truncated, col::chosen, col::mismatched,
               col::planning, col::external, col::format, col::verifiable, col::greedy_outcome, col::tool_calls>>;
template <class C, class BatchType>
void fill_one(BatchType& batch, std::mt19937& engine) {
    using Real = typename BatchType::Real;
    std::normal_distribution<double> normal;
    if constexpr (C::kind == Kind::real && !is_gradient_v<C>)
        for (auto& x : batch[C{}])
            x = is_flag<C> ? Real(engine() % 3 != 0) : Real(0.3 * normal(engine) - (C::name.substr(0, 4) == "logp"));
    if constexpr (std::is_same_v<C, col::cost>)
        for (auto& x : batch[C{}]) x = std::abs(x);
    if constexpr (std::is_same_v<C, col::sum_pi_squared>)
        for (auto& x : batch[C{}]) x = Real(0.5 + 0.1 * std::sin(double(x)));
    if constexpr (C::kind == Kind::index)
        for (auto& x : batch[C{}]) x = std::int32_t(engine() % 3);
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
/// The loss of a batch that comes in two pieces.
template <class Objective, class RunType, class State, class BatchType>
double loss_in_two(Objective& objective, RunType& run, State& state, BatchType& first, BatchType& second) {
    objective.begin();
    objective.add(run, state, first);
    objective.add(run, state, second);
    objective(run, state, first);
    double loss = objective.read(first).loss();
    objective(run, state, second);
    return loss + objective.read(second).loss();
}
/// Tokens of any number in sequences of any number, a turn for each of them; groups as they are given.
template <class Real, class Set>
roars::Batch<Real, Set> random_batch(const std::vector<std::int64_t>& groups = group_offsets) {
    roars::Batch<Real, Set> batch(token_offsets);
    if constexpr (contains_v<col::groups, Set>) batch.set_offsets(col::groups{}, groups);
    if constexpr (contains_v<col::turns, Set>) {
        batch.set_offsets(col::turns{}, std::vector<std::int64_t>{0, 2, 5, 9, 700, 1500, 4000, 4001, 4003, 4010});
        batch.set_offsets(col::turn_owner{}, std::vector<std::int64_t>{0, 2, 2, 3, 5, 6, 7, 8, 9});
    }
    std::mt19937 engine(3);
    fill(batch, engine, Set{});
    return batch;
}

/// A loop whose sizes stay allocates nothing, waits for nothing and copies nothing from the host or to it: what a graph
/// of it must not do. The emulation counts.
template <class Objective, class A, class D, class State, class BatchType>
void expect_no_use_of_the_host(Objective& objective, const A& algorithm, roars::Run<D>& run, State& state,
                               BatchType& batch) {
    if constexpr (requires { run.backend.crossings; }) {
        auto used = [&] { return std::array{run.backend.allocations, run.backend.waits, run.backend.crossings}; };
        std::array<std::int64_t, 3> before{};
        for (int turn = 0; turn < 2; ++turn) {
            before = used();
            if constexpr (scores_on_device<A>) score(algorithm, run, state, batch);
            estimate(algorithm, run, state, batch);
            objective.count(run, state, batch);
            objective(run, state, batch);
        }
        EXPECT_EQ(used(), before);
    }
}

/// Rewards, advantage, loss and gradients of an algorithm, on the device and on the host.
template <class A>
using WithMask = unite_t<typename A::Columns, columns<col::mask>>;
template <class D, class A, class Real>
void expect_the_hosts(const A& algorithm, roars::Batch<Real, WithMask<A>> host, double tolerance) {
    using Set = WithMask<A>;
    backend::Host cpu;
    roars::Run host_run{cpu};
    typename A::State state{}, device_state{};
    for (auto* each : {&state, &device_state}) {
        roars::detail::call_on_dataset(algorithm.advantage, host_run, each->advantage, host);
        roars::detail::call_on_dataset(algorithm.regularizer, host_run, each->regularizer, host);
    }
    D device;
    roars::Run run{device};
    Batch<Real, Set, D> batch(device, host);

    algorithm.score(host_run, state, host);
    algorithm.estimate(host_run, state, host);
    score(algorithm, run, device_state, batch);
    estimate(algorithm, run, device_state, batch);
    if constexpr (std::tuple_size_v<typename A::Terms> == 0) {  // the optimizer is a closed form
        return expect_columns(batch.download(Set{}), host, tolerance, Set{});
    } else {
        auto expected = algorithm.objective(host_run, state, host);
        Objective objective(device, algorithm);
        objective.count(run, device_state, batch);
        objective(run, device_state, batch);
        auto result = objective.read(batch);

        EXPECT_EQ(result.tokens, expected.tokens);
        for (std::size_t k = 0; k < result.terms; ++k)
            EXPECT_NEAR(result.term_loss[k], expected.term_loss[k], tolerance * (1 + std::abs(expected.term_loss[k])));
        for (std::size_t m = 0; m < result.measured; ++m)
            EXPECT_NEAR(result.metric_sum[m], expected.metric_sum[m], tolerance * 4000);
        EXPECT_EQ(result.own_tokens, expected.own_tokens);
        expect_columns(batch.download(Set{}), host, tolerance, Set{});
        if constexpr (runs_on_device<A>) expect_no_use_of_the_host(objective, algorithm, run, device_state, batch);
    }
}
template <class D, class A, class Real>
void expect_the_hosts(const A& algorithm, double tolerance) {
    expect_the_hosts<D>(algorithm, random_batch<Real, WithMask<A>>(), tolerance);
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

}  // namespace roars::gpu
