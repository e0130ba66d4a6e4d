#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/simd.hpp"

#include "roars/backend.hpp"
#include "roars/environments/environment.hpp"
#include "roars/error.hpp"
#include "roars/fields.hpp"

namespace roars::env {

namespace detail {

/// Copies of one state as they lie in memory: a column a member where the world steps in lanes, else one after another.
template <Environment E, class Real>
class Copies {
public:
    static constexpr std::int64_t lanes = 1;
    explicit Copies(std::int64_t count) : states_(static_cast<std::size_t>(count)) {}
    typename E::State get(std::int64_t i) const { return states_[static_cast<std::size_t>(i)]; }
    void set(std::int64_t i, const typename E::State& state) { states_[static_cast<std::size_t>(i)] = state; }
    typename E::State& operator[](std::int64_t i) { return states_[static_cast<std::size_t>(i)]; }

private:
    std::vector<typename E::State> states_;
};

template <LaneEnvironment E, class Real>
class Copies<E, Real> {
public:
    using V = math::Lanes<Real>;
    using Block = typename E::template StateOf<V>;
    static constexpr std::int64_t lanes = math::lanes<V>;

    explicit Copies(std::int64_t count)
        : stride_(count), columns_(static_cast<std::size_t>(count) * members<double>.size()) {}

    typename E::State get(std::int64_t i) const {
        typename E::State state{};
        each<double>([&](std::size_t k, auto member) { state.*member = static_cast<double>(columns_[at(k, i)]); });
        return state;
    }
    void set(std::int64_t i, const typename E::State& state) {
        each<double>([&](std::size_t k, auto member) { columns_[at(k, i)] = static_cast<Real>(state.*member); });
    }
    ROARS_INLINE Block load(std::int64_t i) const {
        Block block;
        each<V>([&](std::size_t k, auto member) { block.*member = math::load<V>(columns_.data() + at(k, i)); });
        return block;
    }
    ROARS_INLINE void store(std::int64_t i, const Block& block) {
        each<V>([&](std::size_t k, auto member) { math::store(columns_.data() + at(k, i), block.*member); });
    }

private:
    template <class T>
    static constexpr auto members = roars_fields(static_cast<const typename E::template StateOf<T>*>(nullptr))(
        [](const auto&... field) { return std::array{field.member...}; });
    template <class T, class Visit>
    static ROARS_INLINE void each(Visit&& visit) {
        [&]<std::size_t... k>(std::index_sequence<k...>) { (visit(k, members<T>[k]), ...); }
        (std::make_index_sequence<members<T>.size()>{});
    }
    std::size_t at(std::size_t member, std::int64_t i) const {
        return member * static_cast<std::size_t>(stride_) + static_cast<std::size_t>(i);
    }

    std::int64_t stride_;
    std::vector<Real> columns_;
};

}  // namespace detail

/// Many copies of a world, stepped together on all threads; in lanes of Real where the world's formula allows. A copy
/// that ends begins anew in the same step: its observation is then the first of the new episode, final_observations()
/// keeps the last of the old one, and terminated() and truncated() say which end it was. What a copy lives through
/// depends on the seed, its number and its actions alone, on no number of threads and on no other copy.
/// Shapes: n copies; observations in columns [observation_size][n], actions [n] or, continuous, rows [n x action_size].
/// Errors: a copy count below 1, actions of another size. Actions themselves are taken as valid.
template <Environment E, class Real = float>
class Vectorised {
public:
    explicit Vectorised(const E& environment, std::int64_t copies, std::uint64_t seed = 0)
        : environment_(environment), copies_(checked(copies)), seed_(seed), states_(padded()) {
        const auto n = static_cast<std::size_t>(padded());
        positions_.resize(n);
        ages_.resize(n), running_.resize(n), returns_.resize(n), lengths_.resize(n), rewards_.resize(n);
        terminated_.resize(n), truncated_.resize(n);
        observations_.resize(n * observed);
        finals_.resize(n * observed);
        backend_.grain = grain;
        reset();
    }

    const E& environment() const { return environment_; }
    std::int64_t copies() const { return copies_; }

    /// Begins a new episode in every copy. The random numbers go on where they stood.
    void reset() {
        parallel_pieces(backend_, padded(), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) begin_episode(i);
        });
    }

    void step(std::span<const std::int32_t> actions) requires DiscreteEnvironment<E> { advance(actions); }
    void step(std::span<const Real> actions) requires ContinuousEnvironment<E> { advance(actions); }

    /// Component k of every copy's observation, [n].
    std::span<const Real> observations(int k) const {
        return std::span(observations_)
            .subspan(static_cast<std::size_t>(k * padded()), static_cast<std::size_t>(copies_));
    }
    /// The same as rows, [n x observation_size], as an actor reads them.
    void observe(std::span<Real> rows) const { transpose(observations_, rows); }
    /// The last observation of the episode that ended in this step; what stands at a copy that goes on has no meaning.
    std::span<const Real> final_observations(int k) const {
        return std::span(finals_).subspan(static_cast<std::size_t>(k * padded()), static_cast<std::size_t>(copies_));
    }
    /// Rows [n x observation_size]: what followed the action, whether the copy began anew or not.
    void next_observations(std::span<Real> rows) const {
        transpose(observations_, rows);
        for (std::size_t i = 0; i < static_cast<std::size_t>(copies_); ++i)
            if (terminated_[i] || truncated_[i])
                for (std::size_t k = 0; k < observed; ++k)
                    rows[i * observed + k] = finals_[k * static_cast<std::size_t>(padded()) + i];
    }

    std::span<const Real> rewards() const { return part(rewards_); }
    /// 1 where the world ended in this step.
    std::span<const std::uint8_t> terminated() const { return part(terminated_); }
    /// 1 where the time limit cut the episode in this step; never together with terminated.
    std::span<const std::uint8_t> truncated() const { return part(truncated_); }
    /// Return and length of each copy's last episode that ended, 0 before there is one.
    std::span<const Real> returns() const { return part(returns_); }
    std::span<const Real> lengths() const { return part(lengths_); }

    /// All of one copy, to be saved; restore puts it back, into the same copy of a run of the same seed.
    Episode<E> episode(std::int64_t copy) const {
        const auto i = static_cast<std::size_t>(copy);
        return {states_.get(copy), stream(copy), static_cast<std::int64_t>(ages_[i]), static_cast<double>(running_[i])};
    }
    void restore(std::int64_t copy, const Episode<E>& episode) {
        const auto i = static_cast<std::size_t>(copy);
        states_.set(copy, episode.state);
        positions_[i] = episode.random.position;
        ages_[i] = static_cast<Real>(episode.steps);
        running_[i] = static_cast<Real>(episode.episode_return);
        show(observations_, copy);
    }

private:
    using States = detail::Copies<E, Real>;
    static constexpr auto observed = static_cast<std::size_t>(E::observation_size);
    /// Copies a thread takes at a time.
    static constexpr std::int64_t grain = LaneEnvironment<E> ? 2048 : 16;

    static std::int64_t checked(std::int64_t copies) {
        expect(copies > 0, [&] { return "environments: " + std::to_string(copies) + " copies, expected 1 or more"; });
        return copies;
    }
    /// Whole lanes: the copies beyond the last are lived through and never shown.
    std::int64_t padded() const { return (copies_ + States::lanes - 1) / States::lanes * States::lanes; }

    template <class T>
    std::span<const T> part(const std::vector<T>& column) const {
        return std::span(column).first(static_cast<std::size_t>(copies_));
    }
    RandomStream stream(std::int64_t copy) const {
        return RandomStream(Random(seed_, Purpose::environment, static_cast<std::uint32_t>(copy)),
                            positions_[static_cast<std::size_t>(copy)]);
    }
    void begin_episode(std::int64_t copy) {
        const auto i = static_cast<std::size_t>(copy);
        typename E::State state{};
        RandomStream random = stream(copy);
        environment_.reset(state, random);
        positions_[i] = random.position;
        states_.set(copy, state);
        ages_[i] = 0;
        running_[i] = 0;
        show(observations_, copy);
    }
    void end_episode(std::int64_t copy) {
        const auto i = static_cast<std::size_t>(copy);
        returns_[i] = running_[i];
        lengths_[i] = ages_[i];
        show(finals_, copy);
        begin_episode(copy);
    }
    void show(std::vector<Real>& columns, std::int64_t copy) const {
        std::array<Real, observed> row;
        environment_.observe(states_.get(copy), std::span<Real>(row));
        for (std::size_t k = 0; k < observed; ++k)
            columns[k * static_cast<std::size_t>(padded()) + static_cast<std::size_t>(copy)] = row[k];
    }
    void transpose(const std::vector<Real>& columns, std::span<Real> rows) const {
        expect(rows.size() == static_cast<std::size_t>(copies_) * observed, [&] {
            return "environments: " + std::to_string(rows.size()) + " numbers for the observations, expected " +
                   std::to_string(copies_) + " rows of " + std::to_string(observed);
        });
        for (std::size_t i = 0; i < static_cast<std::size_t>(copies_); ++i)
            for (std::size_t k = 0; k < observed; ++k)
                rows[i * observed + k] = columns[k * static_cast<std::size_t>(padded()) + i];
    }

    static constexpr std::size_t action_width() {
        if constexpr (DiscreteEnvironment<E>)
            return 1;
        else
            return static_cast<std::size_t>(E::action_size);
    }

    template <class Action>
    void advance(std::span<const Action> actions) {
        expect(actions.size() == static_cast<std::size_t>(copies_) * action_width(), [&] {
            return "environments: " + std::to_string(actions.size()) + " numbers for the actions, expected " +
                   std::to_string(copies_) + " rows of " + std::to_string(action_width());
        });
        parallel_pieces(backend_, padded(), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
            if constexpr (LaneEnvironment<E>) {
                std::int64_t whole = std::min(end, copies_ / States::lanes * States::lanes);
                for (std::int64_t i = begin; i < whole; i += States::lanes)
                    advance_block(i, actions.data() + static_cast<std::size_t>(i) * action_width());
                if (whole < end) advance_last(whole, actions);
            } else {
                for (std::int64_t i = begin; i < end; ++i) advance_one(i, actions);
            }
        });
    }

    template <class Action>
    void advance_one(std::int64_t copy, std::span<const Action> actions) {
        const auto i = static_cast<std::size_t>(copy);
        RandomStream random = stream(copy);
        StepResult result;
        if constexpr (DiscreteEnvironment<E>)
            result = environment_.step(states_[copy], actions[i], random);
        else
            result = environment_.step(states_[copy], actions.subspan(i * action_width(), action_width()), random);
        positions_[i] = random.position;
        rewards_[i] = static_cast<Real>(result.reward);
        running_[i] += rewards_[i];
        ages_[i] += 1;
        terminated_[i] = result.terminated;
        truncated_[i] = !result.terminated && E::max_steps > 0 && ages_[i] >= static_cast<Real>(E::max_steps);
        if (terminated_[i] || truncated_[i])
            end_episode(copy);
        else
            show(observations_, copy);
    }

    /// The lanes that the last copies do not fill get actions of 0.
    template <class Action>
    void advance_last(std::int64_t copy, std::span<const Action> actions) {
        std::array<Action, static_cast<std::size_t>(States::lanes) * action_width()> filled{};
        auto rest = actions.subspan(static_cast<std::size_t>(copy) * action_width());
        std::copy(rest.begin(), rest.end(), filled.begin());
        advance_block(copy, filled.data());
    }

    template <class Action>
    ROARS_INLINE void advance_block(std::int64_t copy, const Action* actions) {
        using V = math::Lanes<Real>;
        constexpr auto width = static_cast<std::size_t>(States::lanes);
        const auto i = static_cast<std::size_t>(copy);
        std::array<V, action_width()> action;
        for (std::size_t k = 0; k < action_width(); ++k) {
            alignas(64) Real numbers[width];
            for (std::size_t lane = 0; lane < width; ++lane)
                numbers[lane] = static_cast<Real>(actions[lane * action_width() + k]);
            action[k] = math::load<V>(numbers);
        }
        auto state = states_.load(copy);
        Outcome<V> outcome = [&] {
            if constexpr (DiscreteEnvironment<E>)
                return environment_.advance(state, action[0]);
            else
                return environment_.advance(state, action);
        }();
        states_.store(copy, state);
        auto observation = environment_.observation(state);
        for (std::size_t k = 0; k < observed; ++k)
            math::store(observations_.data() + k * static_cast<std::size_t>(padded()) + i, observation[k]);
        math::store(rewards_.data() + i, outcome.reward);
        math::store(running_.data() + i, math::load<V>(running_.data() + i) + outcome.reward);
        V age = math::load<V>(ages_.data() + i) + V(1);
        math::store(ages_.data() + i, age);
        auto ended = outcome.terminated;
        math::store_mask<V>(terminated_.data() + i, outcome.terminated);
        if constexpr (E::max_steps > 0) {
            auto late = age >= V(Real(E::max_steps));
            ended = ended || late;
            math::store_mask<V>(truncated_.data() + i, late && !outcome.terminated);
        }
        if (math::any<V>(ended))
            for (std::size_t lane = 0; lane < width; ++lane)
                if (terminated_[i + lane] || truncated_[i + lane]) end_episode(copy + static_cast<std::int64_t>(lane));
    }

    E environment_;
    std::int64_t copies_;
    std::uint64_t seed_;
    States states_;
    backend::Host backend_;
    std::vector<std::uint64_t> positions_;  ///< of each copy's random stream
    std::vector<Real> ages_, running_;      ///< steps and return of the episode so far
    std::vector<Real> returns_, lengths_, rewards_;
    std::vector<std::uint8_t> terminated_, truncated_;
    std::vector<Real> observations_, finals_;  ///< [observation_size][padded]
};

}  // namespace roars::env
