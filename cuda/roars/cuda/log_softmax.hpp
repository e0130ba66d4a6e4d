#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "roars/cuda/batch.hpp"
#include "roars/primitives/log_softmax.hpp"

/// What is wanted of rows of logits on a device, and the gradient in their place: a block a row, logits in 16 bits,
/// float or double, read 16 bytes at a time wherever the row begins.
namespace roars::gpu {

/// Rows of logits in the device's memory. T: float, double, or anything that converts to float and from it
/// (__nv_bfloat16, __half). Row r begins at data + r stride; what lies between vocabulary and stride is not touched.
template <class T>
struct Logits {
    T* data = nullptr;
    std::int64_t rows = 0, vocabulary = 0, stride = 0;

    Logits() = default;
    ROARS_FN Logits(T* first, std::int64_t rows_, std::int64_t vocabulary_, std::int64_t stride_ = 0)
        : data(first), rows(rows_), vocabulary(vocabulary_), stride(stride_ > 0 ? stride_ : vocabulary_) {}
    ROARS_FN T* row(std::int64_t r) const { return data + r * stride; }
};

/// What selective_log_softmax gives of each row; null is not wanted. log_sum_exp is in double: a gradient in float
/// needs all digits of it. Shapes: [rows].
template <class Real>
struct RowColumns {
    Real* logp = nullptr;
    double* log_sum_exp = nullptr;
    Real* entropy = nullptr;
    Real* sum_pi_squared = nullptr;
};

namespace detail {

/// Sums of a row are kept in float, of double logits in double.
template <class T>
using SumOf = std::conditional_t<std::is_same_v<std::remove_const_t<T>, double>, double, float>;

/// Elements before the first one that lies on 16 bytes.
template <class T>
ROARS_FN std::int64_t unaligned_head(const T* row, std::int64_t count) {
    constexpr std::int64_t width = packet_width<T>;
    auto off = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(row) % 16 / sizeof(T));
    return least(off == 0 ? 0 : width - off, count);
}

/// visit(packet, first) for the part of a row that a thread has: packets of 16 bytes, and single elements at both ends.
template <class T, class Visit>
ROARS_FN ROARS_INLINE void visit_row(const T* row, std::int64_t count, int thread, int threads, Visit&& visit) {
    constexpr int width = packet_width<T>;
    std::int64_t head = unaligned_head(row, count), packets = (count - head) / width, tail = head + packets * width;
    if (thread < head) visit(load_packet<T, 1>(row + thread, 1, true), std::int64_t{thread});
    for (std::int64_t p = thread; p < packets; p += threads) {
        std::int64_t at = head + p * width;
        visit(load_packet<T, width>(row + at, width, true), at);
    }
    if (thread < count - tail) visit(load_packet<T, 1>(row + tail + thread, 1, true), tail + thread);
}
/// The same, with what `map` makes of each packet in its place.
template <class T, class Map>
ROARS_FN ROARS_INLINE void rewrite_row(T* row, std::int64_t count, int thread, int threads, Map&& map) {
    visit_row(static_cast<const T*>(row), count, thread, threads, [&](const auto& packet, std::int64_t at) {
        using P = std::remove_cvref_t<decltype(packet)>;
        *reinterpret_cast<P*>(row + at) = map(packet, at);
    });
}
/// Zeros without a look at what was there.
template <class T>
ROARS_FN ROARS_INLINE void clear_row(T* row, std::int64_t count, int thread, int threads) {
    constexpr int width = packet_width<T>;
    std::int64_t head = unaligned_head(row, count), packets = (count - head) / width, tail = head + packets * width;
    const T zero = static_cast<T>(0.0f);
    Packet<T, width> zeros;
    for (int k = 0; k < width; ++k) zeros.value[k] = zero;
    if (thread < head) row[thread] = zero;
    for (std::int64_t p = thread; p < packets; p += threads)
        *reinterpret_cast<Packet<T, width>*>(row + head + p * width) = zeros;
    if (thread < count - tail) row[tail + thread] = zero;
}
template <class T, int width>
ROARS_FN constexpr int width_of(const Packet<T, width>&) {
    return width;
}

/// SoftmaxRow in powers of two: y = (x - max) scale, sum = S = sum 2^y, weighted = sum y 2^y, squares = sum 2^(2 y).
template <class S>
struct RowSums {
    S max, sum, weighted, squares;

    ROARS_FN static RowSums none() { return {-std::numeric_limits<S>::infinity(), S(0), S(0), S(0)}; }
    /// As if it had been summed around another maximum.
    ROARS_FN RowSums around(S other, S scale) const {
        if (max == other || (sum == S(0) && weighted == S(0))) return {other, sum, weighted, squares};
        S c = (max - other) * scale, factor = math::exp2(c);
        // Where everything lies so far below that nothing is left, c times nothing is nothing, and not inf times 0.
        if (factor == S(0) && sum == sum) return {other, S(0), S(0), S(0)};
        return {other, sum * factor, factor * (weighted + c * sum), squares * factor * factor};
    }
    /// Adds a packet of logits.
    template <bool with_entropy, class T, int width>
    ROARS_FN ROARS_INLINE void add(const Packet<T, width>& packet, S scale) {
        S x[width], largest = max;
        for (int k = 0; k < width; ++k) {
            x[k] = static_cast<S>(packet.value[k]);
            largest = largest < x[k] ? x[k] : largest;
        }
        if (largest == -std::numeric_limits<S>::infinity()) {
            for (int k = 0; k < width; ++k) sum += x[k] != x[k] ? x[k] : S(0);  // nothing but -inf, or a NaN
            return;
        }
        if (largest > max) *this = around(largest, scale);
        for (int k = 0; k < width; ++k) {
            S y = (x[k] - max) * scale, e = math::exp2(y);
            sum += e;
            if constexpr (with_entropy) {
                const S low = roars::detail::forbidden<S>;
                weighted += e * (y < low ? low : y);
                squares += e * e;
            }
        }
    }
};
template <class S>
struct CombineRows {
    S scale;
    ROARS_FN RowSums<S> operator()(const RowSums<S>& a, const RowSums<S>& b) const {
        S max = a.max < b.max ? b.max : a.max;
        RowSums<S> left = a.around(max, scale), right = b.around(max, scale);
        return {max, left.sum + right.sum, left.weighted + right.weighted, left.squares + right.squares};
    }
};

/// Rows -> their columns. A masked row is not read and gets zeros; so does one whose token is outside the vocabulary,
/// but for a logp of NaN.
template <class T, class Real, bool with_entropy>
struct ReadRows {
    static constexpr int threads = 512;
    using S = SumOf<T>;
    struct Shared {
        RowSums<S> sums[threads];
    };
    Logits<const T> logits;
    const std::int32_t* token;
    const Real* mask;
    double temperature;
    RowColumns<Real> columns;

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared& shared) const {
        const std::int64_t r = block.index(), chosen = token[r];
        const bool inside = chosen >= 0 && chosen < logits.vocabulary;
        if (!inside || (mask && mask[r] == Real(0))) {
            block.each([&](int thread) {
                if (thread == 0) write(r, inside ? 0.0 : std::numeric_limits<double>::quiet_NaN(), 0.0, 0.0, 0.0);
            });
            return;
        }
        const T* row = logits.row(r);
        const S scale = static_cast<S>(roars::detail::log2_e / temperature);
        block.each([&](int thread) {
            auto own = RowSums<S>::none();
            visit_row(row, logits.vocabulary, thread, threads,
                      [&](const auto& packet, std::int64_t) { own.template add<with_entropy>(packet, scale); });
            shared.sums[thread] = own;
        });
        reduce(block, shared.sums, CombineRows<S>{scale});
        block.each([&](int thread) {
            if (thread > 0) return;
            constexpr double infinity = std::numeric_limits<double>::infinity();
            const RowSums<S>& all = shared.sums[0];
            double max = static_cast<double>(all.max) / temperature, sum = static_cast<double>(all.sum);
            double log_sum = std::log(sum), log_sum_exp = sum == 0.0 ? -infinity : max + log_sum;
            double logit = static_cast<double>(static_cast<S>(row[chosen]));
            double logp =
                logit == -infinity && log_sum_exp == log_sum_exp ? logit : (logit / temperature - max) - log_sum;
            double weighted = static_cast<double>(all.weighted) / roars::detail::log2_e;
            write(r, logp, log_sum_exp, sum == 0.0 ? 0.0 : log_sum - weighted / sum,
                  sum == 0.0 ? 0.0 : static_cast<double>(all.squares) / (sum * sum));
        });
    }

private:
    ROARS_FN void write(std::int64_t r, double logp, double log_sum_exp, double entropy, double squares) const {
        if (columns.logp) columns.logp[r] = static_cast<Real>(logp);
        if (columns.log_sum_exp) columns.log_sum_exp[r] = log_sum_exp;
        if (columns.entropy) columns.entropy[r] = static_cast<Real>(entropy);
        if (columns.sum_pi_squared) columns.sum_pi_squared[r] = static_cast<Real>(squares);
    }
};

/// Rows -> their gradient, in place. One without upstream gradient is not read.
template <class T, class Real, bool with_entropy>
struct DifferentiateRows {
    static constexpr int threads = 512;
    using S = SumOf<T>;
    struct Shared {};
    Logits<T> logits;
    const std::int32_t* token;
    double temperature;
    const double* log_sum_exp;
    const Real *entropy, *grad_logp, *grad_entropy;

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared&) const {
        const std::int64_t r = block.index(), chosen = token[r];
        T* row = logits.row(r);
        const double of_logp = static_cast<double>(grad_logp[r]), total = log_sum_exp[r];
        double of_entropy = 0.0, own_entropy = 0.0;
        if constexpr (with_entropy) {
            of_entropy = static_cast<double>(grad_entropy[r]);
            own_entropy = static_cast<double>(entropy[r]);
        }
        if ((of_logp == 0.0 && of_entropy == 0.0) || total == -std::numeric_limits<double>::infinity()) {
            block.each([&](int thread) { clear_row(row, logits.vocabulary, thread, threads); });
            return;
        }
        // log2 p = scale x + shift, both in two parts, so that their rounding does not grow with the logits.
        const double exact_scale = roars::detail::log2_e / temperature, exact_shift = -total * roars::detail::log2_e;
        const S scale = static_cast<S>(exact_scale), shift = static_cast<S>(exact_shift);
        const S scale_rest = static_cast<S>(exact_scale - static_cast<double>(scale)),
                shift_rest = static_cast<S>(exact_shift - static_cast<double>(shift));
        const S constant = static_cast<S>(-(of_logp + of_entropy * own_entropy) / temperature);
        const S slope = static_cast<S>(-of_entropy / temperature / roars::detail::log2_e),
                own = static_cast<S>(of_logp / temperature);
        block.each([&](int thread) {
            rewrite_row(row, logits.vocabulary, thread, threads, [&](const auto& packet, std::int64_t at) {
                auto out = packet;
                for (int k = 0; k < width_of(packet); ++k) {
                    const S low = roars::detail::forbidden<S>;
                    S x = static_cast<S>(packet.value[k]), held = x < low ? low : x;
                    S power = std::fma(held, scale, shift) + std::fma(held, scale_rest, shift_rest);
                    S factor = constant;
                    if constexpr (with_entropy) factor = std::fma(slope, power < low ? low : power, constant);
                    S gradient = math::exp2(power) * factor;
                    if (at + k == chosen && x != -std::numeric_limits<S>::infinity()) gradient += own;
                    out.value[k] = static_cast<T>(gradient);
                }
                return out;
            });
        });
    }
};

template <class T>
void check_logits(const Logits<T>& logits, std::int64_t rows, double temperature) {
    roars::detail::expect_temperature(temperature);
    expect(logits.rows == rows && logits.vocabulary > 0 && logits.stride >= logits.vocabulary, [&] {
        return std::to_string(logits.rows) + " rows of " + std::to_string(logits.vocabulary) + " logits, " +
               std::to_string(logits.stride) + " apart, expected " + std::to_string(rows) +
               " rows of one logit or more, at least that far apart";
    });
}

}  // namespace detail

/// Of each row of logits what `columns` asks for: see SoftmaxRow. `mask` null or [rows]: a row with 0 costs nothing and
/// gets zeros. A token outside the vocabulary gives a logp of NaN, which the objective names. Nothing waits.
template <class D, class T, class Real>
void selective_log_softmax(D& device, const Logits<T>& logits, const std::int32_t* token, const Real* mask,
                           double temperature, const RowColumns<Real>& columns) {
    detail::check_logits(logits, logits.rows, temperature);
    using Value = std::remove_const_t<T>;
    Logits<const Value> rows(logits.data, logits.rows, logits.vocabulary, logits.stride);
    if (columns.entropy || columns.sum_pi_squared)
        device.launch(rows.rows, detail::ReadRows<Value, Real, true>{rows, token, mask, temperature, columns});
    else
        device.launch(rows.rows, detail::ReadRows<Value, Real, false>{rows, token, mask, temperature, columns});
}

/// In place, logits -> their gradient: see softmax_row_gradient. grad_entropy null for none, else `entropy` is needed.
/// Shapes: [rows]. A row whose two gradients are 0 gets zeros and is not read.
template <class D, class T, class Real>
void selective_log_softmax_backward(D& device, const Logits<T>& logits, const std::int32_t* token, double temperature,
                                    const double* log_sum_exp, const Real* entropy, const Real* grad_logp,
                                    const Real* grad_entropy = nullptr) {
    detail::check_logits(logits, logits.rows, temperature);
    if (grad_entropy)
        device.launch(logits.rows, detail::DifferentiateRows<T, Real, true>{logits, token, temperature, log_sum_exp,
                                                                            entropy, grad_logp, grad_entropy});
    else
        device.launch(logits.rows, detail::DifferentiateRows<T, Real, false>{logits, token, temperature, log_sum_exp,
                                                                             entropy, grad_logp, nullptr});
}

}  // namespace roars::gpu
