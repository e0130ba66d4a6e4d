#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "roars/metrics/estimates.hpp"

namespace roars::metrics {

/// What a policy would earn, from the rows of another one: ratio = min(e^(logp - logp_behaviour), cap),
///     estimate_m = sum ratio reward_m / sum ratio,
/// NaN where all ratios are 0: there it is undefined. effective_rows = (sum ratio)^2 / sum ratio^2, 0 there.
struct CappedEstimate {
    std::vector<double> ratio, estimate;
    double effective_rows = 0.0;
};

/// Normalised capped importance sampling. An action that the policy forbids has ratio 0, and its reward is not read.
/// Shapes: logp, logp_behaviour [rows], reward [rows, responses]. Source: Zou et al. 2019 and TSCAC, arXiv 2302.01680.
template <class Real>
CappedEstimate capped_importance_sampling(std::span<const Real> logp, std::span<const Real> logp_behaviour,
                                          std::span<const Real> reward, std::int64_t responses, double cap = 10.0) {
    roars::detail::expect_size("logp_behaviour", logp_behaviour.size(), std::ssize(logp));
    roars::detail::expect_size("reward", reward.size(), std::ssize(logp) * responses);
    CappedEstimate found;
    double sum = 0.0;
    for (std::size_t i = 0; i < logp.size(); ++i) {
        bool forbidden = logp[i] == -std::numeric_limits<Real>::infinity();
        found.ratio.push_back(forbidden ? 0.0 : std::min(std::exp(double(logp[i]) - double(logp_behaviour[i])), cap));
        sum += found.ratio.back();
    }
    for (std::size_t m = 0; m < std::size_t(responses); ++m) {
        double earned = 0.0;
        for (std::size_t i = 0; i < logp.size(); ++i)
            if (found.ratio[i] != 0.0) earned += found.ratio[i] * double(reward[i * std::size_t(responses) + m]);
        found.estimate.push_back(sum > 0.0 ? earned / sum : std::numeric_limits<double>::quiet_NaN());
    }
    found.effective_rows = double(logp.size()) * effective_sample_size(std::span<const double>(found.ratio));
    return found;
}

}  // namespace roars::metrics
