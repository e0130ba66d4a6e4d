#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "roars/critic/rows.hpp"
#include "roars/fields.hpp"

namespace roars::critic {

/// A critic of N quantiles theta_i of the return, at tau_i = (i + 1/2) / N, from targets y_j:
///     mean over rows of sum_i mean_j |tau_i - [y_j < theta_i]| huber(y_j - theta_i) / kappa,
/// huber(u) = u^2 / 2 if |u| <= kappa, else kappa (|u| - kappa / 2); kappa = 0 is the limit, |u|. grad = its derivative
/// by theta. Shapes: theta, grad [rows, N], y [rows, targets]. Source: QR-DQN, arXiv 1710.10044, eq. 10.
struct QuantileHuber {
    double kappa = 1.0;

    template <class Real>
    double loss(backend::Host& backend, Rows<const Real> theta, Rows<const Real> y, Rows<Real> grad) const {
        double rows = double(theta.count()), quantiles = double(theta.width), targets = double(y.width);
        return mean_of(backend, theta.count(), [&](std::int64_t row) {
            double loss = 0.0;
            for (std::size_t i = 0; i < theta[row].size(); ++i) {
                double tau = (double(i) + 0.5) / quantiles, slope = 0.0;
                for (Real target : y[row]) {
                    double u = double(target) - double(theta[row][i]), held = slope_of(u);
                    double weight = std::abs(tau - double(u < 0.0)) / targets;
                    loss += weight * (kappa > 0.0 ? held * (u - 0.5 * kappa * held) : std::abs(u));
                    slope -= weight * held;
                }
                grad[row][i] = static_cast<Real>(slope / rows);
            }
            return loss;
        });
    }

private:
    /// d (huber(u) / kappa) / du
    double slope_of(double u) const {
        return kappa > 0.0 ? std::clamp(u / kappa, -1.0, 1.0) : double(u > 0.0) - double(u < 0.0);
    }
};
ROARS_FIELDS(QuantileHuber, kappa)

}  // namespace roars::critic
