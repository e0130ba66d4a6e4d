#pragma once

#include <array>
#include <string_view>

#include "roars/concepts.hpp"

namespace roars::critic {

/// The binary cross entropy of m = returns, a success rate in [0, 1], and sigmoid(v), v = value a logit:
///     -m log sigmoid(v) - (1 - m) log sigmoid(-v),   d / dv = sigmoid(v) - m.
/// Finite for any v. Counts the tokens that col::keep marks: one for each state. A critic alone: the surrogate of its
/// own algorithm. Metric: the mean probability. Source: arXiv 2412.18279.
struct SuccessProbability {
    static constexpr std::string_view name = "value_loss";
    using needs = columns<col::value, col::returns>;
    using differentiates = columns<col::value>;
    using mask = col::keep;
    static constexpr std::array<std::string_view, 1> metrics{"success_probability"};

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 1> token(const X& x) const {
        using V = value_t<X>;
        const V one(math::Scalar<V>(1));
        V v = x[col::value{}], m = x[col::returns{}], probability = math::sigmoid(v);
        return {-m * math::log_sigmoid(v) - (one - m) * math::log_sigmoid(-v), {probability - m}, {probability}};
    }
};
ROARS_FIELDS(SuccessProbability)

}  // namespace roars::critic
