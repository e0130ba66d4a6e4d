#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "roars/critic/rows.hpp"
#include "roars/fields.hpp"
#include "roars/simd.hpp"

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
    ROARS_FN double row_loss(std::span<Real> theta, std::span<Real> y, Set&& set) const {
        auto middle = [&](std::size_t i) { return (double(i) + 0.5) / double(theta.size()); };
        return row_loss(theta, y, middle, std::forward<Set>(set));
    }
    /// The same for quantiles at tau_i = tau_of(i).
    template <class Real, class TauOf, class Set>
    ROARS_FN double row_loss(std::span<Real> theta, std::span<Real> y, TauOf&& tau_of, Set&& set) const {
        using Value = std::remove_const_t<Real>;
        using V = math::Lanes<Value>;
        constexpr std::size_t width = static_cast<std::size_t>(math::lanes<V>);
        const std::size_t whole = y.size() / width * width;
        const double targets = double(std::max<std::size_t>(y.size(), 1));
        double loss = 0.0;
        for (std::size_t i = 0; i < theta.size(); ++i) {
            const double tau = tau_of(i);
            Pair<V> lanes{V(Value(0)), V(Value(0))};
            for (std::size_t j = 0; j < whole; j += width) add(lanes, V(math::load<V>(&y[j]) - V(theta[i])), tau);
            Pair<double> sum{double(math::sum(lanes.loss)), double(math::sum(lanes.slope))};
            for (std::size_t j = whole; j < y.size(); ++j) add(sum, double(y[j]) - double(theta[i]), tau);
            loss += sum.loss / targets;
            set(i, sum.slope / targets);
        }
        return loss;
    }

private:
    /// Of pairs (theta_i, y_j): the loss, and its derivative by theta_i.
    template <class V>
    struct Pair {
        V loss, slope;
    };
    /// Adds those of u = y_j - theta_i.
    template <class V>
    ROARS_FN ROARS_INLINE void add(Pair<V>& sum, const V& u, double tau) const {
        using Real = math::Scalar<V>;
        const V nothing(Real(0)), one(Real(1));
        V weight = math::select(u < nothing, V(static_cast<Real>(1.0 - tau)), V(static_cast<Real>(tau)));
        if (kappa > 0.0) {
            const V half(static_cast<Real>(0.5 * kappa)), size(static_cast<Real>(kappa));
            V held = math::select(u != u, u, math::clamp(V(u / size), -one, one));
            sum.loss = sum.loss + weight * held * (u - half * held);
            sum.slope = sum.slope - weight * held;
        } else {
            V sign = math::select(u > nothing, one, math::select(u < nothing, -one, nothing));
            sum.loss = sum.loss + weight * math::abs(u);
            sum.slope = sum.slope - weight * sign;
        }
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
