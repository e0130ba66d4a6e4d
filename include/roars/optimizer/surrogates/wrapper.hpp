#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <vector>

#include "roars/algorithm.hpp"

/// What surrogates around another surrogate share. Around a sequence's ratio (SequenceClip, GeometricMean) a mask or a
/// weight that differs between the tokens of a sequence is differentiated as an advantage that does: as GSPO-token.
namespace roars::detail {

template <class Term>
using prepare_needs_of = typename prepare_needs<Term>::type;

/// What a surrogate around others adds to sums and prepares is its base's.
template <class Term, class RunType, class BatchType>
void prepare_wrapped(const Term& base, RunType& run, BatchType& batch, const sums_of_base<Term>& sums) {
    static_assert(
        !requires { base.with(sums); }, "roars: a surrogate that is rebuilt by with(sums) cannot be wrapped");
    prepare_base(base, run, batch, sums);
}

template <std::size_t count>
constexpr auto with_name(const std::array<std::string_view, count>& names, std::string_view name) {
    std::array<std::string_view, count + 1> all{};
    for (std::size_t i = 0; i < count; ++i) all[i] = names[i];
    all[count] = name;
    return all;
}

/// A token that says what it has in Instead where it is asked for Asked.
template <class X, class Asked, class Instead>
struct Reading {
    using value_type = value_t<X>;
    const X& token;
    template <class Column>
    ROARS_FN const value_type& operator[](Column) const {
        return token[std::conditional_t<std::is_same_v<Column, Asked>, Instead, Column>{}];
    }
};

/// factor * (what the base says), with one further metric.
template <class V, std::size_t slopes, std::size_t metrics>
ROARS_FN Loss<V, slopes, metrics + 1> scaled(const Loss<V, slopes, metrics>& said, const V& factor, const V& metric) {
    Loss<V, slopes, metrics + 1> result{factor * said.loss};
    for (std::size_t i = 0; i < slopes; ++i) result.slope[i] = factor * said.slope[i];
    if constexpr (metrics > 0)
        for (std::size_t i = 0; i < metrics; ++i) result.metric[i] = said.metric[i];
    result.metric[metrics] = metric;
    return result;
}
/// What the base says where the mask holds, else 0, with one further metric.
template <class V, std::size_t slopes, std::size_t metrics>
ROARS_FN Loss<V, slopes, metrics + 1> kept(const Loss<V, slopes, metrics>& said, const math::Mask<V>& keeps) {
    const V zero(math::Scalar<V>(0)), one(math::Scalar<V>(1));
    Loss<V, slopes, metrics + 1> result{math::select(keeps, said.loss, zero)};
    for (std::size_t i = 0; i < slopes; ++i) result.slope[i] = math::select(keeps, said.slope[i], zero);
    if constexpr (metrics > 0)
        for (std::size_t i = 0; i < metrics; ++i) result.metric[i] = said.metric[i];
    result.metric[metrics] = math::select(keeps, one, zero);
    return result;
}

/// Every token counts, unless the base has already said which ones do.
template <class Base, class RunType, class BatchType>
void keep_all(RunType& run, BatchType& batch) {
    if constexpr (!contains_v<col::keep, gives_of<Base>>) fill_column<col::keep>(run, batch, 1.0);
}

template <class T>
void append(std::vector<T>& ours, const std::vector<T>& theirs) {
    ours.insert(ours.end(), theirs.begin(), theirs.end());
}

/// max(1, floor(fraction count)).
ROARS_FN inline std::int64_t share(double fraction, std::int64_t count) {
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(fraction * static_cast<double>(count)));
}

}  // namespace roars::detail
