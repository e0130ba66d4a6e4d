#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "roars/error.hpp"

/// Problems by how well the starting policy does on them, and how many of each kind a set of a wanted mixture takes.
/// Source: arXiv 2510.11701; the rule of the quotas is reconstructed.
namespace roars::sampler {

inline constexpr std::int64_t difficulty_bins = 3;

/// 0 hard: accuracy <= 0.25; 2 easy: >= 0.75; 1 between; -1 for always or never right, where nothing can be learnt.
inline std::int64_t difficulty_bin(double accuracy) {
    if (accuracy <= 0 || accuracy >= 1) return -1;
    return accuracy <= 0.25 ? 0 : accuracy >= 0.75 ? 2 : 1;
}

struct Quotas {
    std::int64_t total = 0;  ///< the quotas' may be fewer, as each is rounded down
    std::vector<std::int64_t> quota;
};

/// The largest total N with floor(N target_b) <= available_b wherever target_b > 0; quota_b = floor(N target_b). A
/// wanted bin without a problem makes it 0 (ask for none of it instead), and so does no wish at all. Shapes: available,
/// target [bins]. Errors: sizes that differ.
inline Quotas histogram_quotas(std::span<const std::int64_t> available, std::span<const double> target) {
    expect(target.size() == available.size(), [&] {
        return "histogram: " + std::to_string(target.size()) + " targets for " + std::to_string(available.size()) +
               " bins, expected one for each";
    });
    auto fits = [&](std::int64_t total) {
        for (std::size_t b = 0; b < target.size(); ++b)
            if (target[b] > 0 && std::floor(double(total) * target[b]) > double(available[b])) return false;
        return true;
    };
    Quotas quotas{0, std::vector<std::int64_t>(target.size(), 0)};
    double bound = std::numeric_limits<double>::infinity();  // what fits is an interval from 0 to about this
    for (std::size_t b = 0; b < target.size(); ++b) {
        if (!(target[b] > 0)) continue;
        if (available[b] == 0) return quotas;
        bound = std::min(bound, (double(available[b]) + 1.0) / target[b]);
    }
    if (std::isinf(bound)) return quotas;
    quotas.total = static_cast<std::int64_t>(std::floor(bound)) + 1;
    while (quotas.total > 0 && !fits(quotas.total)) --quotas.total;
    for (std::size_t b = 0; b < target.size(); ++b)
        if (target[b] > 0) quotas.quota[b] = static_cast<std::int64_t>(std::floor(double(quotas.total) * target[b]));
    return quotas;
}

}  // namespace roars::sampler
