#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <tuple>
#include <vector>

#include "roars/optimizer/surrogates/wrapper.hpp"
#include "roars/primitives/broadcast.hpp"
#include "roars/primitives/segmented_reduce.hpp"

namespace roars {

/// Which sequences are regularised, told from their rewards; right means a reward above 0.
namespace where {

/// Wrong answers.
struct Wrong {
    using needs = columns<col::reward>;
    template <class RunType, class BatchType, class Mark>
    void operator()(RunType& run, const BatchType& batch, Mark&& mark) const {
        parallel_for(run.backend, batch.sequences(),
                     [&](std::int64_t i) { mark(i, !(batch[col::reward{}][std::size_t(i)] > 0)); });
    }
};
/// The answers of groups that hold no right one.
struct GroupUnsolved {
    using needs = columns<col::groups, col::reward>;
    template <class RunType, class BatchType, class Mark>
    void operator()(RunType& run, const BatchType& batch, Mark&& mark) const {
        std::vector<std::int64_t> right(static_cast<std::size_t>(batch.groups()));
        segmented_sum(
            run.backend, batch[col::groups{}],
            [&](std::int64_t i) { return std::int64_t(batch[col::reward{}][std::size_t(i)] > 0); }, std::span(right));
        segmented_for_each(run.backend, batch[col::groups{}],
                           [&](std::int64_t g, std::int64_t i) { mark(i, right[std::size_t(g)] == 0); });
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

    template <class RunType, class BatchType>
    Sums reduce(RunType& run, BatchType& batch) const {
        return roars::detail::reduce_base(base, run, batch);
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        roars::detail::prepare_base(base, run, batch, sums);
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

    template <class RunType, BatchWith<col::reward, col::penalty_weight> BatchType>
    void shape(RunType& run, State&, BatchType& batch) const {
        using Real = typename BatchType::Real;
        where(run, batch, [to = batch[col::penalty_weight{}]](std::int64_t i, bool marked) {
            to[static_cast<std::size_t>(i)] = marked ? Real(1) : Real(0);
        });
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
