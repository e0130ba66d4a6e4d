#pragma once

#include <algorithm>
#include <cstdint>
#include <tuple>

#include "roars/concepts.hpp"

namespace roars {

/// A coefficient as a function of its first value and of the updates so far, counted from 0.
namespace schedule {
/// max(first - decay update, least). KDRL, arXiv 2506.02208.
struct LinearDecay {
    double decay = 5e-5;
    double least = 1e-3;
    double at(double first, std::int64_t update) const {
        return std::max(first - decay * static_cast<double>(update), least);
    }
};
ROARS_FIELDS(LinearDecay, decay, least)
}  // namespace schedule

namespace regularizer {

/// Base, a term with a coefficient, which follows a schedule.
template <TokenTerm Base, class Schedule>
struct Scheduled {
    Base base{};
    Schedule schedule{};

    struct State {
        std::int64_t updates = 0;
        ROARS_MEMBERS(State, updates)
    };

    double in_force(const State& state) const { return schedule.at(base.coefficient, state.updates); }
    std::tuple<Base> terms(const State& state) const {
        Base now = base;
        now.coefficient = in_force(state);
        return {now};
    }
    template <class RunType, class ResultType>
    void observe(RunType&, State& state, const ResultType&) const {
        ++state.updates;
    }
};
template <class Base, class Schedule>
ROARS_FIELDS_OF((Scheduled<Base, Schedule>), base, schedule)

}  // namespace regularizer
}  // namespace roars
