#pragma once

#include "roars/concepts.hpp"

namespace roars::reward {

/// A right answer is worth 1; a wrong one -1 + bonus for each call of a tool, at most wrong_cap: who is not right yet
/// is paid a little for trying the tool. Right: outcome > 0.5. Source: the released code of arXiv 2510.11701.
struct ToolUse {
    double bonus = 0.1;
    double wrong_cap = -0.6;

    using needs = columns<col::outcome, col::tool_calls>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = true;
    template <class X>
    ROARS_FN double value(const X& x) const {
        return x[col::outcome{}] > 0.5 ? 1.0 : of_wrong(x[col::tool_calls{}]);
    }
    ROARS_FN double of_wrong(double calls) const { return math::min(wrong_cap, -1.0 + bonus * calls); }
};
ROARS_FIELDS(ToolUse, bonus, wrong_cap)

/// The same as the paper prints it: a right answer is paid for its calls too, 1 + bonus n, without a bound.
struct ToolUseEverywhere {
    double bonus = 0.1;
    double wrong_cap = -0.6;

    using needs = ToolUse::needs;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = true;
    template <class X>
    ROARS_FN double value(const X& x) const {
        const double calls = x[col::tool_calls{}];
        return x[col::outcome{}] > 0.5 ? 1.0 + bonus * calls : ToolUse{bonus, wrong_cap}.of_wrong(calls);
    }
};
ROARS_FIELDS(ToolUseEverywhere, bonus, wrong_cap)

}  // namespace roars::reward
