#pragma once

#include "roars/concepts.hpp"
#include "roars/pack.hpp"

namespace roars::reward {

/// The task's verdict as it is: r_i = outcome_i.
struct Verified {
    using needs = columns<col::outcome>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = true;
    template <class X>
    ROARS_FN double value(const X& x) const {
        return x[col::outcome{}];
    }
};
ROARS_FIELDS(Verified)

/// Soft overlong punishment for a sequence of n tokens, limit L = max_length, cache C = buffer:
///     0 if n <= L - C;   factor (L - C - n) / C if L - C < n <= L;   -factor beyond.
/// Source: DAPO, arXiv 2503.14476, eq. 13.
struct SoftOverlong {
    double max_length = 16384;
    double buffer = 4096;
    double factor = 1.0;

    using gives = columns<col::reward>;
    static constexpr bool everywhere = true;
    template <class X>
    ROARS_FN double value(const X& x) const {
        return penalty(static_cast<double>(x.length()));
    }
    ROARS_FN double penalty(double length) const {
        double excess = length - (max_length - buffer);
        if (excess <= 0) return 0.0;
        return buffer > 0 ? -math::min(excess, buffer) / buffer * factor : -factor;
    }
};
ROARS_FIELDS(SoftOverlong, max_length, buffer, factor)

/// r_i = sum of the rewards of its terms: Sum<Verified, SoftOverlong>{Verified{}, SoftOverlong{.buffer = 512}}.
template <SequenceReward... Term>
struct Sum : Pack<Term...> {
    using Pack<Term...>::Pack;
    using needs = unite_t<needs_of<Term>...>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = (runs_everywhere<Term> && ...);
    template <class X>
    ROARS_FN double value(const X& x) const {
        return apply(*this, [&](const Term&... term) { return (term.value(x) + ... + 0.0); });
    }
};

}  // namespace roars::reward
