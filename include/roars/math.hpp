#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "roars/config.hpp"

/// Functions of a real number by one name for V = float, double or, with roars/simd.hpp, a batch of lanes. A formula
/// written once over V is then a kernel on the GPU, a scalar reference in double and a SIMD loop on the CPU:
///     V ratio = math::exp(logp - logp_old);
///     V clipped = math::select(ratio > V(1), math::min(ratio, high), ratio);
/// Comparisons are V's own operators and give math::Mask<V> (bool for scalars); masks combine with &&, || and !.
/// In every function that takes several values the first decides V, the others convert to it.
namespace roars::math {

/// How V computes. This is the scalar case; simd.hpp holds the one for lanes. A class and not overloads, because a
/// qualified call in a template sees only the overloads declared above it, whatever is included later.
template <class V>
struct Functions {
    static_assert(std::is_arithmetic_v<V>, "V is not a scalar: include roars/simd.hpp for xsimd batches");
    using Scalar = V;
    using Mask = bool;
    static constexpr int lanes = 1;

    static ROARS_FN V exp(V x) { return std::exp(x); }
    static ROARS_FN V exp2(V x) { return std::exp2(x); }
    static ROARS_FN V expm1(V x) { return std::expm1(x); }
    static ROARS_FN V log(V x) { return std::log(x); }
    static ROARS_FN V log1p(V x) { return std::log1p(x); }
    static ROARS_FN V sqrt(V x) { return std::sqrt(x); }
    static ROARS_FN V tanh(V x) { return std::tanh(x); }
    static ROARS_FN V sin(V x) { return std::sin(x); }
    static ROARS_FN V cos(V x) { return std::cos(x); }
    static ROARS_FN V floor(V x) { return std::floor(x); }
    static ROARS_FN constexpr V fma(V x, V y, V z) { return x * y + z; }
    static ROARS_FN constexpr V abs(V x) { return x < V(0) ? -x : x + V(0); }
    static ROARS_FN constexpr V min(V a, V b) { return b < a ? b : a; }
    static ROARS_FN constexpr V max(V a, V b) { return a < b ? b : a; }
    static ROARS_FN constexpr V select(bool mask, V a, V b) { return mask ? a : b; }

    static ROARS_FN constexpr V load(const V* from) { return *from; }
    static ROARS_FN constexpr void store(V* to, V x) { *to = x; }
    template <class Flag>
    static ROARS_FN constexpr bool load_mask(const Flag* from) {
        return *from != Flag(0);
    }
    template <class Flag>
    static ROARS_FN constexpr void store_mask(Flag* to, bool mask) {
        *to = Flag(mask);
    }
    static ROARS_FN constexpr bool any(bool mask) { return mask; }
    static ROARS_FN constexpr V sum(V x) { return x; }
    static ROARS_FN constexpr V largest(V x) { return x; }
    static ROARS_FN constexpr V smallest(V x) { return x; }
};

/// The type of V's comparisons, the type of one of its lanes, and their number.
template <class V>
using Mask = typename Functions<V>::Mask;
template <class V>
using Scalar = typename Functions<V>::Scalar;
template <class V>
inline constexpr int lanes = Functions<V>::lanes;

namespace detail {
template <class V>
using Same = std::type_identity_t<V>;
}  // namespace detail

/// mask ? a : b in every lane; nothing of the lane not chosen leaks, not even a NaN.
template <class M, class V>
ROARS_FN ROARS_INLINE constexpr V select(const M& mask, const V& a, const detail::Same<V>& b) {
    if constexpr (std::is_same_v<M, bool>)
        return mask ? a : b;
    else
        return Functions<V>::select(mask, a, b);
}

/// e^x: 0 at -inf, inf above the range, NaN at NaN.
template <class V>
ROARS_FN ROARS_INLINE V exp(const V& x) {
    return Functions<V>::exp(x);
}
/// 2^x, with the same ends: where many are wanted, cheaper than e^x.
template <class V>
ROARS_FN ROARS_INLINE V exp2(const V& x) {
    return Functions<V>::exp2(x);
}
/// e^x - 1 without the loss of digits near 0.
template <class V>
ROARS_FN ROARS_INLINE V expm1(const V& x) {
    return Functions<V>::expm1(x);
}
/// Natural logarithm: -inf at 0, NaN below.
template <class V>
ROARS_FN ROARS_INLINE V log(const V& x) {
    return Functions<V>::log(x);
}
/// log(1 + x) without the loss of digits near 0.
template <class V>
ROARS_FN ROARS_INLINE V log1p(const V& x) {
    return Functions<V>::log1p(x);
}
template <class V>
ROARS_FN ROARS_INLINE V sqrt(const V& x) {
    return Functions<V>::sqrt(x);
}
template <class V>
ROARS_FN ROARS_INLINE V tanh(const V& x) {
    return Functions<V>::tanh(x);
}
template <class V>
ROARS_FN ROARS_INLINE V sin(const V& x) {
    return Functions<V>::sin(x);
}
template <class V>
ROARS_FN ROARS_INLINE V cos(const V& x) {
    return Functions<V>::cos(x);
}
/// The largest integer not above x.
template <class V>
ROARS_FN ROARS_INLINE V floor(const V& x) {
    return Functions<V>::floor(x);
}
template <class V>
ROARS_FN ROARS_INLINE constexpr V abs(const V& x) {
    return Functions<V>::abs(x);
}
/// x y + z, rounded once where that costs nothing.
template <class V>
ROARS_FN ROARS_INLINE constexpr V fma(const V& x, const detail::Same<V>& y, const detail::Same<V>& z) {
    return Functions<V>::fma(x, y, z);
}
/// Which of the two a NaN yields is not said: select it away first.
template <class V>
ROARS_FN ROARS_INLINE constexpr V min(const V& a, const detail::Same<V>& b) {
    return Functions<V>::min(a, b);
}
template <class V>
ROARS_FN ROARS_INLINE constexpr V max(const V& a, const detail::Same<V>& b) {
    return Functions<V>::max(a, b);
}
/// x held in [low, high].
template <class V>
ROARS_FN ROARS_INLINE constexpr V clamp(const V& x, const detail::Same<V>& low, const detail::Same<V>& high) {
    return Functions<V>::min(Functions<V>::max(x, low), high);
}
template <class V>
ROARS_FN ROARS_INLINE constexpr V square(const V& x) {
    return x * x;
}

/// 1 / (1 + e^-x), from e^-|x| so that neither end overflows.
template <class V>
ROARS_FN ROARS_INLINE V sigmoid(const V& x) {
    V small = Functions<V>::exp(-Functions<V>::abs(x));
    return select(x < V(0), small, V(1)) / (V(1) + small);
}
/// log sigmoid(x) = min(x, 0) - log(1 + e^-|x|): exact at both ends, never -inf for a finite x.
template <class V>
ROARS_FN ROARS_INLINE V log_sigmoid(const V& x) {
    return Functions<V>::min(x, V(0)) - Functions<V>::log1p(Functions<V>::exp(-Functions<V>::abs(x)));
}

/// lanes<V> neighbours from memory and back; no alignment is asked for.
template <class V>
ROARS_FN ROARS_INLINE constexpr V load(const Scalar<V>* from) {
    return Functions<V>::load(from);
}
template <class V>
ROARS_FN ROARS_INLINE constexpr void store(Scalar<V>* to, const V& x) {
    Functions<V>::store(to, x);
}
/// The first `used` lanes from memory, zeros behind them; and the first `used` to memory.
template <class V>
V load_first(const Scalar<V>* from, std::int64_t used) {
    alignas(64) std::array<Scalar<V>, static_cast<std::size_t>(lanes<V>)> values{};
    std::copy(from, from + used, values.begin());
    return load<V>(values.data());
}
template <class V>
void store_first(Scalar<V>* to, const V& x, std::int64_t used) {
    alignas(64) std::array<Scalar<V>, static_cast<std::size_t>(lanes<V>)> values;
    store(values.data(), x);
    std::copy(values.begin(), values.begin() + used, to);
}
/// 1 in the first `used` lanes, 0 behind them.
template <class V>
V first_ones(std::int64_t used) {
    alignas(64) std::array<Scalar<V>, static_cast<std::size_t>(lanes<V>)> ones{};
    std::fill(ones.begin(), ones.begin() + used, Scalar<V>(1));
    return load<V>(ones.data());
}
/// lanes<V> flags (bool or a byte, not 0 = true) as a mask.
template <class V, class Flag>
ROARS_FN ROARS_INLINE constexpr Mask<V> load_mask(const Flag* from) {
    return Functions<V>::load_mask(from);
}
/// A mask as lanes<V> flags, 1 where it holds.
template <class V, class Flag>
ROARS_FN ROARS_INLINE constexpr void store_mask(Flag* to, const Mask<V>& mask) {
    Functions<V>::store_mask(to, mask);
}
/// Whether the mask holds in any lane.
template <class V>
ROARS_FN ROARS_INLINE constexpr bool any(const Mask<V>& mask) {
    return Functions<V>::any(mask);
}

/// Asks for the memory that will be loaded soon; any address may be given.
ROARS_FN ROARS_INLINE void prefetch([[maybe_unused]] const void* address) {
#if defined(__GNUC__) && !defined(__CUDA_ARCH__)
    __builtin_prefetch(address);
#endif
}

/// Sum, maximum and minimum over the lanes, in a fixed order.
template <class V>
ROARS_FN ROARS_INLINE constexpr Scalar<V> sum(const V& x) {
    return Functions<V>::sum(x);
}
template <class V>
ROARS_FN ROARS_INLINE constexpr Scalar<V> largest(const V& x) {
    return Functions<V>::largest(x);
}
template <class V>
ROARS_FN ROARS_INLINE constexpr Scalar<V> smallest(const V& x) {
    return Functions<V>::smallest(x);
}

}  // namespace roars::math
