#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "roars/math.hpp"

/// roars::math for lanes: V = xsimd::batch<float> or xsimd::batch<double>. Works for any instruction set that the
/// compiler is told of (-march=native: 8 or 16 floats; none: 4), and needs no -ffast-math. A CUDA compiler makes code
/// for the device of whatever it can, and there are no such lanes there: to it a lane is a number.
#if defined(__CUDACC__)

namespace roars::math {
template <class Real>
using Lanes = Real;
}  // namespace roars::math

#else

// g++ 12 takes _mm512_undefined_ps() of its own header for a mistake (GCC bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <xsimd/xsimd.hpp>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

namespace roars::math {

/// The widest lanes of this translation unit's flags.
template <class Real>
using Lanes = xsimd::batch<Real>;

namespace detail {

/// x y + z, rounded once where the processor can: xsimd 8 does not know that AVX-512 can.
template <class Real, class Arch>
ROARS_INLINE xsimd::batch<Real, Arch> fma(const xsimd::batch<Real, Arch>& x, const xsimd::batch<Real, Arch>& y,
                                          const xsimd::batch<Real, Arch>& z) {
#if defined(__AVX512F__)
    using V = xsimd::batch<Real, Arch>;
    if constexpr (sizeof(V) == 64 && std::is_same_v<Real, float>) return V(_mm512_fmadd_ps(x, y, z));
    if constexpr (sizeof(V) == 64 && std::is_same_v<Real, double>) return V(_mm512_fmadd_pd(x, y, z));
#endif
    return xsimd::fma(x, y, z);
}
/// z - x y
template <class V>
ROARS_INLINE V fnma(const V& x, const V& y, const V& z) {
    return detail::fma(-x, y, z);
}

/// e^r - 1 for |r| <= ln(2) / 2, and the constants of the reduction x = n ln 2 + r, ln 2 cut in two so that n times the
/// high part is exact without a fused multiply; likewise pi / 2 (`quarter`) for angles up to the largest.
template <class Real>
struct LaneConstants;

template <>
struct LaneConstants<float> {
    using Bits = std::int32_t;
    static constexpr int mantissa = 23;
    static constexpr Bits bias = 127;
    static constexpr float to_integer_bits = 12582912.0f;  // 1.5 * 2^23
    static constexpr float lowest = -104.0f, highest = 89.0f;
    static constexpr float lowest_power = -151.0f, highest_power = 129.0f;
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr float smallest_normal = 1.17549435e-38f, up = 16777216.0f, log_up = 16.635532333f;

    static constexpr float largest_angle = 8192.0f;
    static constexpr float quarter[] = {1.5703125f, 0.0004837512969970703f, 7.549533620476723e-08f,
                                        2.5633440682570896e-12f};

    /// sin r and cos r for |r| <= pi / 4. Cephes sinf and cosf.
    template <class V>
    static ROARS_INLINE V sin(const V& r, const V& square) {
        V p(-1.9515295891e-4f);
        p = detail::fma(p, square, V(8.3321608736e-3f));
        p = detail::fma(p, square, V(-1.6666654611e-1f));
        return detail::fma(p, square * r, r);
    }
    template <class V>
    static ROARS_INLINE V cos(const V& square) {
        V p(2.443315711809948e-5f);
        p = detail::fma(p, square, V(-1.388731625493765e-3f));
        p = detail::fma(p, square, V(4.166664568298827e-2f));
        return detail::fma(p, square * square, detail::fnma(V(0.5f), square, V(1.0f)));
    }

    /// Cephes expf (S. Moshier), relative error 1e-7.
    template <class V>
    static ROARS_INLINE V expm1(const V& r) {
        V p(1.9875691500e-4f);
        p = detail::fma(p, r, V(1.3981999507e-3f));
        p = detail::fma(p, r, V(8.3334519073e-3f));
        p = detail::fma(p, r, V(4.1665795894e-2f));
        p = detail::fma(p, r, V(1.6666665459e-1f));
        p = detail::fma(p, r, V(5.0000001201e-1f));
        return detail::fma(p, r * r, r);
    }

    /// 2^r for |r| <= 1/2. Cephes exp2f, relative error 1.7e-7.
    template <class V>
    static ROARS_INLINE V exp2(const V& r) {
        V p(1.535336188319500e-4f);
        p = detail::fma(p, r, V(1.339887440266574e-3f));
        p = detail::fma(p, r, V(9.618437357674640e-3f));
        p = detail::fma(p, r, V(5.550332471162809e-2f));
        p = detail::fma(p, r, V(2.402264791363012e-1f));
        p = detail::fma(p, r, V(6.931472028550421e-1f));
        return detail::fma(p, r, V(1.0f));
    }
};

template <>
struct LaneConstants<double> {
    using Bits = std::int64_t;
    static constexpr int mantissa = 52;
    static constexpr Bits bias = 1023;
    static constexpr double to_integer_bits = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double lowest = -746.0, highest = 710.0;
    static constexpr double lowest_power = -1076.0, highest_power = 1025.0;
    static constexpr double ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
    static constexpr double smallest_normal = 2.2250738585072014e-308, up = 18014398509481984.0,
                            log_up = 37.429947750237047899;

    static constexpr double largest_angle = 1048576.0;
    static constexpr double quarter[] = {1.57079632673412561417, 6.07710050630396597660e-11,
                                         2.02226624879595063154e-21};

    /// sin r and cos r for |r| <= pi / 4. The polynomials of fdlibm.
    template <class V>
    static ROARS_INLINE V sin(const V& r, const V& square) {
        V p(1.58969099521155010221e-10);
        p = detail::fma(p, square, V(-2.50507602534068634195e-08));
        p = detail::fma(p, square, V(2.75573137070700676789e-06));
        p = detail::fma(p, square, V(-1.98412698298579493134e-04));
        p = detail::fma(p, square, V(8.33333333332248946124e-03));
        p = detail::fma(p, square, V(-1.66666666666666324348e-01));
        return detail::fma(p, square * r, r);
    }
    template <class V>
    static ROARS_INLINE V cos(const V& square) {
        V p(-1.13596475577881948265e-11);
        p = detail::fma(p, square, V(2.08757232129817482790e-09));
        p = detail::fma(p, square, V(-2.75573143513906633035e-07));
        p = detail::fma(p, square, V(2.48015872894767294178e-05));
        p = detail::fma(p, square, V(-1.38888888888741095749e-03));
        p = detail::fma(p, square, V(4.16666666666666019037e-02));
        return detail::fma(p, square * square, detail::fnma(V(0.5), square, V(1.0)));
    }

    /// Taylor's series to r^13 / 13!: the next term is below 5e-18.
    template <class V>
    static ROARS_INLINE V expm1(const V& r) {
        V p(1.0 / 6227020800.0);
        p = detail::fma(p, r, V(1.0 / 479001600.0));
        p = detail::fma(p, r, V(1.0 / 39916800.0));
        p = detail::fma(p, r, V(1.0 / 3628800.0));
        p = detail::fma(p, r, V(1.0 / 362880.0));
        p = detail::fma(p, r, V(1.0 / 40320.0));
        p = detail::fma(p, r, V(1.0 / 5040.0));
        p = detail::fma(p, r, V(1.0 / 720.0));
        p = detail::fma(p, r, V(1.0 / 120.0));
        p = detail::fma(p, r, V(1.0 / 24.0));
        p = detail::fma(p, r, V(1.0 / 6.0));
        p = detail::fma(p, r, V(0.5));
        return detail::fma(p, r * r, r);
    }

    /// Taylor's series, (r ln 2)^k / k!, to k = 13: the next term is below 5e-18.
    template <class V>
    static ROARS_INLINE V exp2(const V& r) {
        V p(1.36914888539041281e-12);
        p = detail::fma(p, r, V(2.56784359934882055e-11));
        p = detail::fma(p, r, V(4.44553827187081162e-10));
        p = detail::fma(p, r, V(7.05491162080112336e-09));
        p = detail::fma(p, r, V(1.01780860092396999e-07));
        p = detail::fma(p, r, V(1.32154867901443095e-06));
        p = detail::fma(p, r, V(1.52527338040598411e-05));
        p = detail::fma(p, r, V(1.54035303933816088e-04));
        p = detail::fma(p, r, V(1.33335581464284433e-03));
        p = detail::fma(p, r, V(9.61812910762847688e-03));
        p = detail::fma(p, r, V(5.55041086648215831e-02));
        p = detail::fma(p, r, V(2.40226506959100722e-01));
        p = detail::fma(p, r, V(6.93147180559945286e-01));
        p = detail::fma(p, r, V(1.0));
        return p;
    }
};

}  // namespace detail

/// xsimd's own exp and expm1 end at +-88.4 in float (e^88.5 is finite, e^-90 is a denormal number) and its log is wrong
/// for denormal doubles; those three are therefore written here, to the whole range. At most 2 ulp.
template <class Real, class Arch>
struct Functions<xsimd::batch<Real, Arch>> {
    using V = xsimd::batch<Real, Arch>;
    using Scalar = Real;
    using Mask = xsimd::batch_bool<Real, Arch>;
    using Constants = detail::LaneConstants<Real>;
    static constexpr int lanes = static_cast<int>(V::size);

    static ROARS_INLINE V exp(const V& x) {
        Reduced reduced = reduce(x);
        return scale(V(1) + Constants::expm1(reduced.r), reduced.n);
    }
    /// Fewer steps than exp: x - n is exact.
    static ROARS_INLINE V exp2(const V& x) {
        V low(Constants::lowest_power), high(Constants::highest_power);
        V held = xsimd::min(high, xsimd::max(low, x)), n = nearest(held);
        return scale(Constants::exp2(held - n), n);
    }
    static ROARS_INLINE V expm1(const V& x) {
        Reduced reduced = reduce(x);
        // 2^(n-1) on both terms, doubled at the end: 2^n alone overflows at the top of the range.
        V half = power_of_two(xsimd::max(reduced.n - V(1), V(Real(1 - Constants::bias))));
        V doubled = detail::fma(half, Constants::expm1(reduced.r), half - V(Real(0.5)));
        return xsimd::select(xsimd::abs(x) < V(4 * Constants::smallest_normal), x, doubled + doubled);
    }
    static ROARS_INLINE V log(const V& x) {
        Mask denormal = x < V(Constants::smallest_normal);
        V logarithm = xsimd::log(xsimd::select(denormal, x * V(Constants::up), x));
        return xsimd::select(denormal, logarithm - V(Constants::log_up), logarithm);
    }
    static ROARS_INLINE V log1p(const V& x) {
        // log(u) for the rounded u = 1 + x, and what the rounding lost: (x - (u - 1)) / u.
        V u = V(1) + x;
        V logarithm = log(u);
        return xsimd::select(u == x || u == V(0), logarithm, logarithm + (x - (u - V(1))) / u);
    }
    static ROARS_INLINE V sqrt(const V& x) { return xsimd::sqrt(x); }
    static ROARS_INLINE V tanh(const V& x) {
        // (1 - e^-2|x|) / (1 + e^-2|x|), the numerator by expm1 for the digits near 0.
        V tail = expm1(V(-2) * xsimd::abs(x));
        V magnitude = -tail / (V(2) + tail);
        return xsimd::select(x < V(0), -magnitude, magnitude);
    }
    /// Within 3 ulp. A lane's bits depend on that lane alone, which is not so in xsimd, where the largest angle
    /// decides.
    static ROARS_INLINE V sin(const V& x) {
        return large_angles(turn(x, 0), x, [](Real angle) { return std::sin(angle); });
    }
    static ROARS_INLINE V cos(const V& x) {
        return large_angles(turn(x, 1), x, [](Real angle) { return std::cos(angle); });
    }
    static ROARS_INLINE V floor(const V& x) { return xsimd::floor(x); }
    static ROARS_INLINE V abs(const V& x) { return xsimd::abs(x); }
    static ROARS_INLINE V fma(const V& x, const V& y, const V& z) { return detail::fma(x, y, z); }
    static ROARS_INLINE V min(const V& a, const V& b) { return xsimd::min(a, b); }
    static ROARS_INLINE V max(const V& a, const V& b) { return xsimd::max(a, b); }
    static ROARS_INLINE V select(const Mask& mask, const V& a, const V& b) { return xsimd::select(mask, a, b); }

    static ROARS_INLINE V load(const Real* from) { return V::load_unaligned(from); }
    static ROARS_INLINE void store(Real* to, const V& x) { x.store_unaligned(to); }
    template <class Flag>
    static ROARS_INLINE Mask load_mask(const Flag* from) {
        alignas(64) Real flags[V::size];
        for (std::size_t i = 0; i < V::size; ++i) flags[i] = from[i] != Flag(0) ? Real(1) : Real(0);
        return V::load_aligned(flags) != V(0);
    }
    template <class Flag>
    static ROARS_INLINE void store_mask(Flag* to, const Mask& mask) {
        alignas(64) Real flags[V::size];
        xsimd::select(mask, V(1), V(0)).store_aligned(flags);
        for (std::size_t i = 0; i < V::size; ++i) to[i] = static_cast<Flag>(flags[i]);
    }
    static ROARS_INLINE bool any(const Mask& mask) { return xsimd::any(mask); }

    static ROARS_INLINE Real sum(const V& x) {
        return fold(x, [](Real a, Real b) { return a + b; });
    }
    static ROARS_INLINE Real largest(const V& x) {
        return fold(x, [](Real a, Real b) { return a < b ? b : a; });
    }
    static ROARS_INLINE Real smallest(const V& x) {
        return fold(x, [](Real a, Real b) { return b < a ? b : a; });
    }

private:
    /// x = n ln 2 + r, |r| <= ln(2) / 2, x held to where e^x is neither 0 nor inf for certain. NaN stays in r.
    struct Reduced {
        V n, r;
    };
    static ROARS_INLINE Reduced reduce(const V& x) {
        V low(Constants::lowest), high(Constants::highest);
        V held = xsimd::min(high, xsimd::max(low, x));  // in this order: the second of the two where one is NaN
        V n = nearest(held * V(Real(1.4426950408889634)));
        V r = detail::fnma(n, V(Constants::ln2_high), held);
        return {n, detail::fnma(n, V(Constants::ln2_low), r)};
    }
    /// x rounded to an integer; |x| < 2^22 in float. Adding and taking off 1.5 2^23 is the fastest way without SSE 4.1,
    /// but a compiler that may reorder sums would remove it.
    static ROARS_INLINE V nearest(const V& x) {
#if defined(__SSE4_1__) || defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__)
        return xsimd::nearbyint(x);
#else
        return (x + V(Constants::to_integer_bits)) - V(Constants::to_integer_bits);
#endif
    }
    /// sin(x + quarters pi / 2): x = n pi / 2 + r, then sin r or cos r by n's last bit, its sign by the one before.
    static ROARS_INLINE V turn(const V& x, int quarters) {
        using Bits = xsimd::batch<typename Constants::Bits, Arch>;
        V n = nearest(x * V(Real(0.6366197723675814)));
        V r = x;
        for (Real part : Constants::quarter) r = detail::fnma(n, V(part), r);
        V square = r * r, turned = n + V(Real(quarters)), half = turned * V(Real(0.5));
        V value = xsimd::select(nearest(half) == half, Constants::sin(r, square), Constants::cos(square));
        Bits bits = xsimd::bitwise_cast<Bits>(turned + V(Constants::to_integer_bits)) & Bits(2);
        return xsimd::bitwise_cast<V>(xsimd::bitwise_cast<Bits>(value) ^ (bits << (8 * int(sizeof(Real)) - 2)));
    }
    template <class Function>
    static ROARS_INLINE V large_angles(const V& value, const V& x, Function function) {
        Mask large = xsimd::abs(x) > V(Constants::largest_angle);
        if (!xsimd::any(large)) return value;
        alignas(64) Real lane[V::size];
        x.store_aligned(lane);
        for (Real& each : lane) each = function(each);
        return xsimd::select(large, V::load_aligned(lane), value);
    }
    /// 2^n for an integral n within the range of normal numbers: the exponent's bits.
    static ROARS_INLINE V power_of_two(const V& n) {
        using Bits = xsimd::batch<typename Constants::Bits, Arch>;
        Bits bits = xsimd::bitwise_cast<Bits>(n + V(Constants::to_integer_bits));
        return xsimd::bitwise_cast<V>((bits + Bits(Constants::bias)) << Constants::mantissa);
    }
    /// y 2^n in two steps, the first of them exact, so that overflow gives inf and underflow rounds to a denormal once.
    static ROARS_INLINE V scale(const V& y, const V& n) {
#if defined(__AVX512F__)
        if constexpr (sizeof(V) == 64 && sizeof(Real) == 4) return V(_mm512_scalef_ps(y, n));
        if constexpr (sizeof(V) == 64 && sizeof(Real) == 8) return V(_mm512_scalef_pd(y, n));
#endif
        V most = xsimd::min(xsimd::max(n, V(Real(32 - Constants::bias))), V(Real(Constants::bias)));
        return y * power_of_two(most) * power_of_two(n - most);
    }
    template <class Operation>
    static ROARS_INLINE Real fold(const V& x, Operation operation) {
        alignas(64) Real lane[V::size];
        x.store_aligned(lane);
        return tree<V::size>(lane, operation);
    }
    template <std::size_t width, class Operation>
    static ROARS_INLINE Real tree(const Real* lane, Operation operation) {
        if constexpr (width == 1)
            return lane[0];
        else
            return operation(tree<width / 2>(lane, operation), tree<width / 2>(lane + width / 2, operation));
    }
};

}  // namespace roars::math

#endif
