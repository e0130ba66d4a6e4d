#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "roars/primitives/log_softmax.hpp"
#include "roars/primitives/segmented_reduce.hpp"

namespace roars::critic {

/// A matrix in row-major order: row i is a span of `width` values.
template <class T>
struct Rows {
    std::span<T> values;
    std::int64_t width = 1;

    std::int64_t count() const { return width > 0 ? std::ssize(values) / width : 0; }
    std::span<T> operator[](std::int64_t i) const {
        return values.subspan(static_cast<std::size_t>(i * width), static_cast<std::size_t>(width));
    }
};
template <class T>
Rows(std::span<T>, std::int64_t) -> Rows<T>;

/// Mean of value(i) over i in [0, count), in double and in an order that depends on the count alone; 0 of nothing.
template <class Value>
double mean_of(backend::Host& backend, std::int64_t count, Value&& value) {
    const std::array<std::int64_t, 2> whole{0, count};
    double sum = 0.0;
    segmented_sum(
        backend, whole, [&](std::int64_t i) { return double(value(i)); }, std::span<double>(&sum, 1));
    return count > 0 ? sum / double(count) : 0.0;
}

/// log sum e^x; -inf for nothing, and for forbidden values (-inf) alone.
template <class T>
double log_sum_exp(std::span<T> x) {
    return softmax_row<OnlyNormaliser>(x.data(), std::ssize(x)).log_sum_exp();
}
/// e^(x - normaliser), 0 for a forbidden value.
inline double probability(double x, double normaliser) {
    return x == -std::numeric_limits<double>::infinity() ? 0.0 : std::exp(x - normaliser);
}

}  // namespace roars::critic
