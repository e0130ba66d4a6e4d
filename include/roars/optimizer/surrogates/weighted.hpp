#pragma once

#include "roars/advantage/times.hpp"
#include "roars/optimizer/surrogates/wrapper.hpp"

namespace roars::surrogate {

/// sg(weight) times another surrogate; by default the importance_weight that a part of roars/optimizer/correction.hpp
/// gives. The mean weight and the mean of its square give the effective sample size, mean^2 / mean of squares, of the
/// tokens.
template <TokenTerm Base, class Weight = weight::Column<col::importance_weight>>
struct Weighted {
    Base base{};
    Weight weight{};

    static constexpr std::string_view name = Base::name;
    using needs = unite_t<needs_of<Base>, needs_of<Weight>>;
    using gives = gives_of<Base>;
    using prepare_needs = detail::prepare_needs_of<Base>;
    using differentiates = typename Base::differentiates;
    static constexpr auto metrics =
        detail::with_name(detail::with_name(metrics_of<Base>, "importance_weight_squared"), "importance_weight");
    using Sums = detail::sums_of_base<Base>;

    static constexpr bool everywhere = detail::base_runs_everywhere<Base>;

    template <class RunType, class BatchType>
    void add_sums(RunType& run, BatchType& batch, Sums& to) const {
        detail::add_sums(base, run, batch, to);
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        detail::prepare_wrapped(base, run, batch, sums);
    }
    template <class X>
    ROARS_FN auto token(const X& x) const {
        using V = value_t<X>;
        V factor = weight(x);
        return detail::scaled<V>(detail::scaled<V>(base.token(x), factor, factor * factor), V(math::Scalar<V>(1)),
                                 factor);
    }
};
template <class Base, class Weight>
ROARS_FIELDS_OF((Weighted<Base, Weight>), base, weight)

}  // namespace roars::surrogate
