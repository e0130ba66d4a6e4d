#pragma once

#include "roars/optimizer/surrogates/wrapper.hpp"

namespace roars::surrogate {

/// Another surrogate whose ratio is taken against what really drew the token: it reads logp_behaviour where it would
/// read logp_old. For rollouts that are not the old policy's alone, with whatever a sampler has written there.
template <TokenTerm Base>
struct FromBehaviour {
    static_assert(contains_v<col::logp_old, needs_of<Base>>, "roars: this surrogate has no ratio to an old policy");
    static_assert(!detail::prepares<Base>, "roars: this surrogate looks at the old policy before its token function");

    Base base{};

    static constexpr std::string_view name = Base::name;
    using needs = unite_t<minus_t<needs_of<Base>, columns<col::logp_old>>, columns<col::logp_behaviour>>;
    using differentiates = typename Base::differentiates;
    static constexpr auto metrics = metrics_of<Base>;

    template <class X>
    ROARS_FN auto token(const X& x) const {
        return base.token(detail::Reading<X, col::logp_old, col::logp_behaviour>{x});
    }
};
template <class Base>
ROARS_FIELDS_OF((FromBehaviour<Base>), base)

}  // namespace roars::surrogate
