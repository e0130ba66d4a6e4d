#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "roars/concepts.hpp"

namespace roars::regularizer {

/// The policy's action stays near the better one of two actions, and near none where both are worse than the state:
///     coefficient * active * mean over dimensions of (policy_action - guide)^2,
///     guide = model_action if model_q >= taken_q, else the action in the data,
///     active = 1 if model_q >= value or taken_q > value, else 0.
/// The guide is a constant of the gradient. A token that is not active still counts in the mean. Shapes: policy_action,
/// action, model_action [rows, width]; model_q, taken_q, value [rows]. Metrics: the share of active tokens, and of
/// those whose guide is the model's action. Source: A2PR, arXiv 2405.19909; which of the comparisons are strict is its
/// code's.
struct AdvantageConstraint {
    double coefficient = 1.0;

    static constexpr std::string_view name = "behaviour_loss";
    using rows = columns<col::policy_action, col::action, col::model_action>;
    using needs = columns<col::policy_action, col::action, col::model_action, col::model_q, col::taken_q, col::value>;
    using differentiates = columns<col::policy_action>;
    static constexpr std::array<std::string_view, 2> metrics{"active", "guided_by_model"};

    struct Guide {
        bool of_model;
        bool active;
    };
    ROARS_FN static Guide guide(double model_q, double taken_q, double value) {
        return {model_q >= taken_q, model_q >= value || taken_q > value};
    }

    template <class X, class Slope>
    ROARS_FN RowLoss<2> row(const X& x, const Slope& slope) const {
        using Real = typename X::value_type;
        auto [of_model, active] = guide(double(x[col::model_q{}]), double(x[col::taken_q{}]), double(x[col::value{}]));
        RowLoss<2> said{0.0, {double(active), double(of_model)}};
        if (!active) return said;
        auto policy = x[col::policy_action{}], target = of_model ? x[col::model_action{}] : x[col::action{}];
        auto to = slope[col::policy_action{}];
        double width = double(policy.size());
        for (std::size_t j = 0; j < policy.size(); ++j) {
            double away = double(policy[j]) - double(target[j]);
            said.loss += coefficient * away * away / width;
            to[j] = static_cast<Real>(2.0 * coefficient * away / width);
        }
        return said;
    }
};
ROARS_FIELDS(AdvantageConstraint, coefficient)

}  // namespace roars::regularizer
