#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "roars/critic/rows.hpp"

/// Closeness to several frozen policies at once, each with a multiplier lambda_i >= 0 of KL(policy || policy_i). A
/// multiplier of 0 leaves its policy out. Lambda = their sum, w_i = lambda_i / Lambda. Source: TSCAC, arXiv 2302.01680,
/// section 4.2.
namespace roars::regularizer {

/// Lambda. Errors: a negative multiplier, or none above 0.
inline double total_multiplier(std::span<const double> multiplier) {
    for (double lambda : multiplier)
        expect(lambda >= 0.0 && std::isfinite(lambda),
               [&] { return "multipliers: one is " + std::to_string(lambda) + ", expected finite numbers from 0 on"; });
    double total = std::accumulate(multiplier.begin(), multiplier.end(), 0.0);
    expect(total > 0.0, "multipliers: their sum is 0, expected one above 0");
    return total;
}

/// sum_i w_i logp_i, the logarithm of the policies' weighted geometric mean; -inf where one that counts forbids the
/// action. Shapes: logp, multiplier [policies].
template <class Real>
ROARS_FN double log_geometric_mean(const Real* logp, const double* multiplier, std::size_t policies, double total) {
    double sum = 0.0;
    for (std::size_t i = 0; i < policies; ++i) {
        if (multiplier[i] == 0.0) continue;
        if (logp[i] == -std::numeric_limits<Real>::infinity()) return -std::numeric_limits<double>::infinity();
        sum += multiplier[i] / total * double(logp[i]);
    }
    return sum;
}

/// The policy that maximises E[advantage] - sum_i lambda_i KL(policy || policy_i) over the actions of one state:
///     log policy(a) = sum_i w_i log policy_i(a) + advantage(a) / Lambda - log Z.
/// Any Lambda > 0, however small: it tends to the best action that all allow. Shapes: logp [policies, actions],
/// multiplier [policies], advantage, policy [actions]. Errors: no action that all policies allow; an advantage of +inf
/// or NaN there.
template <class Real>
void closest_policy(critic::Rows<const Real> logp, std::span<const double> multiplier, std::span<const Real> advantage,
                    std::span<Real> policy) {
    roars::detail::expect_size("logp", logp.values.size(), std::ssize(multiplier) * std::ssize(advantage));
    roars::detail::expect_size("policy", policy.size(), std::ssize(advantage));
    constexpr double forbidden = -std::numeric_limits<double>::infinity();
    double total = total_multiplier(multiplier);
    std::vector<double> score(advantage.size());
    std::vector<Real> column(multiplier.size());
    for (std::size_t a = 0; a < advantage.size(); ++a) {
        for (std::size_t i = 0; i < column.size(); ++i) column[i] = logp[static_cast<std::int64_t>(i)][a];
        score[a] = log_geometric_mean(column.data(), multiplier.data(), multiplier.size(), total);
        if (score[a] == forbidden) continue;
        expect(double(advantage[a]) < std::numeric_limits<double>::infinity(), [&] {
            return "advantage of action " + std::to_string(a) + " is " + std::to_string(double(advantage[a])) +
                   ", expected less than infinity";
        });
        score[a] += double(advantage[a]) / total;
    }
    double normaliser = critic::log_sum_exp(std::span<const double>(score));
    expect(normaliser != forbidden, "no action that all policies allow, expected one or more");
    for (std::size_t a = 0; a < policy.size(); ++a)
        policy[a] = static_cast<Real>(critic::probability(score[a], normaliser));
}

/// sum_a p log(p / q): 0 where p is 0, inf where only q is 0. Shapes: p, log_q [actions].
template <class Real>
double divergence_from(std::span<const Real> p, std::span<const Real> log_q) {
    roars::detail::expect_size("log_q", log_q.size(), std::ssize(p));
    double sum = 0.0;
    for (std::size_t a = 0; a < p.size(); ++a)
        if (p[a] > Real(0)) sum += double(p[a]) * (std::log(double(p[a])) - double(log_q[a]));
    return sum;
}

}  // namespace roars::regularizer
