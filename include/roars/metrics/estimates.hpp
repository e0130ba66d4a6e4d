#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "roars/error.hpp"
#include "roars/primitives/segmented_reduce.hpp"

/// Numbers that tell how an experiment goes, from plain spans.
namespace roars::metrics {

/// The chance that k of n samples, c of them right, hold a right one: 1 - C(n - c, k) / C(n, k), 1 where n - c < k.
/// Unbiased. Errors: k above n (n samples cannot tell), c above n. Source: arXiv 2107.03374, eq. 1.
inline double pass_at_k(std::int64_t samples, std::int64_t correct, std::int64_t k) {
    expect(0 <= correct && correct <= samples && 0 <= k && k <= samples, [&] {
        return "pass@k: " + std::to_string(correct) + " right ones and k = " + std::to_string(k) + " of " +
               std::to_string(samples) + " samples, expected neither below 0 nor above the samples";
    });
    if (samples - correct < k) return 1.0;
    double none = 1.0;  // C(n-c, k) / C(n, k) = prod_{i < k} (n-c-i) / (n-i), a product that is symmetric in c and k
    for (std::int64_t i = 0; i < std::min(correct, k); ++i)
        none *= static_cast<double>(samples - std::max(correct, k) - i) / static_cast<double>(samples - i);
    return 1.0 - none;
}

/// What the mean of pass@k over problems cannot exceed: 1 - ((1 - mean rho)^2 + var rho)^(k/2), rho = correct / samples
/// of a problem, population variance, for k >= 2. 0 of no problem. Source: arXiv 2505.24864, appendix.
inline double pass_at_k_bound(std::int64_t samples, std::span<const std::int64_t> correct, std::int64_t k) {
    if (correct.empty()) return 0.0;
    Moments all;
    for (std::int64_t c : correct)
        all = combine(all, {1, static_cast<double>(c) / static_cast<double>(samples), 0.0, true});
    double wrong = 1.0 - all.mean;
    return 1.0 - std::pow(wrong * wrong + all.variance(0), 0.5 * static_cast<double>(k));
}

/// A mean, and of how many numbers: 0 of none.
struct CountedMean {
    double mean = 0.0;
    std::int64_t count = 0;
};

/// The mean of the numbers with mask != 0; what stands at the others does not matter. Shapes: x, mask [n].
template <class Real, class Flag>
CountedMean masked_mean(backend::Host& backend, std::span<Real> x, std::span<Flag> mask) {
    Moments all = moments(backend, x, mask);
    return {all.mean, all.count};
}

/// 1 - var(returns - value) / var(returns), population variances; NaN where the returns are all equal.
template <class Real>
double explained_variance(backend::Host& backend, std::span<Real> returns, std::span<Real> value) {
    roars::detail::expect_size("value", value.size(), std::ssize(returns));
    std::vector<double> rest(returns.size());
    for (std::size_t i = 0; i < rest.size(); ++i)
        rest[i] = static_cast<double>(returns[i]) - static_cast<double>(value[i]);
    double variance = moments(backend, returns).variance(0);
    if (variance == 0.0) return std::numeric_limits<double>::quiet_NaN();
    return 1.0 - moments(backend, std::span<const double>(rest)).variance(0) / variance;
}

/// The share of the samples that importance weights leave: (sum w)^2 / (n sum w^2); 0 where all are 0.
template <class Real>
double effective_sample_size(std::span<Real> weight) {
    double sum = 0, squares = 0;
    for (Real w : weight) {
        sum += static_cast<double>(w);
        squares += static_cast<double>(w) * static_cast<double>(w);
    }
    return squares > 0 ? sum * sum / (static_cast<double>(weight.size()) * squares) : 0.0;
}

/// The share of trainable tokens whose ratio exp(logp - logp_old) is outside [1 - low, 1 + high]. Shapes: [tokens].
template <class Real>
CountedMean outside_clip(std::span<Real> logp, std::span<Real> logp_old, std::span<Real> mask, double low,
                         double high) {
    roars::detail::expect_size("logp_old", logp_old.size(), std::ssize(logp));
    roars::detail::expect_mask(mask, logp.size());
    std::int64_t outside = 0, count = 0;
    for (std::size_t t = 0; t < logp.size(); ++t) {
        if (!mask.empty() && mask[t] == 0) continue;
        double ratio = std::exp(static_cast<double>(logp[t]) - static_cast<double>(logp_old[t]));
        outside += ratio < 1.0 - low || ratio > 1.0 + high;
        ++count;
    }
    return {count > 0 ? static_cast<double>(outside) / static_cast<double>(count) : 0.0, count};
}

/// The share of trainable tokens that the clip holds, so that they give no gradient: ratio above 1 + high with A > 0,
/// or below 1 - low with A < 0. Of PPO's surrogate, arXiv 1707.06347. Shapes: all [tokens].
template <class Real>
CountedMean held_by_clip(std::span<Real> logp, std::span<Real> logp_old, std::span<Real> advantage,
                         std::span<Real> mask, double low, double high) {
    roars::detail::expect_size("logp_old", logp_old.size(), std::ssize(logp));
    roars::detail::expect_size("advantage", advantage.size(), std::ssize(logp));
    roars::detail::expect_mask(mask, logp.size());
    std::int64_t held = 0, count = 0;
    for (std::size_t t = 0; t < logp.size(); ++t) {
        if (!mask.empty() && mask[t] == 0) continue;
        double ratio = std::exp(static_cast<double>(logp[t]) - static_cast<double>(logp_old[t]));
        held += advantage[t] > 0 ? ratio > 1.0 + high : advantage[t] < 0 && ratio < 1.0 - low;
        ++count;
    }
    return {count > 0 ? static_cast<double>(held) / static_cast<double>(count) : 0.0, count};
}

}  // namespace roars::metrics
