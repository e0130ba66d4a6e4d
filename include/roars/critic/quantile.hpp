#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

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
        const double rows = double(theta.count());
        return mean_of(backend, theta.count(), [&](std::int64_t row) {
            return row_loss(theta[row], y[row],
                            [&](std::size_t i, double slope) { grad[row][i] = static_cast<Real>(slope / rows); });
        });
    }
    /// The loss of one row; set(i, slope) is told its derivative by theta_i.
    template <class Real, class Set>
    double row_loss(std::span<Real> theta, std::span<Real> y, Set&& set) const {
        auto middle = [&](std::size_t i) { return (double(i) + 0.5) / double(theta.size()); };
        return row_loss(theta, y, middle, std::forward<Set>(set));
    }
    /// The same for quantiles at tau_i = tau_of(i).
    template <class Real, class TauOf, class Set>
    double row_loss(std::span<Real> theta, std::span<Real> y, TauOf&& tau_of, Set&& set) const {
        double loss = 0.0;
        for (std::size_t i = 0; i < theta.size(); ++i) {
            double tau = tau_of(i), slope = 0.0;
            for (Real target : y) {
                double u = double(target) - double(theta[i]), held = slope_of(u);
                double weight = std::abs(tau - double(u < 0.0)) / double(y.size());
                loss += weight * (kappa > 0.0 ? held * (u - 0.5 * kappa * held) : std::abs(u));
                slope -= weight * held;
            }
            set(i, slope);
        }
        return loss;
    }

private:
    /// d (huber(u) / kappa) / du
    double slope_of(double u) const {
        return kappa > 0.0 ? std::clamp(u / kappa, -1.0, 1.0) : double(u > 0.0) - double(u < 0.0);
    }
};
ROARS_FIELDS(QuantileHuber, kappa)

/// Quantiles at fractions tau that are drawn anew for each row, uniform in (0, 1), from targets y_j at other drawn
/// fractions: QuantileHuber with tau_i in the place of the fixed ones. network::ImplicitQuantiles is their critic.
/// Shapes: theta, tau, grad [rows, N], y [rows, targets]. Source: IQN, arXiv 1806.06923, eq. 3 and 4.
struct ImplicitQuantile {
    QuantileHuber rule{};

    template <class Real>
    double loss(backend::Host& backend, Rows<const Real> theta, Rows<const Real> tau, Rows<const Real> y,
                Rows<Real> grad) const {
        roars::detail::expect_size("tau", tau.values.size(), std::ssize(theta.values));
        roars::detail::expect_size("grad", grad.values.size(), std::ssize(theta.values));
        const double rows = double(theta.count());
        return mean_of(backend, theta.count(), [&](std::int64_t row) {
            return rule.row_loss(
                theta[row], y[row], [&](std::size_t i) { return double(tau[row][i]); },
                [&](std::size_t i, double slope) { grad[row][i] = static_cast<Real>(slope / rows); });
        });
    }
};
ROARS_FIELDS(ImplicitQuantile, rule)

}  // namespace roars::critic
