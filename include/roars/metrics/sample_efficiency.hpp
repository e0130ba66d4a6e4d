#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "roars/primitives/segmented_reduce.hpp"

namespace roars::metrics {

/// The area under a curve of evaluations at even distances: their mean; NaN of none. Source: SnapshotRL, arXiv
/// 2403.00673.
inline double curve_area(std::span<const double> evaluation) {
    if (evaluation.empty()) return std::numeric_limits<double>::quiet_NaN();
    double sum = 0.0;
    for (double each : evaluation) sum += each;
    return sum / double(evaluation.size());
}
/// The first step whose evaluation reaches the threshold; inf if none does. Shapes: steps, evaluation [checkpoints].
inline double steps_to_threshold(std::span<const std::int64_t> steps, std::span<const double> evaluation,
                                 double threshold) {
    roars::detail::expect_size("steps", steps.size(), std::ssize(evaluation));
    for (std::size_t i = 0; i < evaluation.size(); ++i)
        if (evaluation[i] >= threshold) return double(steps[i]);
    return std::numeric_limits<double>::infinity();
}
/// (area - baseline) / |baseline|; NaN where the baseline is 0.
inline double relative_gain(double area, double baseline) {
    return baseline == 0.0 ? std::numeric_limits<double>::quiet_NaN() : (area - baseline) / std::abs(baseline);
}

}  // namespace roars::metrics
