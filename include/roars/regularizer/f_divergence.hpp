#pragma once

#include <limits>

#include "roars/fields.hpp"
#include "roars/math.hpp"

/// D_f(p || q) = sum q f(p / q) as dual objectives read it, for the generator f of each:
///     conjugate(y)          = max over all t of t y - f(t),
///     positive_conjugate(y) = the same over t >= 0, where densities live,
///     weight(y)             = the maximising t >= 0, max(0, f'^-1(y)): the slope of the line above, and the ratio p /
///     q
///                             of the optimum,
///     raised(y)             = max(conjugate(y), 0) and its slope, 0 at the kinks: what f-DVL puts in their place.
/// Source: Dual RL, arXiv 2302.08560, section 3 and table 1.
namespace roars::f_divergence {

template <class V>
struct Raised {
    V value, slope;
};

/// f(t) = t log t, the authors' reverse KL: conjugate, positive conjugate and weight are e^(y - 1).
struct ReverseKl {
    template <class V>
    ROARS_FN static V conjugate(const V& y) {
        return math::exp(y - V(math::Scalar<V>(1)));
    }
    template <class V>
    ROARS_FN static V positive_conjugate(const V& y) {
        return conjugate(y);
    }
    template <class V>
    ROARS_FN static V weight(const V& y) {
        return conjugate(y);
    }
};

/// f(t) = (t - 1)^2: conjugate y + y^2 / 4; weight max(0, 1 + y / 2); where that is 0 the positive conjugate is -1.
/// raised is positive again below -4: it pulls a value that is far too high down the faster.
struct ChiSquare {
    template <class V>
    ROARS_FN static V conjugate(const V& y) {
        return y * (V(math::Scalar<V>(1)) + V(math::Scalar<V>(0.25)) * y);
    }
    template <class V>
    ROARS_FN static V positive_conjugate(const V& y) {
        using Real = math::Scalar<V>;
        return math::select(y > V(Real(-2)), conjugate(y), V(Real(-1)));
    }
    template <class V>
    ROARS_FN static V weight(const V& y) {
        using Real = math::Scalar<V>;
        return math::max(V(Real(1)) + V(Real(0.5)) * y, V(Real(0)));
    }
    template <class V>
    ROARS_FN static Raised<V> raised(const V& y) {
        using Real = math::Scalar<V>;
        const V zero(Real(0));
        V value = conjugate(y);
        auto up = value > zero;
        return {math::select(up, value, zero), math::select(up, V(Real(1)) + V(Real(0.5)) * y, zero)};
    }
};

/// f(t) = |t - 1| / 2: for |y| <= 1/2 the conjugate is y; the positive one is max(y, -1/2); above 1/2 both are
/// infinite. raised is max(y, 0), without that bound.
struct TotalVariation {
    template <class V>
    ROARS_FN static V conjugate(const V& y) {
        using Real = math::Scalar<V>;
        return math::select(math::abs(y) <= V(Real(0.5)), y, V(std::numeric_limits<Real>::infinity()));
    }
    template <class V>
    ROARS_FN static V positive_conjugate(const V& y) {
        using Real = math::Scalar<V>;
        V held = math::max(y, V(Real(-0.5)));
        return math::select(y <= V(Real(0.5)), held, V(std::numeric_limits<Real>::infinity()));
    }
    template <class V>
    ROARS_FN static V weight(const V& y) {
        using Real = math::Scalar<V>;
        V within = math::select(y > V(Real(-0.5)), V(Real(1)), V(Real(0)));
        return math::select(y <= V(Real(0.5)), within, V(std::numeric_limits<Real>::infinity()));
    }
    template <class V>
    ROARS_FN static Raised<V> raised(const V& y) {
        using Real = math::Scalar<V>;
        const V zero(Real(0));
        return {math::max(y, zero), math::select(y > zero, V(Real(1)), zero)};
    }
};

ROARS_FIELDS(ReverseKl)
ROARS_FIELDS(ChiSquare)
ROARS_FIELDS(TotalVariation)

}  // namespace roars::f_divergence
