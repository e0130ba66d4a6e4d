#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "roars/concepts.hpp"
#include "roars/everywhere.hpp"

/// Terms that work on whole sequences or groups, their units, before their token function. Such a term says
///     using Unit = unit::Sequence;     or unit::Group; a unit is in one micro-batch
///     using Summary = ...;             a token function summed over each sequence, x.of(i).sum; may be left out
///     using prepare_needs, gives       the columns that x has
///     void write(x, u[, sums]) const   what it gives of unit u; the columns of `clears` are 0 before
/// and, where its loss needs numbers of the whole batch first,
///     struct Sums                      numbers that add up, 0 at first
///     Sums sums_of(x, u) const         of unit u; with `sums_of_columns = true` it asks for no x.of(i)
///     double untold(x, u, sums) const  the part of the loss at no trainable token, a constant; may be left out
///     void check(x, u)                 throws where unit u makes no sense; of the host alone; may be left out
/// All but the last are ROARS_FN, x is a SummedView; for check it is a plain one. The loop of the host and the kernel
/// of a device come from these.
///
/// Sums that are lists (an order over the whole batch) grow, and where their memory is must be said:
///     template <class B>
///     using SumsIn = ...               in the memory of backend B, with clear(); Sums is SumsIn<backend::Host>
/// Such a term is no unit's: it has add_sums, prepare and add_untold of its own, which run everywhere.
namespace roars {

namespace unit {
struct Sequence {
    template <class BatchType>
    static std::int64_t count(const BatchType& batch) {
        return batch.sequences();
    }
};
struct Group {
    template <class BatchType>
    static std::int64_t count(const BatchType& batch) {
        return batch.groups();
    }
};
}  // namespace unit

namespace detail {

/// What a term's `prepare` reads, beside what its token function does.
template <class Term>
struct prepare_needs {
    using type = columns<>;
};
template <class Term>
requires requires { typename Term::prepare_needs; }
struct prepare_needs<Term> {
    using type = typename Term::prepare_needs;
};

/// A term whose loss needs numbers of the whole batch before its gradient: reduce(run, batch) gives its Sums, which add
/// up over micro-batches; with(sums) then gives the term that knows them, or prepare(run, batch, sums) the columns.
template <class Term>
concept TwoPhase = requires {
    typename Term::Sums;
};
template <class Term>
struct sums {
    using type = NoState;
};
template <TwoPhase Term>
struct sums<Term> {
    using type = typename Term::Sums;
};

/// What a term's sums are in the memory of backend B.
template <class Term, class B>
struct sums_in {
    using type = typename sums<Term>::type;
};
template <class Term>
concept ListsSums = requires {
    typename Term::template SumsIn<backend::Host>;
};
template <ListsSums Term, class B>
struct sums_in<Term, B> {
    using type = typename Term::template SumsIn<B>;
};
template <class Term>
concept ByUnits = requires {
    typename Term::Unit;
};
/// Whether anything stands before a term's token function, and whether that, if it does, is for every backend.
template <class Term>
concept PreparesAlone = requires(const Term& term, archetype::AnyRun& run, archetype::AnyBatch& batch) {
    term.prepare(run, batch);
};
template <class Term>
inline constexpr bool prepares = TwoPhase<Term> || ByUnits<Term> || PreparesAlone<Term>;
template <class Term>
inline constexpr bool term_runs_everywhere = ByUnits<Term> || runs_everywhere<Term> || !prepares<Term>;

/// The same of a term that another one stands around, whose Sums are its own: they must be of a known size.
template <class Term>
inline constexpr bool base_runs_everywhere = term_runs_everywhere<Term> && !ListsSums<Term>;

template <class Term>
struct summary {
    using type = NoSummary;
};
template <class Term>
requires requires { typename Term::Summary; }
struct summary<Term> {
    using type = typename Term::Summary;
};
/// A summary that has settings is the term's to make.
template <class Term>
auto summary_of(const Term& term) {
    if constexpr (requires { term.summary(); })
        return term.summary();
    else
        return typename summary<Term>::type{};
}
template <class Term>
struct clears {
    using type = columns<>;
};
template <class Term>
requires requires { typename Term::clears; }
struct clears<Term> {
    using type = typename Term::clears;
};

template <class Term>
inline constexpr bool sums_of_columns = requires {
    requires Term::sums_of_columns;
};

/// The functions of a unit as bodies of a loop; `sums` are in the backend's memory.
template <class Term, class X>
struct SumsOfUnit {
    Term term;
    X x;
    ROARS_FN auto operator()(std::int64_t u) const { return term.sums_of(x, u); }
};
template <class Term, class X>
struct WriteUnit {
    Term term;
    X x;
    ROARS_FN void operator()(std::int64_t u) const { term.write(x, u); }
};
template <class Term, class X, class Sums>
struct WriteUnitBySums {
    Term term;
    X x;
    const Sums* sums;
    ROARS_FN void operator()(std::int64_t u) const { term.write(x, u, *sums); }
};
template <class Term, class X, class Sums>
struct UntoldOfUnit {
    Term term;
    X x;
    const Sums* sums;
    ROARS_FN double operator()(std::int64_t u) const { return term.untold(x, u, *sums); }
};
template <class T>
struct Fill {
    T* to;
    T value;
    ROARS_FN void operator()(std::int64_t t) const { to[t] = value; }
};
/// The column is `value` everywhere.
template <class Column, class RunType, class BatchType>
void fill_column(RunType& run, BatchType& batch, double value) {
    using Real = typename BatchType::Real;
    auto view = view_of<columns<Column>>(run, batch);
    std::int64_t count = Column::extent == Extent::sequence ? batch.sequences() : batch.tokens();
    EverywhereOf<RunType>::for_each(run.backend, count, Fill<Real>{view[Column{}], static_cast<Real>(value)});
}

/// check(u) for u in [0, count), of the host alone: a kernel cannot throw.
template <class RunType, class Check>
void check_each(RunType&, [[maybe_unused]] std::int64_t count, [[maybe_unused]] const Check& check) {
    if constexpr (!std::remove_cvref_t<decltype(std::declval<RunType&>().backend)>::on_device)
        for (std::int64_t u = 0; u < count; ++u) check(u);
}
template <class Term, class RunType, class BatchType>
void check_units(const Term& term, RunType& run, const BatchType& batch) {
    auto x = view_of<typename prepare_needs<Term>::type>(run, batch);
    if constexpr (requires { term.check(x, 0); })
        check_each(run, Term::Unit::count(batch), [&](std::int64_t u) { term.check(x, u); });
}
template <class Term, class RunType, class BatchType>
void add_unit_sums(const Term& term, RunType& run, const BatchType& batch, typename Term::Sums& to) {
    check_units(term, run, batch);
    using Columns = typename prepare_needs<Term>::type;
    auto add = [&]<class X>(const X& x) {
        EverywhereOf<RunType>::add(run.backend, Term::Unit::count(batch), SumsOfUnit<Term, X>{term, x}, to);
    };
    if constexpr (sums_of_columns<Term>) {
        auto view = view_of<Columns>(run, batch);
        add(SummedView<decltype(view)>{view});
    } else {
        with_summaries<Columns>(run, batch, summary_of(term), add);
    }
}
template <class Term, class RunType, class BatchType, class Sums>
void write_units(const Term& term, RunType& run, BatchType& batch, const Sums& sums) {
    if constexpr (gives_of<Term>::size == 0) return;
    check_units(term, run, batch);
    [&]<class... Column>(columns<Column...>) {
        (fill_column<Column>(run, batch, 0.0), ...);
    }(typename clears<Term>::type{});
    using Columns = unite_t<typename prepare_needs<Term>::type, gives_of<Term>>;
    with_summaries<Columns>(run, batch, summary_of(term), [&]<class X>(const X& x) {
        if constexpr (requires { term.write(x, 0, sums); })
            EverywhereOf<RunType>::for_each(run.backend, Term::Unit::count(batch),
                                            WriteUnitBySums<Term, X, Sums>{term, x, &sums});
        else if constexpr (requires { term.write(x, 0); })
            EverywhereOf<RunType>::for_each(run.backend, Term::Unit::count(batch), WriteUnit<Term, X>{term, x});
    });
}
template <class Term, class RunType, class BatchType, class Sums>
void add_unit_untold(const Term& term, RunType& run, const BatchType& batch, const Sums& sums, double& to) {
    with_summaries<typename prepare_needs<Term>::type>(run, batch, NoSummary{}, [&]<class X>(const X& x) {
        if constexpr (requires { term.untold(x, 0, sums); })
            EverywhereOf<RunType>::add(run.backend, Term::Unit::count(batch),
                                       UntoldOfUnit<Term, X, Sums>{term, x, &sums}, to);
    });
}

/// What a surrogate around another one, and an algorithm, ask of a term, however it is written. The sums of a term that
/// has none:
struct NoSums {
    NoSums& operator+=(const NoSums&) { return *this; }
};
template <class Term>
using sums_of_base = std::conditional_t<TwoPhase<Term>, typename sums<Term>::type, NoSums>;

/// to += the sums of a batch.
template <class Term, class RunType, class BatchType, class Sums>
void add_sums(const Term& term, RunType& run, BatchType& batch, [[maybe_unused]] Sums& to) {
    if constexpr (!TwoPhase<Term> || std::is_empty_v<sums_of_base<Term>>)
        return;
    else if constexpr (ByUnits<Term>)
        add_unit_sums(term, run, batch, to);
    else if constexpr (requires { term.add_sums(run, batch, to); })
        term.add_sums(run, batch, to);
    else
        to += term.reduce(run, batch);
}
template <class Term, class RunType, class BatchType>
sums_of_base<Term> reduce_base(const Term& term, RunType& run, BatchType& batch) {
    sums_of_base<Term> sums{};
    add_sums(term, run, batch, sums);
    return sums;
}
template <class Term, class RunType, class BatchType, class Sums>
void prepare_base(const Term& term, RunType& run, BatchType& batch, const Sums& sums) {
    if constexpr (ByUnits<Term>)
        write_units(term, run, batch, sums);
    else if constexpr (requires { term.prepare(run, batch, sums); })
        term.prepare(run, batch, sums);
    else if constexpr (requires { term.prepare(run, batch); })
        term.prepare(run, batch);
}
/// to += the part of a term's loss that stands at no trainable token, a constant.
template <class Term, class RunType, class BatchType, class Sums>
void add_untold(const Term& term, RunType& run, const BatchType& batch, const Sums& sums, double& to) {
    if constexpr (ByUnits<Term> && TwoPhase<Term>)
        add_unit_untold(term, run, batch, sums, to);
    else if constexpr (requires { term.add_untold(run, batch, sums, to); })
        term.add_untold(run, batch, sums, to);
    else if constexpr (requires { term.untold_loss(run, batch, sums); })
        to += term.untold_loss(run, batch, sums);
}
template <class Term, class RunType, class BatchType, class Sums>
double untold_loss(const Term& term, RunType& run, const BatchType& batch, const Sums& sums) {
    double untold = 0.0;
    add_untold(term, run, batch, sums, untold);
    return untold;
}

}  // namespace detail
}  // namespace roars
