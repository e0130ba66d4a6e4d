#pragma once

#include <cmath>

#include "roars/concepts.hpp"

namespace roars::reward {

/// A good answer is paid more the longer it thought, a bad one less: of s = Base and n tokens, L = max_length,
///     n >= L: beyond;   else c = (1 - cos(pi n / L)) / 2:   2 s c where s >= least, -c elsewhere.
/// Source: the zero-RL stage of Light-IF, arXiv 2508.03178.
template <SequenceReward Base>
struct LengthScaled {
    Base base{};
    double max_length = 8192;
    double least = 0.2;
    double beyond = -2.0;

    using needs = needs_of<Base>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = runs_everywhere<Base>;
    template <class X>
    ROARS_FN double value(const X& x) const {
        return of(base.value(x), static_cast<double>(x.length()));
    }
    ROARS_FN double of(double score, double length) const {
        if (length >= max_length) return beyond;
        const double share = 0.5 * (1.0 - std::cos(3.141592653589793 * (length / max_length)));
        return score >= least ? 2.0 * score * share : -share;
    }
};
template <class Base>
ROARS_FIELDS_OF((LengthScaled<Base>), base, max_length, least, beyond)

}  // namespace roars::reward
