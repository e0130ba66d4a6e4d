#pragma once

#include <cstdint>
#include <type_traits>

#include <cublas_v2.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "roars/cuda/backend.cuh"
#include "roars/cuda/linear.hpp"
#include "roars/cuda/products.hpp"

/// Matrix products by cuBLAS.
namespace roars::gpu {

/// A cuBLAS call that failed: which, and its reason.
struct BlasFailed : std::runtime_error {
    BlasFailed(const char* call, cublasStatus_t code)
        : std::runtime_error(std::string(call) + ": " + cublasGetStatusString(code)), code(code) {}
    cublasStatus_t code;
};
inline void check(cublasStatus_t code, const char* call) {
    if (code != CUBLAS_STATUS_SUCCESS) throw BlasFailed(call, code);
}

template <class T>
inline constexpr cudaDataType_t blas_type = CUDA_R_32F;
template <>
inline constexpr cudaDataType_t blas_type<__nv_bfloat16> = CUDA_R_16BF;
template <>
inline constexpr cudaDataType_t blas_type<__half> = CUDA_R_16F;
template <>
inline constexpr cudaDataType_t blas_type<double> = CUDA_R_64F;

/// Factors of products in bfloat16; sums, parameters and what lies between in float.
using Bfloat16 = Precision<float, __nv_bfloat16>;

namespace detail {
/// One handle for a thread of the host; stream and workspace are set for each product.
inline cublasHandle_t blas_handle() {
    struct Handle {
        cublasHandle_t handle = nullptr;
        ~Handle() { static_cast<void>(cublasDestroy(handle)); }
    };
    thread_local Handle own;
    if (!own.handle) check(cublasCreate(&own.handle), "cublasCreate");
    return own.handle;
}
}  // namespace detail
}  // namespace roars::gpu

namespace roars::backend {

/// C = alpha op(A) op(B) + beta C, column-major as BLAS has it: op(A) m x k, op(B) k x n, C m x n. A and B in bfloat16,
/// half or float, C in that type or in float; sums in float; or all in double. Products of floats are exact to float
/// unless tf32 is asked for. Workspace comes from the arena, so that a captured product allocates nothing.
template <class T, class Out>
void gemm(Cuda& device, gpu::Transposed transpose_a, gpu::Transposed transpose_b, std::int64_t m, std::int64_t n,
          std::int64_t k, float alpha, const T* a, std::int64_t lda, const T* b, std::int64_t ldb, float beta, Out* c,
          std::int64_t ldc, gpu::Products products = gpu::Products::exact) {
    if (m == 0 || n == 0) return;
    constexpr std::int64_t workspace = 32 << 20;
    gpu::Frame<Cuda> frame(device);
    cublasHandle_t handle = gpu::detail::blas_handle();
    gpu::check(cublasSetStream(handle, device.stream()), "cublasSetStream");
    gpu::check(cublasSetWorkspace(handle, frame.take<std::byte>(workspace), workspace), "cublasSetWorkspace");
    auto op = [](gpu::Transposed t) { return t == gpu::Transposed::yes ? CUBLAS_OP_T : CUBLAS_OP_N; };
    using Scale = std::conditional_t<std::is_same_v<T, double>, double, float>;
    const Scale by = alpha, keep = beta;
    cublasComputeType_t how = std::is_same_v<T, double>         ? CUBLAS_COMPUTE_64F
                              : products == gpu::Products::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                : CUBLAS_COMPUTE_32F;
    gpu::check(cublasGemmEx_64(handle, op(transpose_a), op(transpose_b), m, n, k, &by, a, gpu::blas_type<T>, lda, b,
                               gpu::blas_type<T>, ldb, &keep, c, gpu::blas_type<Out>, ldc, how, CUBLAS_GEMM_DEFAULT),
               "cublasGemmEx");
}

}  // namespace roars::backend
