#pragma once

#include "roars/concepts.hpp"

namespace roars::reward {

/// The reward of Base, less what a wrong choice of when to reason costs:
///     r = base - missing [needed and not reasoned] - needless [not needed and reasoned] - misformed [no form].
/// The two first pull against each other: their sizes are a point on the front of score against how often it reasons.
/// Shapes: reasoned, needs_reasoning, format [sequences]. Source: AdaCoT, arXiv 2505.11896.
template <SequenceReward Base>
struct ReasoningCost {
    Base base{};
    double missing = 0.3;
    double needless = 0.3;
    double misformed = 1.0;

    using needs = unite_t<needs_of<Base>, columns<col::reasoned, col::needs_reasoning, col::format>>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = runs_everywhere<Base>;
    template <class X>
    ROARS_FN double value(const X& x) const {
        const bool reasoned = x[col::reasoned{}] != 0, needed = x[col::needs_reasoning{}] != 0;
        const double choice = reasoned == needed ? 0.0 : needed ? missing : needless;
        return base.value(x) - choice - (x[col::format{}] != 0 ? 0.0 : misformed);
    }
};
template <class Base>
ROARS_FIELDS_OF((ReasoningCost<Base>), base, missing, needless, misformed)

}  // namespace roars::reward
