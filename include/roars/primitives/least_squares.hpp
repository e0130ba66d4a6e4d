#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "roars/error.hpp"

namespace roars {

/// One residual and its derivative by each of n parameters.
template <std::size_t n>
struct Residual {
    double value = 0.0;
    std::array<double, n> slope{};
};

/// Where a search has ended.
template <std::size_t n>
struct LeastSquares {
    std::array<double, n> at{};
    double sum_of_squares = 0.0;
    int steps = 0;  ///< that lowered the sum
};

namespace detail {

/// d of A d = -g over the parameters that are free, 0 for the others: Cholesky. False where A is not positive definite.
template <std::size_t n>
bool solve_free(std::array<std::array<double, n>, n> a, const std::array<double, n>& g, const std::array<bool, n>& free,
                std::array<double, n>& d) {
    for (std::size_t i = 0; i < n; ++i) {
        for (std::size_t j = 0; j <= i; ++j) {
            if (!free[i] || !free[j]) a[i][j] = i == j ? 1.0 : 0.0;
            for (std::size_t k = 0; k < j; ++k) a[i][j] -= a[i][k] * a[j][k];
            if (i != j) a[i][j] /= a[j][j];
        }
        if (!(a[i][i] > 0.0)) return false;
        a[i][i] = std::sqrt(a[i][i]);
    }
    for (std::size_t i = 0; i < n; ++i) {
        d[i] = free[i] ? -g[i] : 0.0;
        for (std::size_t k = 0; k < i; ++k) d[i] -= a[i][k] * d[k];
        d[i] /= a[i][i];
    }
    for (std::size_t i = n; i-- > 0;) {
        for (std::size_t k = i + 1; k < n; ++k) d[i] -= a[k][i] * d[k];
        d[i] /= a[i][i];
    }
    return true;
}

}  // namespace detail

/// min over lowest <= x <= highest of sum_i r_i(x)^2, from `start`: Levenberg and Marquardt's steps
///     (J'J + damping diag(J'J)) d = -J'r,   x <- clamp(x + d),
/// over the parameters that do not stand at a bound against which they push; a step that lowers the sum is taken and
/// lessens the damping, another raises it. It ends where no step moves or lowers anything, or behind `most` tries: at a
/// local minimum of what it is given. residual(i, x) gives Residual<n>, i < count. Errors: bounds that cross, a start
/// outside them or that is no number.
template <std::size_t n, class Function>
LeastSquares<n> least_squares(Function&& residual, std::int64_t count, std::array<double, n> start,
                              const std::array<double, n>& lowest, const std::array<double, n>& highest,
                              int most = 5000) {
    using Vector = std::array<double, n>;
    for (std::size_t k = 0; k < n; ++k)
        expect(lowest[k] <= start[k] && start[k] <= highest[k], [&] {
            return "least squares: parameter " + std::to_string(k) + " starts at " + std::to_string(start[k]) +
                   ", expected a number from " + std::to_string(lowest[k]) + " to " + std::to_string(highest[k]);
        });
    auto sum_at = [&](const Vector& x) {
        double sum = 0.0;
        for (std::int64_t i = 0; i < count; ++i) {
            const double r = residual(i, x).value;
            sum += r * r;
        }
        return sum;
    };
    LeastSquares<n> found{start, sum_at(start), 0};
    constexpr double mildest = 1e-15, strongest = 1e15;
    for (double damping = 1e-3; most > 0 && found.sum_of_squares > 0.0;) {
        Vector g{};
        std::array<Vector, n> a{};
        for (std::int64_t i = 0; i < count; ++i) {
            const Residual<n> r = residual(i, found.at);
            for (std::size_t k = 0; k < n; ++k) {
                g[k] += r.slope[k] * r.value;
                for (std::size_t j = 0; j < n; ++j) a[k][j] += r.slope[k] * r.slope[j];
            }
        }
        std::array<bool, n> free;
        for (std::size_t k = 0; k < n; ++k)
            free[k] = g[k] != 0.0 && (g[k] > 0.0 ? found.at[k] > lowest[k] : found.at[k] < highest[k]);
        bool lower = false;
        for (; !lower && most > 0 && damping <= strongest; --most) {
            std::array<Vector, n> damped = a;
            for (std::size_t k = 0; k < n; ++k)
                damped[k][k] += damping * std::max(a[k][k], std::numeric_limits<double>::min());
            Vector d{}, next = found.at;
            if (!detail::solve_free(damped, g, free, d)) {
                damping *= 4.0;
                continue;
            }
            for (std::size_t k = 0; k < n; ++k) next[k] = std::clamp(next[k] + d[k], lowest[k], highest[k]);
            if (next == found.at) return found;
            const double sum = sum_at(next);
            lower = sum < found.sum_of_squares;
            if (lower) found = {next, sum, found.steps + 1};
            damping = lower ? std::max(damping / 8.0, mildest) : damping * 4.0;
        }
        if (!lower) break;
    }
    return found;
}

}  // namespace roars
