#pragma once

#include "roars/algorithm.hpp"

namespace roars::reward {

/// The reward of Base held in [low, high].
template <SequenceReward Base>
struct Clip {
    Base base{};
    double low = -1.0;
    double high = 1.0;

    using needs = needs_of<Base>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = runs_everywhere<Base>;
    template <class X>
    ROARS_FN double value(const X& x) const {
        return math::clamp(base.value(x), low, high);
    }
};
template <class Base>
ROARS_FIELDS_OF((Clip<Base>), base, low, high)

/// factor r + shift. A factor of 0 removes r, whatever it is.
template <SequenceReward Base>
struct Scale {
    Base base{};
    double factor = 1.0;
    double shift = 0.0;

    using needs = needs_of<Base>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = runs_everywhere<Base>;
    template <class X>
    ROARS_FN double value(const X& x) const {
        return factor == 0.0 ? shift : factor * base.value(x) + shift;
    }
};
template <class Base>
ROARS_FIELDS_OF((Scale<Base>), base, factor, shift)

template <SequenceReward Door, SequenceReward... Behind>
struct Gate;

namespace detail {
template <class First, class... Rest>
struct behind_door {
    using type = Gate<First, Rest...>;
};
template <class Last>
struct behind_door<Last> {
    using type = Last;
};
}  // namespace detail

/// The reward of what is behind a door, if the door's own reward is above 0; else `shut`. The order of the doors is the
/// order in the type: Gate<Format, Finished, Verified> is Gate<Format, Gate<Finished, Verified>>, and a shut door hides
/// all that is behind it.
template <SequenceReward Door, SequenceReward... Behind>
struct Gate {
    static_assert(sizeof...(Behind) > 0, "roars: a Gate needs something behind its door");
    Door door{};
    typename detail::behind_door<Behind...>::type behind{};
    double shut = 0.0;

    using needs = unite_t<needs_of<Door>, needs_of<Behind>...>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = runs_everywhere<Door> && (runs_everywhere<Behind> && ...);
    template <class X>
    ROARS_FN double value(const X& x) const {
        return door.value(x) > 0 ? behind.value(x) : shut;
    }
};
template <class Door, class... Behind>
ROARS_FIELDS_OF((Gate<Door, Behind...>), door, behind, shut)

/// Something done to the rewards of a batch that was scored: amend(run, state, batch) changes col::reward.
template <class P>
concept AmendsReward = Part<P> &&
    requires(const P& part, archetype::AnyRun& run, state_of<P>& state, archetype::AnyBatch& batch) {
    part.amend(run, state, batch);
};

template <class FirstState, class SecondState>
struct ThenState {
    FirstState first;
    SecondState second;

    ROARS_MEMBERS(ThenState, first, second)
};

/// First scores, Second amends its rewards. Chains nest to the left.
template <RewardPart First, AmendsReward Second>
struct Then {
    First first{};
    Second second{};

    using needs = unite_t<needs_of<First>, needs_of<Second>>;
    using gives = unite_t<gives_of<First>, gives_of<Second>>;
    using State = ThenState<state_of<First>, state_of<Second>>;
    static constexpr bool everywhere = runs_everywhere<First> && runs_everywhere<Second>;

    template <class RunType, class BatchType>
    void score(RunType& run, State& state, BatchType& batch) const {
        roars::detail::call_score(first, run, state.first, batch);
        second.amend(run, state.second, batch);
    }
};
template <class First, class Second>
ROARS_FIELDS_OF((Then<First, Second>), first, second)

}  // namespace roars::reward
