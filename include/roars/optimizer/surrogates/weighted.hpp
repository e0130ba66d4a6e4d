#pragma once

#include "roars/optimizer/surrogates/wrapper.hpp"

namespace roars::surrogate {

/// sg(importance_weight) times another surrogate. Who gives the weight: roars/optimizer/correction.hpp. The mean weight
/// and the mean of its square give the effective sample size, mean^2 / mean of squares, of the tokens.
template <TokenTerm Base>
struct Weighted {
    Base base{};

    static constexpr std::string_view name = Base::name;
    using needs = unite_t<needs_of<Base>, columns<col::importance_weight>>;
    using gives = gives_of<Base>;
    using prepare_needs = detail::prepare_needs_of<Base>;
    using differentiates = typename Base::differentiates;
    static constexpr auto metrics =
        detail::with_name(detail::with_name(metrics_of<Base>, "importance_weight_squared"), "importance_weight");
    using Sums = detail::sums_of_base<Base>;

    template <class RunType, class BatchType>
    Sums reduce(RunType& run, BatchType& batch) const {
        return detail::reduce_base(base, run, batch);
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        detail::prepare_base(base, run, batch, sums);
    }
    template <class X>
    ROARS_FN auto token(const X& x) const {
        using V = value_t<X>;
        V weight = x[col::importance_weight{}];
        return detail::scaled<V>(detail::scaled<V>(base.token(x), weight, weight * weight), V(math::Scalar<V>(1)),
                                 weight);
    }
};
template <class Base>
ROARS_FIELDS_OF((Weighted<Base>), base)

}  // namespace roars::surrogate
