#pragma once

#include <algorithm>
#include <cmath>

#include "roars/concepts.hpp"

namespace roars::reward {

/// A price on every token: r = -min(per_token n, most).
struct LinearLength {
    double per_token = 1e-4;
    double most = 1.0;

    using gives = columns<col::reward>;
    template <class X>
    double value(const X& x) const {
        return penalty(static_cast<double>(x.length()));
    }
    double penalty(double length) const { return -std::min(per_token * length, most); }
};
ROARS_FIELDS(LinearLength, per_token, most)

/// The reward at length n goes along half a cosine from that of length 0 to that of length L = max_length, for right
/// and wrong answers apart; beyond L it is `exceeded`:
///     r = at_max + (at_zero - at_max) (1 + cos(pi n / L)) / 2.
/// A right answer does best short, a wrong one long. Right: outcome > 0.5. Source: arXiv 2502.03373, section 4.1.
struct CosineLength {
    double right_at_zero = 2.0, right_at_max = 1.0;
    double wrong_at_zero = -10.0, wrong_at_max = 0.0;
    double exceeded = -10.0;
    double max_length = 16384;

    using needs = columns<col::outcome>;
    using gives = columns<col::reward>;
    template <class X>
    double value(const X& x) const {
        return of(x[col::outcome{}] > 0.5, static_cast<double>(x.length()));
    }
    double of(bool right, double length) const {
        if (length > max_length) return exceeded;
        double zero = right ? right_at_zero : wrong_at_zero, most = right ? right_at_max : wrong_at_max;
        return most + (zero - most) * 0.5 * (1.0 + std::cos(3.141592653589793 * length / max_length));
    }
};
ROARS_FIELDS(CosineLength, right_at_zero, right_at_max, wrong_at_zero, wrong_at_max, exceeded, max_length)

}  // namespace roars::reward
