#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/fields.hpp"
#include "roars/primitives/least_squares.hpp"

namespace roars {

/// The three-parameter logistic curve of item response theory: how often an answer is right when a share `rate` of the
/// solution is shown,
///     accuracy(rate) = guess + (1 - guess) / (1 + e^{-slope (rate + shift)}),   the exponent held within +-50.
/// Source: SEELE, arXiv 2509.06923.
struct ItemResponse {
    double slope = 10.0;
    double shift = -0.5;
    double guess = 0.05;

    double accuracy(double rate) const { return guess + (1.0 - guess) * above_guess(rate); }
    /// The rate at which it is `accuracy`, held within [0, 1]; 0 for what guessing reaches or for a curve that does not
    /// rise, 1 for certainty.
    double rate(double accuracy) const {
        if (accuracy <= guess || slope <= 0.0) return 0.0;
        if (accuracy >= 1.0) return 1.0;
        return std::clamp(-shift + std::log((accuracy - guess) / (1.0 - accuracy)) / slope, 0.0, 1.0);
    }
    double above_guess(double rate) const {
        return 1.0 / (1.0 + std::exp(std::clamp(-slope * (rate + shift), -50.0, 50.0)));
    }
};
ROARS_FIELDS(ItemResponse, slope, shift, guess)

/// Where a fit of the curve begins, and what it may not leave.
struct ItemResponseFit {
    ItemResponse start{};
    ItemResponse lowest{.slope = 0.1, .shift = -2.0, .guess = 0.0};
    ItemResponse highest{.slope = 50.0, .shift = 2.0, .guess = 0.95};
};
ROARS_FIELDS(ItemResponseFit, start, lowest, highest)

/// How often answers were right at one rate.
struct ResponsePoint {
    double rate = 0.0;
    double accuracy = 0.0;
};

/// What a curve is fitted to: points of equal rate are averaged; where rate 0 or 1 has not been tried, (0, 0) and
/// (1, 1) stand for them. By rate.
inline std::vector<ResponsePoint> response_points(std::span<const ResponsePoint> tried) {
    std::vector<ResponsePoint> sorted(tried.begin(), tried.end()), points;
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const ResponsePoint& a, const ResponsePoint& b) { return a.rate < b.rate; });
    if (sorted.empty() || sorted.front().rate > 0.0) points.push_back({0.0, 0.0});
    for (auto first = sorted.begin(); first != sorted.end();) {
        auto last = std::find_if(first, sorted.end(), [&](const ResponsePoint& p) { return p.rate != first->rate; });
        double sum = 0.0;
        for (auto each = first; each != last; ++each) sum += each->accuracy;
        points.push_back({first->rate, sum / double(last - first)});
        first = last;
    }
    if (points.back().rate < 1.0) points.push_back({1.0, 1.0});
    return points;
}

struct FittedResponse {
    ItemResponse curve;
    double sum_of_squares = 0.0;
};

/// The curve of least squares within the bounds, min sum_j (accuracy(rate_j) - accuracy_j)^2, as the search finds it
/// from where it begins. Errors: bounds that cross, a start outside them.
inline FittedResponse fit_item_response(std::span<const ResponsePoint> points, const ItemResponseFit& fit = {}) {
    using Parameters = std::array<double, 3>;
    auto numbers = [](const ItemResponse& c) { return Parameters{c.slope, c.shift, c.guess}; };
    auto residual = [&](std::int64_t i, const Parameters& x) {
        const ItemResponse curve{x[0], x[1], x[2]};
        const ResponsePoint& point = points[static_cast<std::size_t>(i)];
        const double s = curve.above_guess(point.rate), by_exponent = (1.0 - curve.guess) * s * (1.0 - s);
        return Residual<3>{curve.accuracy(point.rate) - point.accuracy,
                           {by_exponent * (point.rate + curve.shift), by_exponent * curve.slope, 1.0 - s}};
    };
    auto found =
        least_squares<3>(residual, std::ssize(points), numbers(fit.start), numbers(fit.lowest), numbers(fit.highest));
    return {{found.at[0], found.at[1], found.at[2]}, found.sum_of_squares};
}

}  // namespace roars
