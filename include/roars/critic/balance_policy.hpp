#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include "roars/critic/rows.hpp"
#include "roars/fields.hpp"
#include "roars/primitives/tanh_normal.hpp"
#include "roars/sampler/balance.hpp"

namespace roars::critic {

/// A policy that chooses the balance b of each state by climbing the critic through the policy that reads b, which
/// stays as it is:
///     mean(T log p(x) - q(b)),  x = tanh(mean + e^log_std noise), b = range(x), T = temperature, a constant.
/// log p is the density of x, not of b. The temperature learns T (entropy - target_entropy) by its logarithm. Source:
/// FamO2O, arXiv 2310.17966, section 4.2, and its released code (the paper has T = 0).
struct BalancePolicy {
    sampler::BalanceRange range{};
    double target_entropy = -0.5;

    /// b, and the logarithm of the density of x. Shapes: all [rows].
    template <class Real>
    void draw(backend::Host& backend, std::span<const Real> mean, std::span<const Real> log_std,
              std::span<const Real> noise, std::span<Real> balance, std::span<Real> logp) const {
        parallel_for(backend, std::ssize(balance), [&](std::int64_t row) {
            auto i = static_cast<std::size_t>(row);
            TanhNormalDraw drawn = draw_tanh_normal(double(mean[i]), double(log_std[i]), double(noise[i]));
            balance[i] = static_cast<Real>(range.from_action(drawn.x));
            logp[i] = static_cast<Real>(drawn.log_density);
        });
    }
    /// The loss; writes its derivatives by mean and log_std. q_by_balance: d q / d b. Shapes: all [rows].
    template <class Real>
    double loss(backend::Host& backend, double temperature, std::span<const Real> mean, std::span<const Real> log_std,
                std::span<const Real> noise, std::span<const Real> q, std::span<const Real> q_by_balance,
                std::span<Real> grad_mean, std::span<Real> grad_log_std) const {
        double rows = double(std::ssize(q));
        return mean_of(backend, std::ssize(q), [&](std::int64_t row) {
            auto i = static_cast<std::size_t>(row);
            TanhNormalDraw drawn = draw_tanh_normal(double(mean[i]), double(log_std[i]), double(noise[i]));
            double climb = range.slope() * double(q_by_balance[i]);
            grad_mean[i] =
                static_cast<Real>((temperature * drawn.log_density_by_mean - climb * drawn.x_by_mean) / rows);
            grad_log_std[i] =
                static_cast<Real>((temperature * drawn.log_density_by_log_std - climb * drawn.x_by_log_std) / rows);
            return temperature * drawn.log_density - double(q[i]);
        });
    }
    /// -mean log p.
    template <class Real>
    double entropy(backend::Host& backend, std::span<const Real> logp) const {
        return -mean_of(backend, std::ssize(logp), [&](std::int64_t i) { return double(logp[std::size_t(i)]); });
    }
    /// T (entropy - target_entropy), the entropy a constant: also its derivative by log T.
    double temperature_loss(double temperature, double entropy) const {
        return temperature * (entropy - target_entropy);
    }
};
ROARS_FIELDS(BalancePolicy, range, target_entropy)

}  // namespace roars::critic
