#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>

#include "roars/columns.hpp"
#include "roars/math.hpp"

namespace roars {

/// A term reads a column that it does not list in its `needs`. Incomplete, so that the compiler's message names the
/// column.
template <class Column>
struct column_read_but_not_in_needs;

/// One token as a term of a loss sees it: x[col::logp{}] is the token's value of that column, a scalar in a kernel and
/// in a reference, a batch of lanes on the CPU. A sequence's column reads the same for each of its tokens.
template <class V, class Set>
struct Token;

namespace detail {
template <class V, class Column>
struct Cell {
    V value;
};
}  // namespace detail

template <class V, class... Column>
struct Token<V, columns<Column...>> : detail::Cell<V, Column>... {
    using value_type = V;
    template <class Asked>
    ROARS_FN const V& operator[](Asked) const {
        static_assert(std::conditional_t<contains_v<Asked, columns<Column...>>, std::true_type,
                                         column_read_but_not_in_needs<Asked>>::value);
        return static_cast<const detail::Cell<V, Asked>&>(*this).value;
    }
};

template <class X>
using value_t = typename X::value_type;

/// The columns of a token that a term has asked for, and no others.
template <class V, class Set, class... Column>
ROARS_FN ROARS_INLINE Token<V, columns<Column...>> only(const Token<V, Set>& x, columns<Column...>) {
    return {{x[Column{}]}...};
}

/// What a term says of one token: its loss, the slopes d loss / d column in the order of the term's `differentiates`,
/// and values whose mean over the trainable tokens people plot, in the order of the term's `metrics`.
template <class V, std::size_t slopes = 1, std::size_t metrics = 0>
struct Loss {
    V loss;
    std::array<V, slopes> slope{};
    std::array<V, metrics> metric{};
};
template <class V, std::size_t slopes>
struct Loss<V, slopes, 0> {
    V loss;
    std::array<V, slopes> slope{};
};

namespace detail {

template <class Term>
struct metric_names {
    static constexpr std::array<std::string_view, 0> value{};
};
template <class Term>
requires requires { Term::metrics; }
struct metric_names<Term> {
    static constexpr auto value = Term::metrics;
};

template <class Term, class Default>
struct mask {
    using type = Default;
};
template <class Term, class Default>
requires requires { typename Term::mask; }
struct mask<Term, Default> {
    using type = typename Term::mask;
};

struct AnyColumnToken {
    using value_type = double;
    template <class Column>
    double operator[](Column) const;
};

}  // namespace detail

/// The names of what a term measures on the side.
template <class Term>
inline constexpr auto metrics_of = detail::metric_names<Term>::value;
/// Which tokens a term counts: col::mask unless it says otherwise.
template <class Term>
using mask_of = typename detail::mask<Term, col::mask>::type;

/// A term of the loss: a function of one token with its derivatives. Its formula is written once, over any V, and
/// serves the pass over log-probabilities, the pass over logits, and the GPU.
template <class T>
concept TokenTerm = requires(const T& term, const Token<double, needs_of<T>>& x) {
    typename T::differentiates;
    { T::name } -> std::convertible_to<std::string_view>;
    { term.token(x).loss } -> std::convertible_to<double>;
};

/// What a row term says of one token: its loss, and its metrics.
template <std::size_t metrics = 0>
struct RowLoss {
    double loss = 0;
    std::array<double, metrics> metric{};
};

/// One token as a row term sees it: x[col::action{}] is a span, the token's row, for a column that the term names in
/// its `rows`, and a number for every other. As a slope the same with what may be written: spans and references, zero
/// at first.
template <class Real, class Rows, class Set>
struct TokenRow;

namespace detail {
template <class Real, class Column>
struct RowCell {
    Real* values = nullptr;
    std::size_t width = 1;
};
}  // namespace detail

template <class Real, class Rows, class... Column>
struct TokenRow<Real, Rows, columns<Column...>> : detail::RowCell<Real, Column>... {
    using value_type = std::remove_const_t<Real>;
    template <class Asked>
    ROARS_FN decltype(auto) operator[](Asked) const {
        static_assert(std::conditional_t<contains_v<Asked, columns<Column...>>, std::true_type,
                                         column_read_but_not_in_needs<Asked>>::value);
        const auto& cell = static_cast<const detail::RowCell<Real, Asked>&>(*this);
        if constexpr (contains_v<Asked, Rows>)
            return std::span<Real>(cell.values, cell.width);
        else
            return static_cast<Real&>(*cell.values);
    }
};

/// A term of the loss that reads whole rows of wide columns (actions, gradients of a critic, quantiles), named in its
/// `rows`. row(x, slope) returns the token's RowLoss and writes d loss / d column of what it `differentiates`: into a
/// row's span, or into a number. Aggregation, mask, metrics, prepare and Sums are those of a token term, and both kinds
/// stand in one objective. What it differentiates is among its `needs`. row is a
/// ROARS_FN function, as token is: it allocates nothing and throws nothing.
template <class T>
concept RowTerm = requires(const T& term, const TokenRow<const double, typename T::rows, needs_of<T>>& x,
                           const TokenRow<double, typename T::rows, typename T::differentiates>& slope) {
    { T::name } -> std::convertible_to<std::string_view>;
    { term.row(x, slope).loss } -> std::convertible_to<double>;
    requires within_v<typename T::differentiates, needs_of<T>>;
};

/// Whatever may stand in the loss.
template <class T>
concept LossTerm = TokenTerm<T> || RowTerm<T>;

/// logp - logp_old held within +-bound; the slope by logp is 0 where it is held. 20 is what the field uses: e^20 is
/// finite in every format.
template <class V>
struct LogRatio {
    V value;   ///< the held log-ratio
    V inside;  ///< 1 where it was not held, else 0
};
template <class V>
ROARS_FN LogRatio<V> log_ratio(const V& now, const V& then, double bound = 20.0) {
    using Real = math::Scalar<V>;
    V raw = now - then;
    return {math::clamp(raw, V(Real(-bound)), V(Real(bound))),
            math::select(math::abs(raw) <= V(Real(bound)), V(Real(1)), V(Real(0)))};
}

}  // namespace roars
