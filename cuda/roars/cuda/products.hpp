#pragma once

#include <cstdint>
#include <type_traits>

#include "roars/cuda/device.hpp"

/// Matrix products of layers, row by row as the host has them, and how exact they are: a type. A device brings gemm,
/// the column-major product of BLAS (cuBLASLt in blas.cuh).
namespace roars::gpu {

/// Real: parameters, what lies between products, gradients, sums. Factor: what a product reads. `products`: how.
template <class Real_, class Factor_ = Real_, Products products_ = Products::exact>
struct Precision {
    using Real = Real_;
    using Factor = Factor_;
    static constexpr Products products = products_;
};
using Exact = Precision<float>;
/// Factors keep 10 bits of their fraction on the device; sums are in float.
using Tf32 = Precision<float, float, Products::tf32>;

namespace detail {

/// y [n x outputs] (+)= x [n x inputs] weight^T. weight [outputs x inputs].
template <class P, class D, class Out>
void apply(D& device, const typename P::Factor* weight, std::int64_t outputs, std::int64_t inputs,
           const typename P::Factor* x, std::int64_t n, Out* y, bool adds = false) {
    gemm(device, Transposed::yes, Transposed::no, outputs, n, inputs, 1.0f, weight, inputs, x, inputs,
         adds ? 1.0f : 0.0f, y, outputs, P::products);
}
/// dx [n x inputs] = dy [n x outputs] weight.
template <class P, class D, class Out>
void apply_backward(D& device, const typename P::Factor* weight, std::int64_t outputs, std::int64_t inputs,
                    const typename P::Factor* dy, std::int64_t n, Out* dx, bool adds = false) {
    gemm(device, Transposed::no, Transposed::no, inputs, n, outputs, 1.0f, weight, inputs, dy, outputs,
         adds ? 1.0f : 0.0f, dx, inputs, P::products);
}
/// dweight [outputs x inputs] += dy^T x.
template <class P, class D>
void add_weight_gradient(D& device, const typename P::Factor* dy, std::int64_t outputs, const typename P::Factor* x,
                         std::int64_t inputs, std::int64_t n, typename P::Real* dweight) {
    if (n == 0) return;
    gemm(device, Transposed::no, Transposed::yes, inputs, outputs, n, 1.0f, x, inputs, dy, outputs, 1.0f, dweight,
         inputs, P::products);
}

template <class From, class To>
struct Convert {
    const From* from;
    To* to;
    ROARS_FN void operator()(std::int64_t i) const { to[i] = static_cast<To>(from[i]); }
};
/// The values as factors of a product: themselves, or rounded in the frame.
template <class Factor, class D, class Real>
const Factor* as_factors(D& device, Frame<D>& frame, const Real* values, std::int64_t count) {
    if constexpr (std::is_same_v<Factor, Real>) {
        return values;
    } else {
        auto* rounded = frame.template take<Factor>(count);
        for_each(device, count, Convert<Real, Factor>{values, rounded});
        return rounded;
    }
}

}  // namespace detail
}  // namespace roars::gpu
