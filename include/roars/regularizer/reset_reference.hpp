#pragma once

#include <cstdint>
#include <limits>
#include <tuple>

#include "roars/concepts.hpp"

namespace roars {

/// When training begins again from the policy as it is.
namespace begin_again {

/// Behind every `iterations`-th iteration.
struct Every {
    std::int64_t iterations = 150;

    struct State {
        std::int64_t iterations = 0, resets = 0;
        ROARS_MEMBERS(State, iterations, resets)
    };
    bool iterated(State& state) const {
        bool now = iterations > 0 && ++state.iterations % iterations == 0;
        state.resets += now;
        return now;
    }
};
ROARS_FIELDS(Every, iterations)

/// At an evaluation of score v, where the best so far stands still or v has fallen far below it: best = -inf, bad = 0;
///     degraded = v < best - max_drop;
///     if v > best + min_improvement: best = v, bad = 0, else bad += 1;
///     if bad >= patience or degraded: begin again, best = v, bad = 0.
/// The first evaluation never does; NaN is no improvement. ProRL, arXiv 2505.24864, which says that stagnation or
/// degradation of validation leads to a reset, and not how it is measured: the rule and its numbers are a reading.
struct OnPlateau {
    std::int64_t patience = 3;
    double min_improvement = 0.005;
    double max_drop = 0.05;

    struct State {
        double best = -std::numeric_limits<double>::infinity();
        std::int64_t bad = 0, resets = 0;
        ROARS_MEMBERS(State, best, bad, resets)
    };
    bool evaluated(State& state, double score) const {
        bool degraded = score < state.best - max_drop;
        bool improved = score > state.best + min_improvement;
        state.bad = improved ? 0 : state.bad + 1;
        bool now = state.bad >= patience || degraded;
        if (improved || now) state.best = score;
        if (now) state.bad = 0;
        state.resets += now;
        return now;
    }
};
ROARS_FIELDS(OnPlateau, patience, min_improvement, max_drop)

}  // namespace begin_again

namespace regularizer {

/// The reference becomes the policy as it is, and the step rule forgets its moments, whenever When says so. To be
/// summed with what reads the reference: Sum<Kl<kl::K3>, ResetReference<begin_again::OnPlateau>>. Behind a reset the
/// divergence and its gradient are exactly 0. Resets fall between iterations; logp_old stays that of the sampler.
template <class When>
struct ResetReference {
    When when{};

    using acts_on = columns<col::logp_ref>;
    using State = typename When::State;

    std::tuple<> terms(const State&) const { return {}; }
    template <class RunType>
    Reset after_iteration(RunType&, State& state) const requires requires(const When& w) {
        w.iterated(state);
    }
    {
        bool now = when.iterated(state);
        return {now, now};
    }
    template <class RunType>
    Reset after_evaluation(RunType&, State& state, double score) const requires requires(const When& w) {
        w.evaluated(state, score);
    }
    {
        bool now = when.evaluated(state, score);
        return {now, now};
    }
};
template <class When>
ROARS_FIELDS_OF((ResetReference<When>), when)

}  // namespace regularizer
}  // namespace roars
