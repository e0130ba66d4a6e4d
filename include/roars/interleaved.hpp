#pragma once

#include <type_traits>
#include <utility>

#include "roars/algorithm.hpp"

namespace roars {

/// A sampler that looks at what another algorithm has learnt from, and draws a batch only now and then:
///     using watches = columns<...>             what it reads of the other one's batch,
///     watch(run, state, source, batch)         behind every update of the other one,
///     due(state)                               whether a batch is to be drawn and learnt from now.
template <class P>
concept WatchingSampler = SamplerPart<P> && requires(const P& part, const state_of<P>& state) {
    typename P::watches;
    { part.due(state) } -> std::convertible_to<bool>;
};

/// Two algorithms on one learner, each with a State, a step rule and moments of its own: Main learns in every
/// iteration; the sampler of Side watches it, and where that says so Side takes one iteration behind it.
/// train::InterleavedTrainer trains it.
template <class Main, class Side>
struct Interleaved {
    static_assert(WatchingSampler<typename Side::Sampler>,
                  "roars: the sampler of the second algorithm does not say when it is due: it needs watches, "
                  "watch(run, state, source, batch) and due(state)");
    using MainAlgorithm = Main;
    using SideAlgorithm = Side;
    using Inputs = unite_t<typename Main::Inputs, typename Side::Inputs>;
    using Columns = unite_t<typename Main::Columns, typename Side::Columns>;

    Main main{};
    Side side{};

    template <class Visit>
    void for_each_algorithm(Visit&& visit) {
        visit(main);
        visit(side);
    }
    template <class Visit>
    void for_each_algorithm(Visit&& visit) const {
        visit(main);
        visit(side);
    }
};
template <class Main, class Side>
ROARS_FIELDS_OF((Interleaved<Main, Side>), main, side)

}  // namespace roars
