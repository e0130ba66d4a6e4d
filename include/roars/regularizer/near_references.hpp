#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "roars/concepts.hpp"

namespace roars::regularizer {

/// coefficient * sum over frozen policies of the mean over dimensions of (policy_action - their action)^2. Shapes:
/// policy_action [rows, width], reference_action [rows, policies width]. Metric: the sum without the coefficient.
/// Source: TSCAC, arXiv 2302.01680, as released.
struct NearReferences {
    double coefficient = 1e-4;

    static constexpr std::string_view name = "reference_loss";
    using rows = columns<col::policy_action, col::reference_action>;
    using needs = columns<col::policy_action, col::reference_action>;
    using differentiates = columns<col::policy_action>;
    static constexpr std::array<std::string_view, 1> metrics{"reference_distance"};

    template <class X, class Slope>
    ROARS_FN RowLoss<1> row(const X& x, const Slope& slope) const {
        using Real = typename X::value_type;
        auto policy = x[col::policy_action{}], reference = x[col::reference_action{}];
        auto to = slope[col::policy_action{}];
        double width = double(policy.size()), sum = 0;
        for (std::size_t j = 0; j < reference.size(); ++j) {
            std::size_t d = j % policy.size();
            double away = double(policy[d]) - double(reference[j]);
            sum += away * away;
            to[d] += static_cast<Real>(2.0 * coefficient * away / width);
        }
        return {coefficient * sum / width, {sum / width}};
    }
};
ROARS_FIELDS(NearReferences, coefficient)

}  // namespace roars::regularizer
