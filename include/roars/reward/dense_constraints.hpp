#pragma once

#include <cstddef>

#include "roars/concepts.hpp"

namespace roars::reward {

/// Points for each countable constraint that an answer meets, and `complete` if it meets all of them:
///     low > 0, high > low     low <= count <= high     `range` points
///     low > 0, high = low     count = low              the constraint's own points
///     low > 0, high < low     count >= low             `one_sided`
///     low <= 0, high > 0      count <= high            `one_sided`
///     low <= 0, high <= 0     count = 0                `one_sided`
/// A phrase that must begin the answer is an exact constraint of one. An answer without constraints meets all. Shapes:
/// constraints [sequences, (count, low, high, points) of each], one whose count is NaN is none (rows are as wide as the
/// most constraints of a batch) -> reward [sequences]. Source: Light-IF, arXiv 2508.03178, its released reward.
struct DenseConstraints {
    double range = 0.1;
    double one_sided = 0.05;
    double complete = 1.0;

    using needs = columns<col::constraints>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = true;

    static constexpr std::size_t numbers = 4;  ///< of a constraint
    struct Met {
        double points = 0.0;
        bool all = true;
    };
    template <class Row>
    ROARS_FN Met met(const Row& row) const {
        Met met;
        for (std::size_t k = 0; k + numbers <= row.size(); k += numbers) {
            const double count = row[k], low = row[k + 1], high = row[k + 2], points = row[k + 3];
            if (count != count) continue;
            const bool least = low > 0, most = least ? high >= low : true;
            const bool holds = (!least || count >= low) && (!most || count <= (high > 0 ? high : 0.0));
            if (holds) met.points += least && high > low ? range : least && high == low ? points : one_sided;
            met.all = met.all && holds;
        }
        return met;
    }
    template <class X>
    ROARS_FN double value(const X& x) const {
        const Met met = this->met(x.row(col::constraints{}));
        return met.points + (met.all ? complete : 0.0);
    }
};
ROARS_FIELDS(DenseConstraints, range, one_sided, complete)

}  // namespace roars::reward
