#pragma once

#include <span>

#include "roars/config.hpp"

/// What the clip alone does to a policy whose reward is noise (arXiv 2507.10532, appendix; arXiv 2506.10947).
namespace roars::metrics {

/// mu = mean(max(A, 0)) of a sample of zero-mean advantages; 0 for an empty sample.
inline double mean_positive_part(std::span<const double> advantage) {
    if (advantage.empty()) return 0.0;
    double sum = 0;
    for (double a : advantage) sum += a > 0 ? a : 0.0;
    return sum / static_cast<double>(advantage.size());
}

/// G in E[gradient of the clipped surrogate] = G(ratio) * d ratio under a random advantage:
/// +mu below 1 - clip_low, -mu above 1 + clip_high, 0 between (bounds included).
ROARS_FN inline double clip_bias(double ratio, double mu, double clip_low = 0.2, double clip_high = 0.2) {
    if (ratio < 1.0 - clip_low) return mu;
    return ratio > 1.0 + clip_high ? -mu : 0.0;
}

/// Whether a token of old probability `p_old` can exceed the upper clip at all; where not, it is only ever pushed up.
ROARS_FN inline bool upper_clip_reachable(double p_old, double clip_high = 0.2) {
    return p_old * (1.0 + clip_high) < 1.0;
}

}  // namespace roars::metrics
