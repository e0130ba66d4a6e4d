#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "roars/error.hpp"

/// What a few seeds say of a mean.
namespace roars::metrics {

/// The probability that Student's t of `freedom` degrees lies within +-t, by the finite sums in
/// theta = atan(t / sqrt(freedom)) (Abramowitz and Stegun, 26.7.3 and 26.7.4).
inline double student_within(double t, std::int64_t freedom) {
    constexpr double half_pi = 1.5707963267948966;
    const double theta = std::atan(t / std::sqrt(static_cast<double>(freedom)));
    const double cosine = std::cos(theta), square = cosine * cosine;
    const bool odd = freedom % 2 == 1;
    double term = odd ? cosine : 1.0, sum = 0.0;
    for (std::int64_t k = odd ? 1 : 0; k <= freedom - 2; k += 2) {
        sum += term;
        term *= square * static_cast<double>(k + 1) / static_cast<double>(k + 2);
    }
    return odd ? (theta + std::sin(theta) * sum) / half_pi : std::sin(theta) * sum;
}

/// The t within which `level` of Student's distribution lies: 2.776 for 4 degrees of freedom and 0.95.
inline double student_bound(double level, std::int64_t freedom) {
    expect(level > 0 && level < 1 && freedom >= 1, [&] {
        return "Student's distribution: level " + std::to_string(level) + " and " + std::to_string(freedom) +
               " degrees of freedom, expected a level between 0 and 1 and 1 degree or more";
    });
    double low = 0.0, high = 1.0;
    while (student_within(high, freedom) < level) high *= 2;
    for (int i = 0; i < 200; ++i) {
        double middle = 0.5 * (low + high);
        if (middle == low || middle == high) break;
        (student_within(middle, freedom) < level ? low : high) = middle;
    }
    return high;
}

/// A mean with its confidence interval [low, high]; of one number the interval is everything, of none all is 0.
struct MeanInterval {
    double mean = 0.0, low = 0.0, high = 0.0;
    std::int64_t count = 0;
};

/// mean +- t s / sqrt(n), s with n - 1: the numbers are taken as drawn from a normal distribution.
inline MeanInterval mean_interval(std::span<const double> numbers, double level = 0.95) {
    MeanInterval interval{.count = static_cast<std::int64_t>(numbers.size())};
    if (numbers.empty()) return interval;
    const auto n = static_cast<double>(numbers.size());
    for (double x : numbers) interval.mean += x / n;
    double squares = 0;
    for (double x : numbers) squares += (x - interval.mean) * (x - interval.mean);
    const double half = interval.count > 1 ? student_bound(level, interval.count - 1) * std::sqrt(squares / (n - 1) / n)
                                           : std::numeric_limits<double>::infinity();
    interval.low = interval.mean - half;
    interval.high = interval.mean + half;
    return interval;
}

}  // namespace roars::metrics
