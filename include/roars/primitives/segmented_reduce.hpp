#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

#include "roars/primitives/segments.hpp"

namespace roars {

/// Count, mean and m2 = sum (x - mean)^2 of some numbers. Equal numbers have exactly their value as mean and m2 = 0; no
/// numbers have 0 for all.
struct Moments {
    std::int64_t count = 0;
    double mean = 0.0;
    double m2 = 0.0;
    bool equal = true;  ///< smallest == largest; true for one number and for none

    /// m2 / (count - ddof); exactly 0 for equal numbers and where count <= ddof.
    ROARS_FN double variance(int ddof) const {
        return equal || count <= ddof ? 0.0 : m2 / static_cast<double>(count - ddof);
    }
    /// The standard deviation: sqrt(variance).
    ROARS_FN double spread(int ddof) const { return std::sqrt(variance(ddof)); }
};

namespace detail {

/// Moments around one of the numbers, so that the mean of equal numbers is exact and a large mean takes no digits from
/// the spread.
struct ShiftedMoments {
    std::int64_t count = 0;
    double first = 0.0, shift = 0.0, m2 = 0.0;  ///< mean = first + shift
    bool equal = true;                          ///< all are `first`

    ROARS_FN Moments moments() const { return {count, first + shift, m2, equal}; }
};

/// Chan, Golub, LeVeque 1979.
ROARS_FN inline ShiftedMoments combine_shifted(const ShiftedMoments& left, const ShiftedMoments& right) {
    if (left.count == 0) return right;
    if (right.count == 0) return left;
    std::int64_t count = left.count + right.count;
    if (left.equal && right.equal && left.first == right.first) return {count, left.first, 0.0, 0.0, true};
    double delta = (right.first - left.first) + (right.shift - left.shift);
    double share = static_cast<double>(right.count) / static_cast<double>(count);
    double m2 = left.m2 + right.m2 + delta * delta * (static_cast<double>(left.count) * share);
    return {count, left.first, left.shift + delta * share, m2, false};
}

}  // namespace detail

/// The moments of two sets of numbers together.
ROARS_FN inline Moments combine(const Moments& left, const Moments& right) {
    return detail::combine_shifted({left.count, left.mean, 0.0, left.m2, left.equal},
                                   {right.count, right.mean, 0.0, right.m2, right.equal})
        .moments();
}

/// result_i = sum of value(j) over the elements j of segment i; value: std::int64_t -> a number. Shapes: result
/// [segments]. Summed in double (whole numbers: 64 bits) in an order that depends on the segment's length alone.
template <class Value, class Out>
requires std::is_invocable_v<Value, std::int64_t>
void segmented_sum(backend::Host& backend, Offsets offsets, Value&& value, std::span<Out> result) {
    using Sum = detail::Wide<std::decay_t<std::invoke_result_t<Value, std::int64_t>>>;
    detail::expect_size("result", result.size(), segment_count(offsets));
    detail::segmented_reduce(
        backend, offsets,
        [&](std::int64_t begin, std::int64_t end) { return detail::sum_over<Sum>(begin, end, value); },
        [](Sum left, Sum right) { return left + right; },
        [&](std::int64_t segment, Sum sum) { result[static_cast<std::size_t>(segment)] = static_cast<Out>(sum); });
}

/// result_i = sum of x over the selected elements of segment i. Shapes: x, mask [elements] -> result [segments].
template <class T, class Out, class Flag = const bool>
void segmented_sum(backend::Host& backend, Offsets offsets, std::span<T> x, std::span<Out> result,
                   std::span<Flag> mask = {}) {
    detail::expect_covered("x", x.size(), offsets);
    detail::expect_mask(mask, x.size());
    auto value = [&](std::int64_t i) { return static_cast<detail::Wide<T>>(x[static_cast<std::size_t>(i)]); };
    if (mask.empty()) return segmented_sum(backend, offsets, value, result);
    detail::Selected<Flag> selected{mask};
    segmented_sum(
        backend, offsets, [&](std::int64_t i) { return selected(i) ? value(i) : detail::Wide<T>(0); }, result);
}

/// result_i = the number of selected elements of segment i. Shapes: mask [elements] -> result [segments].
template <class Flag, class Out>
void segmented_count(backend::Host& backend, Offsets offsets, std::span<Flag> mask, std::span<Out> result) {
    detail::expect_covered("mask", mask.size(), offsets);
    segmented_sum(
        backend, offsets,
        [&](std::int64_t i) { return std::int64_t{mask[static_cast<std::size_t>(i)] != Flag(0) ? 1 : 0}; }, result);
}

namespace detail {

/// The element that `before` puts first, `nothing` if none is selected; a selected NaN wins.
template <class T, class Out, class Flag, class Before>
void segmented_extreme(backend::Host& backend, Offsets offsets, std::span<T> x, std::span<Out> result,
                       std::span<Flag> mask, std::remove_cv_t<T> nothing, Before before) {
    using Value = std::remove_cv_t<T>;
    expect_covered("x", x.size(), offsets);
    expect_mask(mask, x.size());
    expect_size("result", result.size(), segment_count(offsets));
    Selected<Flag> selected{mask};
    auto better = [&](Value best, Value other) { return before(other, best) || other != other ? other : best; };
    segmented_reduce(
        backend, offsets,
        [&](std::int64_t begin, std::int64_t end) {
            auto value = [&](std::int64_t i) { return selected(i) ? x[static_cast<std::size_t>(i)] : nothing; };
            Value a = nothing, b = nothing, c = nothing, d = nothing;
            std::int64_t i = begin;
            for (; i + 4 <= end; i += 4) {
                a = better(a, value(i));
                b = better(b, value(i + 1));
                c = better(c, value(i + 2));
                d = better(d, value(i + 3));
            }
            for (; i < end; ++i) a = better(a, value(i));
            return better(better(a, b), better(c, d));
        },
        better, [&](std::int64_t segment, Value best) { result[static_cast<std::size_t>(segment)] = Out(best); });
}

template <class T>
inline constexpr std::remove_cv_t<T> greatest_of = std::numeric_limits<T>::has_infinity
                                                       ? std::numeric_limits<T>::infinity()
                                                       : std::numeric_limits<T>::max();
template <class T>
inline constexpr std::remove_cv_t<T> least_of = std::numeric_limits<T>::has_infinity
                                                    ? -std::numeric_limits<T>::infinity()
                                                    : std::numeric_limits<T>::lowest();

}  // namespace detail

/// result_i = the least selected element of segment i; +inf (whole numbers: the greatest) where there is none, NaN
/// where one is selected. Shapes: x, mask [elements] -> result [segments].
template <class T, class Out, class Flag = const bool>
void segmented_min(backend::Host& backend, Offsets offsets, std::span<T> x, std::span<Out> result,
                   std::span<Flag> mask = {}) {
    detail::segmented_extreme(backend, offsets, x, result, mask, detail::greatest_of<T>,
                              [](auto a, auto b) { return a < b; });
}
/// result_i = the greatest selected element of segment i; -inf (whole numbers: the least) where there is none, NaN
/// where one is selected. Shapes as segmented_min.
template <class T, class Out, class Flag = const bool>
void segmented_max(backend::Host& backend, Offsets offsets, std::span<T> x, std::span<Out> result,
                   std::span<Flag> mask = {}) {
    detail::segmented_extreme(backend, offsets, x, result, mask, detail::least_of<T>,
                              [](auto a, auto b) { return b < a; });
}

namespace detail {

/// Two passes over a chunk, which is in the cache by then.
template <class T, class Selected>
ShiftedMoments moments_over(std::int64_t begin, std::int64_t end, std::span<T> x, const Selected& selected) {
    auto value = [&](std::int64_t i) { return static_cast<double>(x[static_cast<std::size_t>(i)]); };
    while (begin < end && !selected(begin)) ++begin;
    if (begin == end) return {};
    double first = value(begin);
    std::int64_t count = sum_over<std::int64_t>(begin, end, [&](std::int64_t i) { return selected(i) ? 1 : 0; });
    std::int64_t other =
        sum_over<std::int64_t>(begin, end, [&](std::int64_t i) { return selected(i) && !(value(i) == first) ? 1 : 0; });
    if (other == 0) return {count, first, 0.0, 0.0, true};
    double sum = sum_over<double>(begin, end, [&](std::int64_t i) { return selected(i) ? value(i) - first : 0.0; });
    double shift = sum / static_cast<double>(count);
    auto deviation = [&](std::int64_t i) { return selected(i) ? (value(i) - first) - shift : 0.0; };
    double m2 = sum_over<double>(begin, end, [&](std::int64_t i) { return deviation(i) * deviation(i); });
    double rest = sum_over<double>(begin, end, deviation);
    return {count, first, shift, m2 - rest * rest / static_cast<double>(count), false};
}

}  // namespace detail

/// result_i = the moments of the selected elements of segment i. Shapes: x, mask [elements] -> result [segments].
template <class T, class Flag = const bool>
void segmented_moments(backend::Host& backend, Offsets offsets, std::span<T> x, std::span<Moments> result,
                       std::span<Flag> mask = {}) {
    detail::expect_covered("x", x.size(), offsets);
    detail::expect_mask(mask, x.size());
    detail::expect_size("result", result.size(), segment_count(offsets));
    auto reduce = [&](auto selected) {
        detail::segmented_reduce(
            backend, offsets,
            [&](std::int64_t begin, std::int64_t end) { return detail::moments_over(begin, end, x, selected); },
            [](const auto& left, const auto& right) { return detail::combine_shifted(left, right); },
            [&](std::int64_t segment, const detail::ShiftedMoments& m) {
                result[static_cast<std::size_t>(segment)] = m.moments();
            });
    };
    if (mask.empty())
        reduce([](std::int64_t) { return true; });
    else
        reduce(detail::Selected<Flag>{mask});
}

/// The moments of the selected elements of the whole of x. Shapes: x, mask [elements].
template <class T, class Flag = const bool>
Moments moments(backend::Host& backend, std::span<T> x, std::span<Flag> mask = {}) {
    std::array<std::int64_t, 2> whole{0, static_cast<std::int64_t>(x.size())};
    Moments result;
    segmented_moments(backend, whole, x, std::span<Moments>(&result, 1), mask);
    return result;
}

/// Sum of the selected elements of the whole of x. Shapes: x, mask [elements].
template <class T, class Flag = const bool>
detail::Wide<T> total(backend::Host& backend, std::span<T> x, std::span<Flag> mask = {}) {
    std::array<std::int64_t, 2> whole{0, static_cast<std::int64_t>(x.size())};
    detail::Wide<T> result{};
    segmented_sum(backend, whole, x, std::span<detail::Wide<T>>(&result, 1), mask);
    return result;
}

}  // namespace roars
