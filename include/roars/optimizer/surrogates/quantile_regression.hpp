#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "roars/concepts.hpp"
#include "roars/critic/quantile.hpp"

namespace roars::surrogate {

/// The quantiles of the action taken, by regression on the target's: critic::QuantileHuber of each row. Shapes:
/// quantiles [rows x N], target_quantiles [rows x targets]. Metric: the mean of the quantiles. Source: QR-DQN, arXiv
/// 1710.10044.
struct QuantileRegression {
    critic::QuantileHuber rule{};

    static constexpr std::string_view name = "quantile_loss";
    using rows = columns<col::quantiles, col::target_quantiles>;
    using needs = columns<col::quantiles, col::target_quantiles>;
    using differentiates = columns<col::quantiles>;
    static constexpr std::array<std::string_view, 1> metrics{"q"};

    template <class X, class Slope>
    ROARS_FN RowLoss<1> row(const X& x, const Slope& slope) const {
        using Real = typename X::value_type;
        auto theta = x[col::quantiles{}];
        auto to = slope[col::quantiles{}];
        double mean = 0;
        for (Real each : theta) mean += double(each) / double(theta.size());
        return {rule.row_loss(theta, x[col::target_quantiles{}],
                              [&](std::size_t i, double by_theta) { to[i] = static_cast<Real>(by_theta); }),
                {mean}};
    }
};
ROARS_FIELDS(QuantileRegression, rule)

}  // namespace roars::surrogate
