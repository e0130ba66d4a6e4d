#pragma once

#include "roars/optimizer/surrogates/wrapper.hpp"

namespace roars::surrogate {

/// W loss(A) + (1 - W) loss(A_global) of another surrogate, W = blend of the sequence, a constant: a blend of losses,
/// not of advantages, which differs as soon as a clip binds. Metrics are blended too. Who gives the columns:
/// advantage::LocalAndGlobal.
template <TokenTerm Base>
struct Blended {
    static_assert(contains_v<col::advantage, needs_of<Base>>, "roars: this surrogate has no advantage to blend");
    static_assert(!contains_v<col::advantage, detail::prepare_needs_of<Base>>,
                  "roars: this surrogate prepares columns from the advantage, of which there are two");

    Base base{};

    static constexpr std::string_view name = Base::name;
    using needs = unite_t<needs_of<Base>, columns<col::advantage_global, col::blend>>;
    using gives = gives_of<Base>;
    using prepare_needs = detail::prepare_needs_of<Base>;
    using differentiates = typename Base::differentiates;
    static constexpr auto metrics = metrics_of<Base>;
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
        V local = x[col::blend{}], global = V(math::Scalar<V>(1)) - local;
        auto said = base.token(x);
        auto across = base.token(detail::Reading<X, col::advantage, col::advantage_global>{x});
        said.loss = local * said.loss + global * across.loss;
        for (std::size_t i = 0; i < said.slope.size(); ++i)
            said.slope[i] = local * said.slope[i] + global * across.slope[i];
        if constexpr (metrics.size() > 0)
            for (std::size_t i = 0; i < metrics.size(); ++i)
                said.metric[i] = local * said.metric[i] + global * across.metric[i];
        return said;
    }
};
template <class Base>
ROARS_FIELDS_OF((Blended<Base>), base)

}  // namespace roars::surrogate
