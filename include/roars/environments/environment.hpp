#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "roars/math.hpp"
#include "roars/random.hpp"

/// Environments: settings with the definition of a world, to the letter of Gymnasium's where it has one. What happens
/// in one is a State; reset and step are pure functions of settings, state, action and the random stream, so a copy of
/// the state and of the stream's position is a save, and putting them back restores it.
namespace roars::env {

/// What a step gives. `terminated`: the world has ended, and what would come after is worth nothing. The time limit is
/// not told here: it is the caller's, who counts to E::max_steps and calls the episode truncated.
struct StepResult {
    double reward;
    bool terminated;
};

/// The same for V, a number or lanes of numbers.
template <class V>
struct Outcome {
    V reward;
    math::Mask<V> terminated;
};

/// A struct of settings with
///     static constexpr int observation_size, max_steps;          max_steps = 0: no time limit
///     struct State, trivially copyable;
///     void reset(State&, RandomStream&) const;
///     StepResult step(State&, action, RandomStream&) const;
///     template <class Real> void observe(const State&, std::span<Real>) const;     [observation_size]
/// and either a number of actions or a size and bounds of one. It may end episodes before the time limit, by
///     bool cuts(const State&) const;      asked behind every step
template <class E>
concept Environment = std::is_trivially_copyable_v<typename E::State> &&
    requires(const E& environment, typename E::State& state, RandomStream& random, std::span<double> wide,
             std::span<float> narrow) {
    { E::observation_size } -> std::convertible_to<int>;
    { E::max_steps } -> std::convertible_to<int>;
    environment.reset(state, random);
    environment.observe(std::as_const(state), wide);
    environment.observe(std::as_const(state), narrow);
};

/// Actions are 0 to action_count - 1.
template <class E>
concept DiscreteEnvironment = Environment<E> &&
    requires(const E& environment, typename E::State& state, std::int32_t action, RandomStream& random) {
    { E::action_count } -> std::convertible_to<int>;
    { environment.step(state, action, random) } -> std::same_as<StepResult>;
};

/// An action is action_size numbers, each from action_low() to action_high(); the world clips what lies beyond.
template <class E>
concept ContinuousEnvironment = Environment<E> &&
    requires(const E& environment, typename E::State& state, std::span<const double> wide,
             std::span<const float> narrow, RandomStream& random) {
    { E::action_size } -> std::convertible_to<int>;
    { environment.action_low() } -> std::convertible_to<double>;
    { environment.action_high() } -> std::convertible_to<double>;
    { environment.step(state, wide, random) } -> std::same_as<StepResult>;
    { environment.step(state, narrow, random) } -> std::same_as<StepResult>;
};

/// A world whose step is a formula without chance may write it over V, a number or lanes of numbers: Vectorised then
/// steps many copies at once.
///     template <class V> struct StateOf;   its members, each a V, listed by ROARS_FIELDS_OF; State = StateOf<double>
///     Outcome<V> advance(StateOf<V>&, const V& action) const;            an array of action_size V where it is
///     continuous std::array<V, observation_size> observation(const StateOf<V>&) const;
template <class E>
concept LaneEnvironment = Environment<E> && std::same_as<typename E::State, typename E::template StateOf<double>> &&
    requires(const E& environment, const typename E::State& state) {
    { environment.observation(state) } -> std::same_as<std::array<double, std::size_t(E::observation_size)>>;
};

/// One copy of a world at work: state, random stream and the steps of this episode. Trivially copyable: to copy it is
/// to save it. The environment is handed to each call and not kept.
template <Environment E>
struct Episode {
    typename E::State state{};
    RandomStream random{Random(0, Purpose::environment)};
    std::int64_t steps = 0;
    double episode_return = 0;

    /// The copy's own random numbers: those of (seed, copy), whatever other copies do.
    static Episode of(std::uint64_t seed, std::uint32_t copy = 0) {
        return Episode{.random = RandomStream(Random(seed, Purpose::environment, copy))};
    }

    void reset(const E& environment) {
        environment.reset(state, random);
        steps = 0;
        episode_return = 0;
    }

    struct Result {
        double reward;
        bool terminated;
        bool truncated;  ///< the time limit was reached and the world has not ended
        bool ended() const { return terminated || truncated; }
    };
    template <class Action>
    Result step(const E& environment, const Action& action) {
        StepResult result = environment.step(state, action, random);
        ++steps;
        episode_return += result.reward;
        bool cut = E::max_steps > 0 && steps >= E::max_steps;
        if constexpr (requires { environment.cuts(state); }) cut = cut || environment.cuts(state);
        return {result.reward, result.terminated, !result.terminated && cut};
    }
};

/// How many numbers an observation has, how many an action (or how many actions there are), and the time limit: of the
/// type, or of the value for environments that are chosen at run time.
struct WorldSizes {
    std::int64_t observation = 0, action = 0, limit = 0;
};
template <Environment E>
WorldSizes world_sizes(const E& environment) {
    if constexpr (requires { environment.sizes(); })
        return environment.sizes();
    else if constexpr (DiscreteEnvironment<E>)
        return {E::observation_size, E::action_count, E::max_steps};
    else
        return {E::observation_size, E::action_size, E::max_steps};
}

/// The world that a policy is judged in: this one, or the one that it is a way of training for, which it then names by
/// original().
template <Environment E>
const auto& original(const E& environment) {
    if constexpr (requires { environment.original(); })
        return environment.original();
    else
        return environment;
}
template <Environment E>
using OriginalOf = std::remove_cvref_t<decltype(original(std::declval<const E&>()))>;

namespace detail {

/// Uniform in [low, high).
inline double uniform(RandomStream& random, double low, double high) { return low + (high - low) * random.uniform(); }

template <class Real, std::size_t size>
void put(const std::array<double, size>& from, std::span<Real> to) {
    for (std::size_t i = 0; i < size; ++i) to[i] = static_cast<Real>(from[i]);
}

inline constexpr double pi = 3.141592653589793;

/// An angle brought into [-pi, pi).
template <class V>
ROARS_INLINE V wrap(const V& angle) {
    return angle - V(2 * pi) * math::floor((angle + V(pi)) * V(1 / (2 * pi)));
}

}  // namespace detail

}  // namespace roars::env
