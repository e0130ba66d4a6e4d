#pragma once

#include <cstdint>

#include "roars/concepts.hpp"

namespace roars::reward {

/// A bonus for the shortest right answer (outcome > 0.5) of every group, if it is longer than min_length tokens; of
/// equally short ones the first gets it. Nobody does where none is right or the shortest right one is too short: not
/// even the next. For Then. Shapes: outcome [sequences] -> reward [sequences]. Source: Observe-R1, arXiv 2505.12432.
struct ShortestRightBonus {
    double bonus = 0.2;
    double min_length = 100;

    using needs = columns<col::groups, col::outcome>;

    static constexpr bool everywhere = true;

    template <class X>
    struct OfGroup {
        X x;
        double bonus, min_length;
        ROARS_FN void operator()(std::int64_t g) const {
            std::int64_t shortest = -1;
            for (std::int64_t i = x[col::groups{}][g]; i < x[col::groups{}][g + 1]; ++i)
                if (x[col::outcome{}][i] > 0.5 && (shortest < 0 || x.length(i) < x.length(shortest))) shortest = i;
            if (shortest >= 0 && static_cast<double>(x.length(shortest)) > min_length)
                x[col::reward{}][shortest] += static_cast<typename X::Real>(bonus);
        }
    };
    template <class RunType, class State, BatchWith<col::groups, col::outcome, col::reward> BatchType>
    void amend(RunType& run, State&, BatchType& batch) const {
        auto x = view_of<unite_t<needs, columns<col::reward>>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.groups(),
                                                       OfGroup<decltype(x)>{x, bonus, min_length});
    }
};
ROARS_FIELDS(ShortestRightBonus, bonus, min_length)

}  // namespace roars::reward
