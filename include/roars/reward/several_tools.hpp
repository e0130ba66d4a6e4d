#pragma once

#include "roars/concepts.hpp"

namespace roars::reward {

/// `bonus` for a rollout that called tools of at least `kinds` kinds, else 0. Source: ARPO, arXiv 2507.19849.
struct SeveralTools {
    double bonus = 0.1;
    double kinds = 2;

    using needs = columns<col::tool_kinds>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = true;
    template <class X>
    ROARS_FN double value(const X& x) const {
        return x[col::tool_kinds{}] >= kinds ? bonus : 0.0;
    }
};
ROARS_FIELDS(SeveralTools, bonus, kinds)

}  // namespace roars::reward
