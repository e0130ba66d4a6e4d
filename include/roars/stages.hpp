#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "roars/algorithm.hpp"
#include "roars/pack.hpp"

namespace roars {

/// What a stage takes over from the one before it. The policy goes on in any case: it is the learner's.
namespace take {

/// The State of one slot: what its part has learnt. Both stages must have it in the same type.
struct Sampler {
    template <class State>
    static auto& of(State& state) {
        return state.sampler;
    }
};
struct Reward {
    template <class State>
    static auto& of(State& state) {
        return state.reward;
    }
};
struct Advantage {
    template <class State>
    static auto& of(State& state) {
        return state.advantage;
    }
};
struct Regularizer {
    template <class State>
    static auto& of(State& state) {
        return state.regularizer;
    }
};
struct Optimizer {
    template <class State>
    static auto& of(State& state) {
        return state.optimizer;
    }
};
/// The policy as the stage before left it becomes the reference.
struct Reference {};

}  // namespace take

/// Named in the compiler's message: a slot whose State a stage would take over from a part that has another one.
template <class Slot, class Before, class Here>
struct state_taken_over_is_of_another_type;
template <class Slot, class Same>
struct state_taken_over_is_of_another_type<Slot, Same, Same> : std::true_type {};

/// An algorithm for a number of iterations, and what it takes over from the stage before it.
template <class A, class... Take>
struct Stage {
    using Algorithm = A;
    static constexpr bool takes_reference = (std::is_same_v<Take, take::Reference> || ...);

    A algorithm{};
    std::int64_t iterations = 1;

    /// The State at the beginning, from that of the stage before.
    template <class Before>
    static typename A::State begin(const Before& before) {
        typename A::State state{};
        [[maybe_unused]] auto one = [&]<class Slot>(Slot) {
            if constexpr (!std::is_same_v<Slot, take::Reference>) {
                using There = std::remove_cvref_t<decltype(Slot::of(before))>;
                using Here = std::remove_cvref_t<decltype(Slot::of(state))>;
                static_assert(state_taken_over_is_of_another_type<Slot, There, Here>::value);
                Slot::of(state) = Slot::of(before);
            }
        };
        (one(Take{}), ...);
        return state;
    }
};
template <class A, class... Take>
ROARS_FIELDS_OF((Stage<A, Take...>), algorithm, iterations)

/// Algorithms one after another on the same learner: a warm start and then reinforcement learning, offline and then
/// online, critics alone and then with their policy. Stages<Stage<Supervised>, Stage<Grpo, take::Reference>>.
template <class... S>
struct Stages : Pack<S...> {
    using Pack<S...>::Pack;
    using Inputs = unite_t<typename S::Algorithm::Inputs...>;
    using Columns = unite_t<typename S::Algorithm::Columns...>;

    /// Where iteration n of the whole run falls. Behind the last stage its last iterations go on.
    struct Place {
        std::size_t stage = 0;
        std::int64_t iteration = 0;   ///< within the stage
        std::int64_t iterations = 0;  ///< of the stage
    };
    Place at(std::int64_t iteration) const {
        std::array<std::int64_t, sizeof...(S)> lengths = this->lengths();
        std::size_t stage = 0;
        while (stage + 1 < lengths.size() && iteration >= lengths[stage]) iteration -= lengths[stage++];
        return {stage, iteration, lengths[stage]};
    }
    std::int64_t iterations() const {
        std::int64_t all = 0;
        for (std::int64_t each : lengths()) all += each;
        return all;
    }

    template <class Visit>
    void for_each_algorithm(Visit&& visit) {
        apply(*this, [&](S&... stage) { (visit(stage.algorithm), ...); });
    }
    template <class Visit>
    void for_each_algorithm(Visit&& visit) const {
        apply(*this, [&](const S&... stage) { (visit(stage.algorithm), ...); });
    }

private:
    std::array<std::int64_t, sizeof...(S)> lengths() const {
        return apply(*this, [](const S&... stage) { return std::array{stage.iterations...}; });
    }
};

/// Is a method Stages?
template <class Method>
inline constexpr bool is_staged = false;
template <class... S>
inline constexpr bool is_staged<Stages<S...>> = true;

/// Is a method made of several algorithms: Stages, or Interleaved?
template <class Method>
concept Composed = requires(const Method& method) {
    method.for_each_algorithm([](const auto&) {});
};

/// Calls visit(algorithm) for each algorithm of a method: for those it is composed of, or for the method itself.
template <class Method, class Visit>
void for_each_algorithm(Method& method, Visit&& visit) {
    if constexpr (Composed<Method>)
        method.for_each_algorithm(visit);
    else
        visit(method);
}

}  // namespace roars
