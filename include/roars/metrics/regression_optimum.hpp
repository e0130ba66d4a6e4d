#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "roars/error.hpp"

/// What regressing a policy's log-ratio on an advantage leads to, exactly.
namespace roars::metrics {

/// The policy that minimises sum_a nu_a (A_a / beta - u_a)^2 / 2 over the simplex, u = log(policy / reference):
///     A_a / beta - u_a = lambda policy_a / nu_a,   sum policy = 1,
/// and its worth sum policy (A - beta u), which is >= 0 where sum reference A = 0 (there lambda >= 0).
struct RegressionOptimum {
    std::vector<double> policy;
    double lambda = 0.0;
    double improvement = 0.0;
};

namespace detail {

/// w with w + log w = z: Lambert's function of e^z, which itself may overflow. Newton's steps from a start that is near
/// everywhere.
inline double lambert_of_exp(double z) {
    double w = z > 1.0 ? z - std::log(z) : std::exp(z) / (1.0 + std::exp(z));
    for (int i = 0; i < 50 && w > 0.0; ++i) {
        double next = w * (1.0 + z - std::log(w)) / (1.0 + w);
        if (std::abs(next - w) <= 1e-16 * w) return next;
        w = next;
    }
    return w;
}
/// Lambert's function on its main branch, for -1/e <= x <= 0.
inline double lambert_of_negative(double x) {
    double p = std::sqrt(std::max(0.0, 2.0 * (1.0 + 2.718281828459045 * x)));
    double w = std::max(-1.0, -1.0 + p - p * p / 3.0 + 11.0 / 72.0 * p * p * p);
    for (int i = 0; i < 50 && w > -1.0; ++i) {
        double f = w * std::exp(w) - x, slope = std::exp(w) * (w + 1.0);
        if (slope == 0.0) break;
        double next = w - f / (slope - (w + 2.0) * f / (2.0 * w + 2.0));
        if (std::abs(next - w) <= 1e-16) return next;
        w = next;
    }
    return w;
}

}  // namespace detail

/// Shapes: all [actions]; reference and nu sum to 1, nu > 0 where reference > 0. Errors: sizes that differ, beta of 0
/// or less, an action of the reference that nu never draws, a minimum outside the main branch (sum reference A far
/// below 0).
inline RegressionOptimum regression_optimum(std::span<const double> reference, std::span<const double> nu,
                                            std::span<const double> advantage, double beta) {
    expect(reference.size() == nu.size() && nu.size() == advantage.size() && beta > 0.0, [&] {
        return "regression optimum: " + std::to_string(reference.size()) + ", " + std::to_string(nu.size()) + " and " +
               std::to_string(advantage.size()) + " actions, beta " + std::to_string(beta) +
               ", expected as many of each and a number above 0";
    });
    const std::size_t actions = reference.size();
    constexpr double branch_point = -0.36787944117144233;  // -1/e
    for (std::size_t a = 0; a < actions; ++a)
        expect(reference[a] <= 0.0 || nu[a] > 0.0, "regression optimum: nu never draws an action of the reference");
    // log of what an action's probability would be without a constraint, and what is left of it at lambda
    auto free = [&](std::size_t a) { return std::log(reference[a]) + advantage[a] / beta; };
    auto probability = [&](std::size_t a, double lambda) {
        if (reference[a] <= 0.0) return 0.0;
        if (lambda == 0.0) return std::exp(free(a));
        if (lambda > 0.0) return nu[a] / lambda * detail::lambert_of_exp(std::log(lambda / nu[a]) + free(a));
        double x = std::max(lambda / nu[a] * std::exp(free(a)), branch_point);
        return nu[a] / lambda * detail::lambert_of_negative(x);
    };
    auto excess = [&](double lambda) {
        double sum = -1.0;
        for (std::size_t a = 0; a < actions; ++a) sum += probability(a, lambda);
        return sum;
    };
    double low = 0.0, high = 0.0;
    if (excess(0.0) > 0.0) {
        for (high = 1.0; excess(high) > 0.0;) high *= 2.0;
    } else {
        low = -std::numeric_limits<double>::infinity();
        for (std::size_t a = 0; a < actions; ++a)
            if (reference[a] > 0.0) low = std::max(low, branch_point * nu[a] * std::exp(-free(a)));
        expect(excess(low) >= 0.0,
               "regression optimum: the minimum is not on the main branch, expected an advantage "
               "whose mean under the reference is 0");
    }
    for (int i = 0; i < 200 && low < high; ++i) {
        double middle = 0.5 * (low + high);
        if (middle == low || middle == high) break;
        (excess(middle) > 0.0 ? low : high) = middle;
    }
    RegressionOptimum best{std::vector<double>(actions), excess(0.0) == 0.0 ? 0.0 : high, 0.0};
    for (std::size_t a = 0; a < actions; ++a) {
        double p = best.policy[a] = probability(a, best.lambda);
        if (p > 0.0) best.improvement += p * (advantage[a] - beta * std::log(p / reference[a]));
    }
    return best;
}

}  // namespace roars::metrics
