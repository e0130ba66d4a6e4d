#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "roars/concepts.hpp"

namespace roars::regularizer {

/// coefficient * sum over dimensions of policy_action^2: the size of an action that is a correction. Shapes:
/// policy_action [rows, width]. Metric: the sum without the coefficient. Source: ResFiT, arXiv 2509.19301.
struct ActionSize {
    double coefficient = 0.0;

    static constexpr std::string_view name = "size_loss";
    using rows = columns<col::policy_action>;
    using needs = columns<col::policy_action>;
    using differentiates = columns<col::policy_action>;
    static constexpr std::array<std::string_view, 1> metrics{"action_size"};

    template <class X, class Slope>
    ROARS_FN RowLoss<1> row(const X& x, const Slope& slope) const {
        using Real = typename X::value_type;
        auto policy = x[col::policy_action{}];
        auto to = slope[col::policy_action{}];
        double sum = 0;
        for (std::size_t d = 0; d < policy.size(); ++d) {
            sum += double(policy[d]) * double(policy[d]);
            to[d] = static_cast<Real>(2.0 * coefficient * double(policy[d]));
        }
        return {coefficient * sum, {sum}};
    }
};
ROARS_FIELDS(ActionSize, coefficient)

}  // namespace roars::regularizer
