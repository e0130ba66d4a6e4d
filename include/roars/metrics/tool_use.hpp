#pragma once

#include <cstddef>
#include <limits>
#include <span>

#include "roars/error.hpp"
#include "roars/fields.hpp"
#include "roars/primitives/segments.hpp"

namespace roars::metrics {

/// What tool calls are worth on a test set.
struct ToolUse {
    double productivity;  ///< right answers a call
    double accuracy;
    double mean_calls;
};
ROARS_FIELDS(ToolUse, productivity, accuracy, mean_calls)

/// productivity = number of right answers / number of calls, both summed over the whole set first: 0 where nothing is
/// right, infinite where something is right and nothing was called. Accuracy and mean calls of no answers are NaN.
/// Right: above 0.5. Shapes: calls, correct [answers]. Source: OTC, arXiv 2504.14870.
template <class Real>
ToolUse tool_use(std::span<const Real> calls, std::span<const Real> correct) {
    roars::detail::expect_size("tool use: correct", correct.size(), std::ssize(calls));
    double right = 0, called = 0;
    for (std::size_t i = 0; i < calls.size(); ++i) {
        right += correct[i] > Real(0.5) ? 1.0 : 0.0;
        called += static_cast<double>(calls[i]);
    }
    const auto answers = static_cast<double>(calls.size());
    constexpr double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
    return {right == 0    ? 0.0
            : called == 0 ? infinity
                          : right / called,
            calls.empty() ? nan : right / answers, calls.empty() ? nan : called / answers};
}

}  // namespace roars::metrics
