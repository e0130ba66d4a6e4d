#pragma once

#include <cctype>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>

#include "roars/error.hpp"
#include "roars/fields.hpp"

namespace roars::metrics {

namespace detail {

/// I_x(a, b), the regularised incomplete beta function, by Lentz's continued fraction.
inline double incomplete_beta(double a, double b, double x) {
    if (x <= 0) return 0.0;
    if (x >= 1) return 1.0;
    if (x > (a + 1) / (a + b + 2)) return 1.0 - incomplete_beta(b, a, 1.0 - x);
    const double front =
        std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log1p(-x)) / a;
    constexpr double tiny = 1e-300;
    double f = 1.0, c = 1.0, d = 0.0;
    for (int i = 0; i <= 1000; ++i) {
        const double m = i / 2;
        double numerator = 1.0;
        if (i > 0)
            numerator = i % 2 == 0 ? m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
                                   : -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1.0 + numerator * d;
        if (std::abs(d) < tiny) d = tiny;
        d = 1.0 / d;
        c = 1.0 + numerator / c;
        if (std::abs(c) < tiny) c = tiny;
        f *= c * d;
        if (std::abs(1.0 - c * d) < 1e-15) break;
    }
    return front * (f - 1.0);
}

}  // namespace detail

/// P(T <= t) of Student's t with `freedom` > 0 degrees.
inline double student_probability(double t, double freedom) {
    const double tail = 0.5 * detail::incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t));
    return t > 0 ? 1.0 - tail : tail;
}

/// The t with P(T <= t) = probability, by bisection. Errors: a probability outside (0, 1), freedom not above 0.
inline double student_quantile(double probability, double freedom) {
    expect(probability > 0 && probability < 1 && freedom > 0, [&] {
        return "student quantile: probability " + std::to_string(probability) + " with " + std::to_string(freedom) +
               " degrees of freedom, expected 0 < probability < 1 and freedom > 0";
    });
    if (probability == 0.5) return 0.0;
    // By the upper tail, which keeps its digits where the probability is near 1.
    const double tail = probability > 0.5 ? 1.0 - probability : probability;
    double low = 0.0, high = 1.0;
    auto above = [&](double t) { return 0.5 * detail::incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)); };
    while (above(high) > tail) high *= 2;
    for (int i = 0; i < 200 && high - low > 1e-15 * high; ++i) {
        double middle = 0.5 * (low + high);
        (above(middle) > tail ? low : high) = middle;
    }
    return probability > 0.5 ? high : -high;
}

/// What runs of several seeds say: mean, sample deviation (0 of one) and the interval mean +- t s / sqrt(n), in which
/// the true mean lies with the given confidence if the runs are normal. One run gives no interval: -inf to inf; none:
/// NaN.
struct Estimate {
    double mean, deviation, low, high;
    std::int64_t count;
};
ROARS_FIELDS(Estimate, mean, deviation, low, high, count)

/// Shapes: values [runs]. Errors: a confidence outside (0, 1).
inline Estimate estimate(std::span<const double> values, double confidence = 0.95) {
    expect(confidence > 0 && confidence < 1,
           [&] { return "estimate: confidence " + std::to_string(confidence) + ", expected between 0 and 1"; });
    constexpr double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
    const auto n = static_cast<double>(values.size());
    if (values.empty()) return {nan, nan, nan, nan, 0};
    double mean = 0, squares = 0;
    for (double value : values) mean += value / n;
    for (double value : values) squares += (value - mean) * (value - mean);
    if (values.size() == 1) return {mean, 0.0, -infinity, infinity, 1};
    const double deviation = std::sqrt(squares / (n - 1));
    const double half = student_quantile(0.5 + confidence / 2, n - 1) * deviation / std::sqrt(n);
    return {mean, deviation, mean - half, mean + half, static_cast<std::int64_t>(values.size())};
}

/// The returns that count as 0 and as 100: of a random policy and of an expert.
struct ReferenceReturns {
    double random = 0;
    double expert = 1;

    /// 100 (return - random) / (expert - random). Errors: equal references.
    double normalised(double value) const {
        expect(expert != random, "normalised score: the returns of random policy and expert are equal");
        return 100.0 * (value - random) / (expert - random);
    }
};
ROARS_FIELDS(ReferenceReturns, random, expert)

/// D4RL's references (arXiv 2004.07219; REF_MIN_SCORE and REF_MAX_SCORE of d4rl/infos.py,
/// github.com/Farama-Foundation/D4RL) for the MuJoCo worlds, by a world's or a data set's name:
/// Hopper-v5, halfcheetah-medium-v2. That file knows no v4 or v5: they take their world's numbers. None for other
/// names.
inline std::optional<ReferenceReturns> d4rl_reference(const std::string& name) {
    struct Row {
        const char* world;
        ReferenceReturns reference;
    };
    constexpr Row rows[] = {{"hopper", {-20.272305, 3234.3}},
                            {"halfcheetah", {-280.178953, 12135.0}},
                            {"walker2d", {1.629008, 4592.3}},
                            {"ant", {-325.6, 3879.7}}};
    std::string world = name.substr(0, name.find('-'));
    for (char& letter : world) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    for (const Row& row : rows)
        if (world == row.world) return row.reference;
    return std::nullopt;
}

}  // namespace roars::metrics
