#pragma once

#include <array>
#include <string_view>

#include "roars/concepts.hpp"

namespace roars::regularizer {

/// -coefficient logp of the tokens that this policy did not write (external = 1), whatever their mask: hints are
/// imitated beside what the policy learns behind them. Metric: their logp. Source: SEELE, arXiv 2509.06923.
struct HintImitation {
    double coefficient = 1e-3;

    static constexpr std::string_view name = "imitation_loss";
    using needs = columns<col::logp, col::external>;
    using differentiates = columns<col::logp>;
    using mask = col::external;
    static constexpr std::array<std::string_view, 1> metrics{"hint_logp"};

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 1> token(const X& x) const {
        using V = value_t<X>;
        V scale(static_cast<math::Scalar<V>>(-coefficient));
        return {scale * x[col::logp{}], {scale}, {x[col::logp{}]}};
    }
};
ROARS_FIELDS(HintImitation, coefficient)

}  // namespace roars::regularizer
