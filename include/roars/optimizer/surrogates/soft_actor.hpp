#pragma once

#include <string_view>

#include "roars/fields.hpp"
#include "roars/term.hpp"

namespace roars::surrogate {

/// alpha logp - b q, of an action of the policy itself: q = min of the critics there, b = balance, a constant. The
/// larger b, the more is improvement worth against the constraint. With b = 1 it is the actor of SAC. Source: FamO2O,
/// arXiv 2310.17966, section 4.1, on a conservative critic.
struct BalancedSoftActor {
    double alpha = 0.2;

    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp, col::q, col::balance>;
    using differentiates = columns<col::logp, col::q>;

    template <class X>
    ROARS_FN Loss<value_t<X>, 2> token(const X& x) const {
        using V = value_t<X>;
        const V temperature(static_cast<math::Scalar<V>>(alpha));
        V balance = x[col::balance{}];
        return {temperature * x[col::logp{}] - balance * x[col::q{}], {temperature, -balance}};
    }
};
ROARS_FIELDS(BalancedSoftActor, alpha)

}  // namespace roars::surrogate
