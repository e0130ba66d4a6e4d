#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "roars/primitives/aligned.hpp"
#include "roars/simd.hpp"

/// Products of small matrices on the calling thread, for networks of a few thousand weights, where what a library
/// spends on packing and threads is more than the product.
namespace roars::matrix {

/// Widths are filled up with zeros to whole lanes.
template <class Real>
constexpr std::int64_t padded(std::int64_t width) {
    constexpr std::int64_t lanes = math::lanes<math::Lanes<Real>>;
    return (width + lanes - 1) / lanes * lanes;
}

/// Element (i, k) of a matrix stands at values[i * row + k * column].
template <class Real>
struct Strided {
    const Real* values;
    std::int64_t row, column;
};

namespace detail {

template <bool add, class V>
ROARS_INLINE void put(math::Scalar<V>* to, const V& sum) {
    if constexpr (add)
        math::store(to, math::load<V>(to) + sum);
    else
        math::store(to, sum);
}

/// rows x vectors lanes of the product, held in registers over the whole depth; cell = 0, ..., rows * vectors - 1.
template <bool add, class V, std::size_t... cell, std::size_t... v>
ROARS_INLINE void product_tile(std::int64_t depth, const Strided<math::Scalar<V>>& left, const math::Scalar<V>* right,
                               std::int64_t right_stride, math::Scalar<V>* target, std::int64_t target_stride,
                               const math::Scalar<V>* start, std::index_sequence<cell...>, std::index_sequence<v...>) {
    constexpr std::size_t vectors = sizeof...(v);
    constexpr std::int64_t lanes = math::lanes<V>;
    std::array<V, sizeof...(cell)> sum{
        (start ? math::load<V>(start + std::int64_t(cell % vectors) * lanes) : V(math::Scalar<V>(0)))...};
    for (std::int64_t k = 0; k < depth; ++k) {
        const math::Scalar<V>* by = left.values + k * left.column;
        const math::Scalar<V>* from = right + k * right_stride;
        const std::array<V, vectors> b{math::load<V>(from + std::int64_t(v) * lanes)...};
        ((sum[cell] = math::fma(V(by[std::int64_t(cell / vectors) * left.row]), b[cell % vectors], sum[cell])), ...);
    }
    (put<add>(target + std::int64_t(cell / vectors) * target_stride + std::int64_t(cell % vectors) * lanes, sum[cell]),
     ...);
}

template <bool add, class Real>
struct ProductPanel {
    using V = math::Lanes<Real>;
    std::int64_t depth;
    Strided<Real> left;
    const Real* right;
    std::int64_t right_stride;
    Real* target;
    std::int64_t target_stride;
    const Real* start;

    template <std::size_t rows, std::size_t vectors>
    void tiles(std::int64_t& i, std::int64_t count, std::int64_t j) const {
        const bool some = depth > 0;  // else both operands may be null
        for (; i + std::int64_t(rows) <= count; i += std::int64_t(rows))
            product_tile<add, V>(depth, {some ? left.values + i * left.row : left.values, left.row, left.column},
                                 some ? right + j : right, right_stride, target + i * target_stride + j, target_stride,
                                 start ? start + j : nullptr, std::make_index_sequence<rows * vectors>{},
                                 std::make_index_sequence<vectors>{});
    }
    template <std::size_t vectors>
    void panels(std::int64_t& j, std::int64_t columns, std::int64_t rows) const {
        constexpr std::int64_t width = std::int64_t(vectors) * math::lanes<V>;
        for (; j + width <= columns; j += width) {
            std::int64_t i = 0;
            tiles<6, vectors>(i, rows, j);
            tiles<2, vectors>(i, rows, j);
            tiles<1, vectors>(i, rows, j);
        }
    }
};

}  // namespace detail

/// target[i, j] = start[j] + sum_k left(i, k) right[k, j]; with `add`, target += the sum. `columns` is a multiple of
/// the lanes, and `right`, `target` and `start` (null: zeros) may be read and written that wide. Each element is summed
/// over k in order, whatever the other sizes. Shapes: left [rows x depth], right [depth x columns], target [rows x
/// columns].
template <bool add, class Real>
void product(std::int64_t rows, std::int64_t columns, std::int64_t depth, const Strided<Real>& left, const Real* right,
             std::int64_t right_stride, Real* target, std::int64_t target_stride, const Real* start = nullptr) {
    // Of 32 registers 24 hold sums, of 16 registers 12.
    constexpr std::size_t widest = sizeof(math::Lanes<Real>) == 64 ? 4 : 2;
    detail::ProductPanel<add, Real> panel{depth, left, right, right_stride, target, target_stride, start};
    std::int64_t j = 0;
    panel.template panels<widest>(j, columns, rows);
    if constexpr (widest > 2) panel.template panels<2>(j, columns, rows);
    panel.template panels<1>(j, columns, rows);
}

}  // namespace roars::matrix
