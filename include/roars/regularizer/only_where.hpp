#pragma once

#include <cstdint>
#include <string_view>
#include <tuple>

#include "roars/optimizer/surrogates/wrapper.hpp"

namespace roars {

/// Which sequences are regularised, told from their rewards; right means a reward above 0. Their work is by units, as
/// that of a term (roars/units.hpp).
namespace where {

/// Wrong answers.
struct Wrong {
    using needs = columns<col::reward>;
    using gives = columns<col::penalty_weight>;
    using prepare_needs = needs;
    using Unit = unit::Sequence;
    template <class X>
    ROARS_FN void write(const X& x, std::int64_t i) const {
        x[col::penalty_weight{}][i] = x[col::reward{}][i] > 0 ? 0 : 1;
    }
};
/// The answers of groups that hold no right one.
struct GroupUnsolved {
    using needs = columns<col::groups, col::reward>;
    using gives = columns<col::penalty_weight>;
    using prepare_needs = needs;
    using Unit = unit::Group;
    template <class X>
    ROARS_FN void write(const X& x, std::int64_t group) const {
        const std::int64_t first = x[col::groups{}][group], last = x[col::groups{}][group + 1];
        bool solved = false;
        for (std::int64_t i = first; i < last; ++i) solved |= x[col::reward{}][i] > 0;
        for (std::int64_t i = first; i < last; ++i) x[col::penalty_weight{}][i] = solved ? 0 : 1;
    }
};
ROARS_FIELDS(Wrong)
ROARS_FIELDS(GroupUnsolved)

}  // namespace where

namespace regularizer {

/// A term times [penalty_weight != 0] of the sequence.
template <TokenTerm Base>
struct OfMarkedSequences {
    Base base{};

    static constexpr std::string_view name = Base::name;
    using needs = unite_t<needs_of<Base>, columns<col::penalty_weight>>;
    using gives = gives_of<Base>;
    using prepare_needs = roars::detail::prepare_needs_of<Base>;
    using differentiates = typename Base::differentiates;
    using mask = mask_of<Base>;
    static constexpr auto metrics = roars::detail::with_name(metrics_of<Base>, "penalised_fraction");
    using Sums = roars::detail::sums_of_base<Base>;

    static constexpr bool everywhere = roars::detail::base_runs_everywhere<Base>;

    template <class RunType, class BatchType>
    void add_sums(RunType& run, BatchType& batch, Sums& to) const {
        roars::detail::add_sums(base, run, batch, to);
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        roars::detail::prepare_wrapped(base, run, batch, sums);
    }
    template <class X>
    ROARS_FN auto token(const X& x) const {
        using V = value_t<X>;
        return roars::detail::kept<V>(base.token(x), x[col::penalty_weight{}] != V(math::Scalar<V>(0)));
    }
};

/// Base on the sequences that Where marks. The others' tokens still count in its mean, so that marking fewer lowers its
/// weight. Metrics: those of Base over all tokens, and penalised_fraction.
template <RegularizerPart Base, class Where>
struct OnlyWhere {
    Base base{};
    Where where{};

    using needs = typename Where::needs;
    using gives = columns<col::penalty_weight>;
    using State = state_of<Base>;
    static constexpr bool everywhere = true;

    template <class RunType, BatchWith<col::reward, col::penalty_weight> BatchType>
    void shape(RunType& run, State&, BatchType& batch) const {
        roars::detail::write_units(where, run, batch, roars::detail::NoSums{});
    }
    auto terms(const State& state) const {
        return std::apply([](const auto&... term) { return std::tuple(of_marked(term)...); },
                          roars::detail::terms_of(base, state));
    }
    template <class RunType, class ResultType>
    void observe(RunType& run, State& state, const ResultType& result) const {
        roars::detail::call_observe(base, run, state, result);
    }

private:
    template <class Term>
    static OfMarkedSequences<Term> of_marked(const Term& term) {
        return {term};
    }
};
template <class Base, class Where>
ROARS_FIELDS_OF((OnlyWhere<Base, Where>), base, where)

}  // namespace regularizer
}  // namespace roars
