#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "roars/concepts.hpp"

namespace roars::regularizer {

/// coefficient * mean over dimensions of (policy_action - Target)^2: the policy's action stays near the action of the
/// data, or near another row that a part gives. Shapes: policy_action, Target [rows, width]. Metric: the mean square
/// without the coefficient. Source: TD3+BC, arXiv 2106.06860, eq. 3.
template <class Target = col::action>
struct NearAction {
    double coefficient = 1.0;

    static constexpr std::string_view name = "behaviour_loss";
    using rows = columns<col::policy_action, Target>;
    using needs = columns<col::policy_action, Target>;
    using differentiates = columns<col::policy_action>;
    static constexpr std::array<std::string_view, 1> metrics{"action_error"};

    template <class X, class Slope>
    ROARS_FN RowLoss<1> row(const X& x, const Slope& slope) const {
        using Real = typename X::value_type;
        auto policy = x[col::policy_action{}], target = x[Target{}];
        auto to = slope[col::policy_action{}];
        double width = double(policy.size()), sum = 0;
        for (std::size_t j = 0; j < policy.size(); ++j) {
            double away = double(policy[j]) - double(target[j]);
            sum += away * away;
            to[j] = static_cast<Real>(2.0 * coefficient * away / width);
        }
        return {coefficient * sum / width, {sum / width}};
    }
};
template <class Target>
ROARS_FIELDS_OF((NearAction<Target>), coefficient)

using BehaviourCloning = NearAction<col::action>;

}  // namespace roars::regularizer
