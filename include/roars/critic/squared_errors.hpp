#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "roars/concepts.hpp"

namespace roars::critic {

/// sum over responses of (V_m - R_m)^2, V = value, R = returns, a constant: a critic of several heads, each with an aim
/// of its own. Shapes: value, returns [rows, responses]. Metric: the mean over rows of the loss.
struct SquaredErrors {
    static constexpr std::string_view name = "value_loss";
    using rows = columns<col::value, col::returns>;
    using needs = columns<col::value, col::returns>;
    using differentiates = columns<col::value>;
    static constexpr std::array<std::string_view, 1> metrics{"squared_error"};

    template <class X, class Slope>
    ROARS_FN RowLoss<1> row(const X& x, const Slope& slope) const {
        using Real = typename X::value_type;
        auto value = x[col::value{}], target = x[col::returns{}];
        auto to = slope[col::value{}];
        double sum = 0;
        for (std::size_t m = 0; m < value.size(); ++m) {
            double error = double(value[m]) - double(target[m]);
            sum += error * error;
            to[m] = static_cast<Real>(2.0 * error);
        }
        return {sum, {sum}};
    }
};
ROARS_FIELDS(SquaredErrors)

}  // namespace roars::critic
