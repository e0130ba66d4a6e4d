#pragma once

#include <cstddef>

#include "roars/optimizer/surrogates/climb.hpp"

namespace roars::surrogate {

/// -b q(state, policy_action), b = balance, a constant: the larger b, the more is improvement worth against the
/// entropy and the critic's doubt. With b = 1 it is Climb. Shapes: balance, q [rows], q_gradient, policy_action [rows,
/// width]. Metric: the mean q. Source: FamO2O, arXiv 2310.17966, section 4.1, on a conservative critic.
struct BalancedClimb {
    static constexpr std::string_view name = "policy_loss";
    using rows = Climb::rows;
    using needs = columns<col::policy_action, col::q, col::q_gradient, col::balance>;
    using differentiates = Climb::differentiates;
    static constexpr auto metrics = Climb::metrics;

    template <class X, class Slope>
    ROARS_FN RowLoss<1> row(const X& x, const Slope& slope) const {
        using Real = typename X::value_type;
        const double balance = double(x[col::balance{}]), q = double(x[col::q{}]);
        auto by_action = x[col::q_gradient{}];
        auto to = slope[col::policy_action{}];
        for (std::size_t j = 0; j < to.size(); ++j) to[j] = static_cast<Real>(-balance * double(by_action[j]));
        return {-balance * q, {q}};
    }
};
ROARS_FIELDS(BalancedClimb)

}  // namespace roars::surrogate
