#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "roars/error.hpp"

/// How good an estimator of progress is, and how much of what an agent does is carried out at all.
namespace roars::metrics {

struct PredictionError {
    double mean_absolute = 0.0;  ///< mean |predicted - outcome|
    double near = 0.0;           ///< share of trajectories with |predicted - outcome| <= within
};

/// Shapes: both [trajectories]; 0 of none. Source: SPA-RL, arXiv 2505.20732.
inline PredictionError prediction_error(std::span<const double> predicted, std::span<const double> outcome,
                                        double within = 0.1) {
    expect(predicted.size() == outcome.size(), [&] {
        return "prediction error: " + std::to_string(predicted.size()) + " predictions of " +
               std::to_string(outcome.size()) + " outcomes, expected one of each";
    });
    PredictionError error;
    const auto n = static_cast<double>(outcome.size());
    for (std::size_t i = 0; i < outcome.size(); ++i) {
        const double apart = std::abs(predicted[i] - outcome[i]);
        error.mean_absolute += apart / n;
        error.near += apart <= within ? 1.0 / n : 0.0;
    }
    return error;
}

/// The share of steps whose action the environment carried out; 0 of none. Shapes: executed [steps].
template <class Real>
double grounding_accuracy(std::span<Real> executed) {
    std::int64_t carried_out = 0;
    for (Real each : executed) carried_out += each != Real(0);
    return executed.empty() ? 0.0 : static_cast<double>(carried_out) / static_cast<double>(executed.size());
}

}  // namespace roars::metrics
