#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "roars/cuda/backend.cuh"
#include "roars/cuda/linear.hpp"
#include "roars/cuda/products.hpp"

/// Matrix products by cuBLASLt.
namespace roars::gpu {

/// A cuBLASLt call that failed: which, and its reason.
struct BlasFailed : std::runtime_error {
    BlasFailed(const std::string& call, cublasStatus_t code)
        : std::runtime_error(call + ": " + cublasLtGetStatusString(code)), code(code) {}
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

/// One handle for a thread of the host and a device, the current one.
inline cublasLtHandle_t blas_handle() {
    struct Handles {
        std::vector<cublasLtHandle_t> of_device;
        ~Handles() {
            for (cublasLtHandle_t each : of_device)
                if (each) static_cast<void>(cublasLtDestroy(each));
        }
    };
    thread_local Handles own;
    int device = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    const auto at = static_cast<std::size_t>(device);
    if (own.of_device.size() <= at) own.of_device.resize(at + 1, nullptr);
    if (!own.of_device[at]) check(cublasLtCreate(&own.of_device[at]), "cublasLtCreate");
    return own.of_device[at];
}

/// A product as cuBLASLt is told of it, on the stack.
struct Product {
    cublasLtMatmulDescOpaque_t what;
    cublasLtMatrixLayoutOpaque_t a, b, c;
    cublasLtMatmulPreferenceOpaque_t preference;

    template <class Value>
    void set(cublasLtMatmulDescAttributes_t attribute, const Value& value) {
        check(cublasLtMatmulDescSetAttribute(&what, attribute, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
    }
    template <class Value>
    void prefer(cublasLtMatmulPreferenceAttributes_t attribute, const Value& value) {
        check(cublasLtMatmulPreferenceSetAttribute(&preference, attribute, &value, sizeof value),
              "cublasLtMatmulPreferenceSetAttribute");
    }
};
/// How many bytes an address is a multiple of, up to 256.
inline std::uint32_t alignment_of(const void* address) {
    const auto bits = reinterpret_cast<std::uintptr_t>(address);
    return static_cast<std::uint32_t>(std::min<std::uintptr_t>(bits & (~bits + 1), 256));
}

}  // namespace detail
}  // namespace roars::gpu

namespace roars::backend {

/// C = alpha op(A) op(B) + beta C, column-major as BLAS has it: op(A) m x k, op(B) k x n, C m x n. A and B in bfloat16,
/// half or float, C in that type or in float; sums in float; or all in double. Products of floats are exact to float
/// unless tf32 is asked for. The algorithm is the first that cuBLASLt proposes for these sizes and addresses; its
/// workspace comes from the arena, so that a captured product allocates nothing. Errors: k = 0, no algorithm.
template <class T, class Out>
void gemm(Cuda& device, gpu::Transposed transpose_a, gpu::Transposed transpose_b, std::int64_t m, std::int64_t n,
          std::int64_t k, float alpha, const T* a, std::int64_t lda, const T* b, std::int64_t ldb, float beta, Out* c,
          std::int64_t ldc, gpu::Products products = gpu::Products::exact) {
    if (m == 0 || n == 0) return;
    expect(k > 0, "a matrix product over nothing");
    using gpu::check, gpu::blas_type, gpu::detail::alignment_of;
    using Scale = std::conditional_t<std::is_same_v<T, double>, double, float>;
    const Scale by = alpha, keep = beta;
    const cublasComputeType_t how = std::is_same_v<T, double>         ? CUBLAS_COMPUTE_64F
                                    : products == gpu::Products::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                                      : CUBLAS_COMPUTE_32F;
    const bool turns_a = transpose_a == gpu::Transposed::yes, turns_b = transpose_b == gpu::Transposed::yes;
    auto size = [](std::int64_t extent) { return static_cast<std::uint64_t>(extent); };

    gpu::detail::Product product;
    check(cublasLtMatmulDescInit(&product.what, how, blas_type<Scale>), "cublasLtMatmulDescInit");
    product.set(CUBLASLT_MATMUL_DESC_TRANSA, turns_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    product.set(CUBLASLT_MATMUL_DESC_TRANSB, turns_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    check(cublasLtMatrixLayoutInit(&product.a, blas_type<T>, size(turns_a ? k : m), size(turns_a ? m : k), lda),
          "cublasLtMatrixLayoutInit");
    check(cublasLtMatrixLayoutInit(&product.b, blas_type<T>, size(turns_b ? n : k), size(turns_b ? k : n), ldb),
          "cublasLtMatrixLayoutInit");
    check(cublasLtMatrixLayoutInit(&product.c, blas_type<Out>, size(m), size(n), ldc), "cublasLtMatrixLayoutInit");

    constexpr std::uint64_t most = 32 << 20;
    check(cublasLtMatmulPreferenceInit(&product.preference), "cublasLtMatmulPreferenceInit");
    product.prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, most);
    product.prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(a));
    product.prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(b));
    product.prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(c));
    product.prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(c));

    const cublasLtHandle_t handle = gpu::detail::blas_handle();
    cublasLtMatmulHeuristicResult_t found{};
    int count = 0;
    check(cublasLtMatmulAlgoGetHeuristic(handle, &product.what, &product.a, &product.b, &product.c, &product.c,
                                         &product.preference, 1, &found, &count),
          "cublasLtMatmulAlgoGetHeuristic");
    check(count > 0 ? found.state : CUBLAS_STATUS_NOT_SUPPORTED, "cublasLtMatmulAlgoGetHeuristic");
    gpu::Frame<Cuda> frame(device);
    check(cublasLtMatmul(handle, &product.what, &by, a, &product.a, b, &product.b, &keep, c, &product.c, c, &product.c,
                         &found.algo, frame.take<std::byte>(static_cast<std::int64_t>(most)), most, device.stream()),
          "cublasLtMatmul");
}

}  // namespace roars::backend
