/// Vectorised environments, one step of every copy against a copy of the bytes that it reads and writes, in one run.
/// M/s = million steps a second, on as many threads as OMP_NUM_THREADS says; share_of_copy = 1 at the limit of the
/// memory.
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "measure.hpp"
#include "roars/environments/acrobot.hpp"
#include "roars/environments/cart_pole.hpp"
#include "roars/environments/grid_world.hpp"
#include "roars/environments/mountain_car.hpp"
#include "roars/environments/pendulum.hpp"
#include "roars/environments/point_reach.hpp"
#include "roars/environments/vectorised.hpp"
#include "roars/type_name.hpp"

namespace {

using namespace roars;

/// Actions for a few steps, in turn: random numbers are not what is measured.
constexpr std::size_t prepared = 16;

template <class E>
auto random_actions(const E& environment, std::size_t copies) {
    RandomStream random{Random(1)};
    if constexpr (env::DiscreteEnvironment<E>) {
        std::vector<std::int32_t> actions(copies * prepared);
        for (auto& each : actions) each = static_cast<std::int32_t>(random.below(E::action_count));
        return actions;
    } else {
        std::vector<float> actions(copies * prepared * std::size_t(E::action_size));
        for (auto& each : actions)
            each =
                static_cast<float>(env::detail::uniform(random, environment.action_low(), environment.action_high()));
        return actions;
    }
}

/// State, observation, action, reward, age, return so far and two flags, as a step of one copy moves them.
template <class E>
bench::Bytes bytes_of_a_step() {
    std::int64_t state = sizeof(typename E::State), action = 4;
    if constexpr (env::LaneEnvironment<E>) state /= 2;  // kept as float
    if constexpr (env::ContinuousEnvironment<E>) action = 4 * E::action_size;
    return {state + action + 8, state + 4 * E::observation_size + 4 + 8 + 2};
}

template <class E>
void steps(benchmark::State& state, const E& environment, std::int64_t copies) {
    env::Vectorised<E> run(environment, copies, 1);
    const auto actions = random_actions(environment, static_cast<std::size_t>(copies));
    const std::size_t size = actions.size() / prepared;
    auto walk = [&] {
        for (std::size_t t = 0; t < prepared; ++t) run.step(std::span(actions).subspan(t * size, size));
    };
    auto once = bytes_of_a_step<E>();
    const std::int64_t count = copies * std::int64_t(prepared);
    // The bytes of one step, copied as often: they stay in the cache as far as the copies' do.
    bench::Bytes bytes{once.read * copies, once.written * copies};
    bytes.read = std::max(bytes.read, bytes.written);
    bench::Copy copy(bytes);
    auto copy_often = [&] {
        for (std::size_t t = 0; t < prepared; ++t) copy();
    };
    walk();
    bench::Race race(state, copy_often, walk, [] {});
    state.counters["share_of_copy"] = race.first() / race.second();
    state.counters["M/s"] = double(count) / race.second() * 1e-6;
}

template <class E>
void add(const E& environment) {
    for (std::int64_t copies : {std::int64_t{16}, std::int64_t{4096}}) {
        std::string name = type_name<E>();
        name = name.substr(name.find("::") + 2) + "/" + std::to_string(copies) + " copies";
        benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { steps(state, environment, copies); })
            ->UseManualTime()
            ->Unit(benchmark::kMicrosecond);
    }
}

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    add(env::CartPole{});
    add(env::Pendulum{});
    add(env::MountainCar{});
    add(env::MountainCarContinuous{});
    add(env::Acrobot{});
    add(env::PointReach{});
    add(env::frozen_lake());
    benchmark::RunSpecifiedBenchmarks();
}
