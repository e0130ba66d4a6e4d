#pragma once

#include <tuple>

#include "roars/concepts.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogate.hpp"

namespace roars::optimizer {

/// A surrogate for every token, an aggregation over tokens, a step rule. A batch is gone through `epochs` times, each
/// time cut into `minibatches` of whole groups; every piece of a minibatch shares the minibatch's denominators. The
/// policy learns in every iteration whose number is a multiple of `every`: less often than critics beside it (TD3).
template <LossTerm Surrogate, Aggregation Aggregate, StepPart Step>
struct PolicyGradient {
    static_assert(
        !requires { typename Surrogate::Aggregate; },
        "roars: this surrogate says itself how it is averaged: use optimizer::Preference");

    Surrogate surrogate{};
    Aggregate aggregate{};
    Step step{};
    int epochs = 1;
    int minibatches = 1;
    int every = 1;

    using State = typename Step::State;
    std::tuple<Surrogate> terms(const State&) const { return {surrogate}; }
};
template <class Surrogate, class Aggregate, class Step>
ROARS_FIELDS_OF((PolicyGradient<Surrogate, Aggregate, Step>), surrogate, aggregate, step, epochs, minibatches, every)

}  // namespace roars::optimizer
