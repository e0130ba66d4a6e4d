#pragma once

#include <cmath>

#include "roars/config.hpp"

/// x = tanh(u), u ~ N(mean, std^2): a bounded action of one dimension. Everything is said of u, which stays finite
/// where x is +-1.
namespace roars {

/// log(1 - tanh(u)^2) = 2 (log 2 - |u| - log(1 + e^(-2 |u|))), the logarithm of dx / du.
template <class Real>
ROARS_FN Real log_tanh_slope(Real u) {
    Real size = std::abs(u);
    return Real(2) * (static_cast<Real>(0.6931471805599453) - size - std::log1p(std::exp(Real(-2) * size)));
}

/// log p(x), x = tanh(mean + std noise): log N(u; mean, std) - log(1 - x^2).
ROARS_FN inline double log_tanh_normal(double u, double noise, double log_std) {
    return -0.5 * noise * noise - log_std - 0.9189385332046727 - log_tanh_slope(u);
}

/// u = mean + e^log_std noise with the noise held fixed, and how x and log p(x) move with mean and log_std.
struct TanhNormalDraw {
    double x, log_density;
    double x_by_mean, x_by_log_std;
    double log_density_by_mean, log_density_by_log_std;
};
ROARS_FN inline TanhNormalDraw draw_tanh_normal(double mean, double log_std, double noise) {
    double moved = std::exp(log_std) * noise, u = mean + moved, x = std::tanh(u);
    double slope = std::exp(log_tanh_slope(u));
    return {x, log_tanh_normal(u, noise, log_std), slope, slope * moved, 2.0 * x, 2.0 * x * moved - 1.0};
}

}  // namespace roars
