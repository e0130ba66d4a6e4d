#pragma once

#include "roars/advantage/times.hpp"

namespace roars::weight {

/// (1 - p)^power, p = e^logp the token's probability: what the policy finds improbable counts most, what it is sure of
/// nothing. power = 0: 1 everywhere. Source: RL-PLUS, arXiv 2508.00222; the focal loss, arXiv 1708.02002.
struct Focal {
    double power = 0.5;

    using needs = columns<col::logp>;

    static constexpr bool everywhere = true;

    template <class X>
    ROARS_FN auto operator()(const X& x) const {
        auto logp = x[col::logp{}];
        using V = decltype(logp);
        using Real = math::Scalar<V>;
        if (power == 0.0) return V(Real(1));
        V rest = math::max(-math::expm1(logp), V(Real(0)));
        return V(math::exp(V(static_cast<Real>(power)) * math::log(rest)));
    }
};
ROARS_FIELDS(Focal, power)

/// Base where col::external is not 0, else 1.
template <class Base>
struct OnExternal {
    Base base{};

    using needs = unite_t<needs_of<Base>, columns<col::external>>;

    static constexpr bool everywhere = true;

    template <class X>
    ROARS_FN auto operator()(const X& x) const {
        auto external = x[col::external{}];
        using V = decltype(external);
        using Real = math::Scalar<V>;
        return math::select(external != V(Real(0)), V(base(x)), V(Real(1)));
    }
};
template <class Base>
ROARS_FIELDS_OF((OnExternal<Base>), base)

}  // namespace roars::weight
