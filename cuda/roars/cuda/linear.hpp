#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "roars/cuda/algorithm.hpp"

/// The objective from the hidden states before the last linear layer: logits = hidden weight^T exist for a chunk of
/// tokens at a time. A device brings gemm, the column-major product of BLAS (cuBLASLt in blas.cuh).
namespace roars::gpu {

/// The last layer, row-major: hidden [tokens x width], weight [vocabulary x width]. T: bfloat16, half or float.
template <class T>
struct LastLayer {
    const T* hidden = nullptr;
    const T* weight = nullptr;
    std::int64_t tokens = 0, width = 0, vocabulary = 0;
};

namespace detail {

/// Row-major logits of tokens [begin, end): to BLAS, which reads columns, weight^T (vocabulary x width) hidden (width x
/// tokens).
template <class D, class T>
void logits_of(D& device, const LastLayer<T>& layer, std::int64_t begin, std::int64_t end, T* logits) {
    gemm(device, Transposed::yes, Transposed::no, layer.vocabulary, end - begin, layer.width, 1.0f, layer.weight,
         layer.width, layer.hidden + begin * layer.width, layer.width, 0.0f, logits, layer.vocabulary);
}
/// grad_hidden [tokens x width] = gradient [tokens x vocabulary] weight.
template <class D, class T>
void hidden_gradient(D& device, const LastLayer<T>& layer, std::int64_t begin, std::int64_t end, const T* gradient,
                     T* grad_hidden) {
    gemm(device, Transposed::no, Transposed::no, layer.width, end - begin, layer.vocabulary, 1.0f, layer.weight,
         layer.width, gradient, layer.vocabulary, 0.0f, grad_hidden + begin * layer.width, layer.width);
}
/// grad_weight [vocabulary x width] (+)= gradient^T hidden, in float whatever T is.
template <class D, class T>
void weight_gradient(D& device, const LastLayer<T>& layer, std::int64_t begin, std::int64_t end, const T* gradient,
                     bool adds, float* grad_weight) {
    gemm(device, Transposed::no, Transposed::yes, layer.width, layer.vocabulary, end - begin, 1.0f,
         layer.hidden + begin * layer.width, layer.width, gradient, layer.vocabulary, adds ? 1.0f : 0.0f, grad_weight,
         layer.width);
}

}  // namespace detail

/// Loss and gradients of `objective` (counted before) from hidden states: grad_hidden [tokens x width] in T,
/// grad_weight [vocabulary x width] in float, both overwritten; null is not wanted. Logits are made for `chunk` tokens
/// at a time, twice if there are more: the first time for every log-probability, since terms may want a whole
/// sequence's before any gradient. Extra memory: chunk x vocabulary logits.
template <class A, class D, class BatchType, class T>
void objective_from_hidden(Objective<A, D>& objective, Run<D>& run, const typename A::State& state, BatchType& batch,
                           const LastLayer<T>& layer, T* grad_hidden, float* grad_weight, std::int64_t chunk = 2048,
                           double temperature = 1.0) {
    using Real = typename BatchType::Real;
    expect(layer.tokens == batch.tokens() && layer.width > 0 && layer.vocabulary > 0 && chunk > 0, [&] {
        return "hidden states of " + std::to_string(layer.tokens) + " tokens, expected " +
               std::to_string(batch.tokens()) + ", and a width, a vocabulary and a chunk above 0";
    });
    D& device = run.backend;
    Frame<D> frame(device);
    auto* log_sum_exp = frame.template take<double>(layer.tokens);
    auto* logits = frame.template take<T>(std::min(chunk, layer.tokens) * layer.vocabulary);
    const std::int32_t* token = batch[col::token{}];
    const Real* mask = objective.mask(batch);
    auto at = [](auto* column, std::int64_t begin) { return column ? column + begin : column; };
    auto entropy = objective.template optional<col::entropy>(batch);
    auto squares = objective.template optional<col::sum_pi_squared>(batch);
    auto grad_entropy = objective.template optional<col::grad<col::entropy>>(batch);
    auto each_chunk = [&](auto&& work) {
        for (std::int64_t begin = 0; begin < layer.tokens; begin += chunk)
            work(begin, std::min(begin + chunk, layer.tokens));
    };
    auto rows = [&](std::int64_t begin, std::int64_t end) { return Logits<T>(logits, end - begin, layer.vocabulary); };
    each_chunk([&](std::int64_t begin, std::int64_t end) {
        detail::logits_of(device, layer, begin, end, logits);
        selective_log_softmax(
            device, rows(begin, end), token + begin, at(mask, begin), temperature,
            RowColumns<Real>{batch[col::logp{}] + begin, log_sum_exp + begin, at(entropy, begin), at(squares, begin)});
    });
    objective(run, state, batch);
    each_chunk([&](std::int64_t begin, std::int64_t end) {
        if (layer.tokens > chunk) detail::logits_of(device, layer, begin, end, logits);
        selective_log_softmax_backward(device, rows(begin, end), token + begin, temperature, log_sum_exp + begin,
                                       static_cast<const Real*>(at(entropy, begin)),
                                       static_cast<const Real*>(batch[col::grad<col::logp>{}] + begin),
                                       static_cast<const Real*>(at(grad_entropy, begin)));
        if (grad_hidden) detail::hidden_gradient(device, layer, begin, end, logits, grad_hidden);
        if (grad_weight) detail::weight_gradient(device, layer, begin, end, logits, begin > 0, grad_weight);
    });
    if (grad_weight && layer.tokens == 0)
        device.zero(grad_weight, static_cast<std::size_t>(layer.vocabulary * layer.width) * sizeof(float));
}

namespace detail {

/// The nearest of some points so far, by |p|^2 - 2 q p, which orders points as |q - p|^2 does; of equal ones the first.
struct NearestKernel {
    static constexpr int threads = 256;
    struct Shared {
        float score[threads];
        std::int64_t index[threads];
    };
    const float* product;  ///< [queries x chunk]
    const float* square;   ///< [points]
    std::int64_t chunk, begin;
    float* score;
    std::int64_t* index;

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared& shared) const {
        const std::int64_t q = block.index();
        auto better = [](float a, std::int64_t i, float b, std::int64_t j) {
            return i >= 0 && (j < 0 || a < b || (a == b && i < j));
        };
        block.each([&](int thread) {
            float best = 0.0f;
            std::int64_t at = -1;
            for (std::int64_t j = thread; j < chunk; j += threads) {
                float own = square[begin + j] - 2.0f * product[q * chunk + j];
                if (better(own, begin + j, best, at)) {
                    best = own;
                    at = begin + j;
                }
            }
            shared.score[thread] = best;
            shared.index[thread] = at;
        });
        for (int half = threads / 2; half > 0; half /= 2)
            block.each([&](int thread) {
                if (thread >= half) return;
                int other = thread + half;
                if (!better(shared.score[other], shared.index[other], shared.score[thread], shared.index[thread]))
                    return;
                shared.score[thread] = shared.score[other];
                shared.index[thread] = shared.index[other];
            });
        block.each([&](int thread) {
            if (thread > 0) return;
            if (begin > 0 && !better(shared.score[0], shared.index[0], score[q], index[q])) return;
            score[q] = shared.score[0];
            index[q] = shared.index[0];
        });
    }
};
struct SquareOfRow {
    const float* points;
    std::int64_t width;
    float* square;
    ROARS_FN void operator()(std::int64_t i) const {
        double sum = 0.0;
        for (std::int64_t k = 0; k < width; ++k) {
            double x = static_cast<double>(points[i * width + k]);
            sum += x * x;
        }
        square[i] = static_cast<float>(sum);
    }
};
struct SquaredDistance {
    const float *queries, *points;
    std::int64_t width;
    const std::int64_t* index;
    float* distance;
    ROARS_FN void operator()(std::int64_t q) const {
        double sum = 0.0;
        for (std::int64_t k = 0; k < width; ++k) {
            double x = static_cast<double>(queries[q * width + k]) - static_cast<double>(points[index[q] * width + k]);
            sum += x * x;
        }
        distance[q] = static_cast<float>(sum);
    }
};

}  // namespace detail

/// index_q = the point nearest to query q by the 2-norm, distance_q = |q - p|^2 of it (null: not wanted), exact for the
/// point that was found. The search is a matrix product: two points whose distances differ by less than its rounding
/// may be taken for each other. Shapes: queries [count x width], points [points x width], row-major. Errors: no points.
template <class D>
void nearest(D& device, const float* queries, std::int64_t count, const float* points, std::int64_t number,
             std::int64_t width, std::int64_t* index, float* distance = nullptr, std::int64_t chunk = 8192) {
    expect(number > 0 && width > 0, "nearest neighbours among no points");
    if (count == 0) return;
    Frame<D> frame(device);
    auto* square = frame.template take<float>(number);
    auto* score = frame.template take<float>(count);
    auto* product = frame.template take<float>(count * std::min(chunk, number));
    for_each(device, number, detail::SquareOfRow{points, width, square});
    for (std::int64_t begin = 0; begin < number; begin += chunk) {
        std::int64_t size = std::min(chunk, number - begin);
        gemm(device, Transposed::yes, Transposed::no, size, count, width, 1.0f, points + begin * width, width, queries,
             width, 0.0f, product, size);
        device.launch(count, detail::NearestKernel{product, square, size, begin, score, index});
    }
    if (distance) for_each(device, count, detail::SquaredDistance{queries, points, width, index, distance});
}

}  // namespace roars::gpu
