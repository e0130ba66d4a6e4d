#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "roars/optimizer/surrogates/climb.hpp"

namespace roars::surrogate {

/// A residual on top of a base action climbs the critic: -q(state, clip(base_action + policy_action, -1, 1)). The
/// policy's own action is the residual; q and q_gradient are of the combined one (of an ensemble: the means over its
/// heads). The clip passes a gradient only where the sum is within its bounds. Shapes: q [rows], the others [rows,
/// width]. Metric: the mean q. Source: ResFiT, arXiv 2509.19301.
struct ResidualClimb {
    static constexpr std::string_view name = "policy_loss";
    using rows = columns<col::policy_action, col::base_action, col::q_gradient>;
    using needs = columns<col::policy_action, col::base_action, col::q, col::q_gradient>;
    using differentiates = columns<col::policy_action>;
    static constexpr std::array<std::string_view, 1> metrics{"q"};

    /// clip(base + residual, -1, 1). Shapes: all alike.
    template <class Real>
    static void combine(backend::Host& backend, std::span<const Real> base, std::span<const Real> residual,
                        std::span<Real> combined) {
        parallel_for(backend, std::ssize(combined), [&](std::int64_t cell) {
            auto i = static_cast<std::size_t>(cell);
            combined[i] = static_cast<Real>(std::clamp(double(base[i]) + double(residual[i]), -1.0, 1.0));
        });
    }
    template <class X, class Slope>
    RowLoss<1> row(const X& x, const Slope& slope) const {
        using Real = typename X::value_type;
        auto residual = x[col::policy_action{}], base = x[col::base_action{}], by_action = x[col::q_gradient{}];
        auto to = slope[col::policy_action{}];
        for (std::size_t d = 0; d < to.size(); ++d) {
            double sum = double(base[d]) + double(residual[d]);
            to[d] = sum >= -1.0 && sum <= 1.0 ? -Real(by_action[d]) : Real(0);
        }
        double q = double(x[col::q{}]);
        return {-q, {q}};
    }
};
ROARS_FIELDS(ResidualClimb)

}  // namespace roars::surrogate
