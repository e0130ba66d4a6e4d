#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/critic/rows.hpp"
#include "roars/fields.hpp"

/// Penalties on action values that the data does not support. Source: CQL, arXiv 2006.04779, eq. 4.
namespace roars::critic {

/// mean over rows of (log sum_a exp q(s, a) - q(s, a_data)); grad = its derivative by q. A forbidden action has q =
/// -inf. Shapes: q, grad [rows, actions], action [rows].
template <class Real, class Index>
double conservative_penalty(backend::Host& backend, Rows<const Real> q, std::span<Index> action, Rows<Real> grad) {
    double rows = double(q.count());
    return mean_of(backend, q.count(), [&](std::int64_t i) {
        double normaliser = log_sum_exp(q[i]);
        auto taken = static_cast<std::size_t>(action[std::size_t(i)]);
        for (std::size_t a = 0; a < q[i].size(); ++a)
            grad[i][a] = static_cast<Real>((probability(double(q[i][a]), normaliser) - double(a == taken)) / rows);
        return normaliser - double(q[i][taken]);
    });
}

/// The same from sampled actions: mean over rows of t log sum_j exp(q_j / t - log density_j) - q_data, t = temperature;
/// no term for the number of samples. As a Lagrangian: alpha (penalty - threshold), alpha raised where it is positive.
struct SampledConservative {
    double temperature = 1.0;
    double alpha = 5.0;
    double threshold = 0.0;

    /// The penalty; grad = its derivative by q (by q_data it is -1 / rows). Shapes: q, log_density, grad [rows,
    /// samples], q_data [rows].
    template <class Real>
    double penalty(backend::Host& backend, Rows<const Real> q, Rows<const Real> log_density,
                   std::span<const Real> q_data, Rows<Real> grad) const {
        double rows = double(q.count());
        return mean_of(backend, q.count(), [&](std::int64_t i) {
            std::vector<double> z(q[i].size());
            for (std::size_t j = 0; j < z.size(); ++j) z[j] = double(q[i][j]) / temperature - double(log_density[i][j]);
            double normaliser = log_sum_exp(std::span<const double>(z));
            for (std::size_t j = 0; j < z.size(); ++j)
                grad[i][j] = static_cast<Real>(probability(z[j], normaliser) / rows);
            return temperature * normaliser - double(q_data[std::size_t(i)]);
        });
    }
    double lagrangian(double penalty) const { return alpha * (penalty - threshold); }
};
ROARS_FIELDS(SampledConservative, temperature, alpha, threshold)

/// The same, but a sampled action is never pushed below what a reference policy is known to reach from the state:
/// max(q_j, floor_j) stands in the place of q_j, without a slope where the floor is the larger. As floor the return
/// that followed in the data, for actions of the policy; -inf for actions drawn at random. Source: Cal-QL, arXiv
/// 2303.05479.
struct CalibratedConservative {
    SampledConservative rule{};

    /// Shapes: q, floor, log_density, grad [rows, samples], q_data [rows].
    template <class Real>
    double penalty(backend::Host& backend, Rows<const Real> q, Rows<const Real> floor, Rows<const Real> log_density,
                   std::span<const Real> q_data, Rows<Real> grad) const {
        roars::detail::expect_size("floor", floor.values.size(), std::ssize(q.values));
        std::vector<Real> held(q.values.begin(), q.values.end());
        for (std::size_t i = 0; i < held.size(); ++i) held[i] = std::max(held[i], floor.values[i]);
        double value = rule.penalty(backend, Rows<const Real>{held, q.width}, log_density, q_data, grad);
        for (std::size_t i = 0; i < held.size(); ++i)
            if (q.values[i] < floor.values[i]) grad.values[i] = Real(0);
        return value;
    }
};
ROARS_FIELDS(CalibratedConservative, rule)

}  // namespace roars::critic
