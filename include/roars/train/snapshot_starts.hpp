#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "roars/environments/environment.hpp"
#include "roars/environments/policy.hpp"
#include "roars/sampler/snapshots.hpp"
#include "roars/stages.hpp"

/// SnapshotRL (arXiv 2403.00673): for a while a student's episodes begin at states of a teacher's episodes, whole
/// simulator states, and are cut early. The algorithm is any, and knows nothing of it.
namespace roars::train {

/// States of a teacher's episodes, sorted for the draw.
template <env::Environment E>
struct SnapshotStore {
    std::vector<typename E::State> states;
    std::vector<double> value;  ///< what each is worth to the teacher
    sampler::ClusteredSnapshots sorted;
};

/// `episodes` episodes of a teacher, policy(environment, observation, action, random) as data::collect calls it, and
/// value(environment, observation) of the states that are kept. No state in which the world has ended is among them.
/// Errors: a value that is not finite.
template <class Classes, env::Environment E, class Policy, class Value>
SnapshotStore<E> collect_snapshots(const E& environment, std::int64_t episodes, std::uint64_t seed, Policy&& policy,
                                   Value&& value, const sampler::SnapshotRows& rows, const Classes& classes) {
    auto episode = env::Episode<E>::of(seed);
    RandomStream random{Random(seed, Purpose::sample)};
    const env::WorldSizes sizes = env::world_sizes(environment);
    std::array<double, std::size_t(E::observation_size)> memory{};
    auto seen = std::span<double>(memory).first(static_cast<std::size_t>(sizes.observation));
    std::vector<typename E::State> states;
    std::vector<std::int64_t> offsets{0};
    std::vector<double> returns;
    auto act = [&] {
        std::array<double, env::action_numbers<E>()> numbers{};
        auto action = std::span<double>(numbers);
        if constexpr (env::ContinuousEnvironment<E>) action = action.first(static_cast<std::size_t>(sizes.action));
        policy(environment, std::span<const double>(seen), action, random);
        return env::take(environment, episode, std::span<const double>(action)).ended() ||
               (sizes.limit > 0 && episode.steps >= sizes.limit);
    };
    for (std::int64_t e = 0; e < episodes; ++e) {
        episode.reset(environment);
        for (bool ended = false; !ended;) {
            states.push_back(episode.state);
            environment.observe(episode.state, seen);
            ended = act();
        }
        offsets.push_back(std::ssize(states));
        returns.push_back(episode.episode_return);
    }
    SnapshotStore<E> store;
    for (std::int64_t row : rows.of(offsets, returns)) {
        store.states.push_back(states[static_cast<std::size_t>(row)]);
        environment.observe(store.states.back(), seen);
        store.value.push_back(double(value(environment, std::span<const double>(seen))));
    }
    store.sorted = classes.sorted(store.value);
    return store;
}

namespace detail {
template <class E>
struct SameActions {};
template <env::DiscreteEnvironment E>
struct SameActions<E> {
    static constexpr int action_count = E::action_count;
};
template <env::ContinuousEnvironment E>
struct SameActions<E> {
    static constexpr int action_size = E::action_size;
};
}  // namespace detail

/// The world with episodes that begin and are cut as `phases` says; its steps are those of one copy of the world. A
/// draw copies the state, and the random stream goes on as it is: two episodes from one snapshot share nothing. The
/// store must outlive it. Evaluation is in the original world. Errors: an empty store while there are snapshot steps.
template <env::Environment E>
struct SnapshotStarts : detail::SameActions<E> {
    E base{};
    sampler::SnapshotPhases phases{};
    const SnapshotStore<E>* store = nullptr;

    SnapshotStarts() = default;
    SnapshotStarts(const E& environment, const sampler::SnapshotPhases& when, const SnapshotStore<E>& snapshots)
        : base(environment), phases(when), store(&snapshots) {
        phases.check();
    }

    static constexpr int observation_size = E::observation_size;
    static constexpr int max_steps = 0;  // phases.horizon, which counts from wherever an episode begins
    env::WorldSizes sizes() const {
        const auto own = env::world_sizes(base);
        return {own.observation, own.action, 0};
    }

    struct State {
        typename E::State world{};
        std::int64_t step = 0;    ///< of the run
        std::int64_t length = 0;  ///< steps of this episode
        bool snapshot = false;    ///< the episode began at one
    };

    void reset(State& state, RandomStream& random) const {
        state.length = 0;
        state.snapshot = phases.from_snapshot(state.step);
        if (!state.snapshot) return base.reset(state.world, random);
        expect(store != nullptr, "snapshots: no store, expected one with a snapshot or more");
        double cluster = random.uniform(), member = random.uniform();
        state.world = store->states[static_cast<std::size_t>(store->sorted.draw(cluster, member))];
    }
    template <class Action>
    env::StepResult step(State& state, const Action& action, RandomStream& random) const {
        env::StepResult result = base.step(state.world, action, random);
        ++state.step;
        ++state.length;
        return result;
    }
    bool cuts(const State& state) const { return phases.cuts(state.step - 1, state.length, state.snapshot); }
    template <class Real>
    void observe(const State& state, std::span<Real> observation) const {
        base.observe(state.world, observation);
    }
    auto index(const State& state) const requires requires(const E& world, const typename E::State& inner) {
        world.index(inner);
    }
    { return base.index(state.world); }
    double action_low() const requires env::ContinuousEnvironment<E> { return base.action_low(); }
    double action_high() const requires env::ContinuousEnvironment<E> { return base.action_high(); }
    const E& original() const { return base; }
};

/// A method whose sampler takes episodes from snapshots needs a teacher, and learns in SnapshotStarts.
template <class A>
inline constexpr bool needs_teacher = requires {
    typename A::Sampler::needs_teacher;
};
template <class... S>
inline constexpr bool needs_teacher<Stages<S...>> = (needs_teacher<typename S::Algorithm> || ...);

}  // namespace roars::train
