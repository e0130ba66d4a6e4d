#pragma once

#include <cstddef>

#include "roars/concepts.hpp"

namespace roars::reward {

/// The points of the criteria that are met over the sum of the positive points; 0 where there are none. Points of
/// faults are negative, and so may the score be. Shapes: rubric [sequences, (points, met) of each criterion], one of no
/// points is none (rows are as wide as the longest rubric of a batch) -> reward [sequences]. Source: RuscaRL, arXiv
/// 2508.16949.
struct RubricScore {
    using needs = columns<col::rubric>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = true;

    template <class X>
    ROARS_FN double value(const X& x) const {
        const auto row = x.row(col::rubric{});
        double met = 0.0, most = 0.0;
        for (std::size_t c = 0; c + 2 <= row.size(); c += 2) {
            const double points = row[c];
            if (row[c + 1] != 0) met += points;
            if (points > 0) most += points;
        }
        return most > 0 ? met / most : 0.0;
    }
};
ROARS_FIELDS(RubricScore)

}  // namespace roars::reward
