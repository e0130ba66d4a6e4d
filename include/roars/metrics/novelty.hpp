#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "roars/error.hpp"
#include "roars/primitives/segments.hpp"

namespace roars::metrics {

/// How much likelier training has made each answer: its ratio, the mean and the median of all (NaN of none), and how
/// many are above each of the thresholds.
struct Novelty {
    static constexpr std::array<double, 3> thresholds{2, 10, 100};
    std::vector<double> ratio;
    double mean = std::numeric_limits<double>::quiet_NaN();
    double median = std::numeric_limits<double>::quiet_NaN();
    std::array<std::int64_t, 3> above{};
};

/// ratio_i = exp(mean over its tokens of logp_after - logp_before), 1 without a token: of answers of the trained
/// policy, those that the start would hardly have given have a large one. Shapes: logp_before, logp_after [tokens].
/// Source: RuscaRL, arXiv 2508.16949.
template <class Real>
Novelty novelty(Offsets sequences, std::span<const Real> logp_before, std::span<const Real> logp_after) {
    const std::int64_t tokens = sequences.empty() ? 0 : sequences.back();
    roars::detail::expect_size("logp_before", logp_before.size(), tokens);
    roars::detail::expect_size("logp_after", logp_after.size(), tokens);
    Novelty found;
    for (std::size_t i = 0; i + 1 < sequences.size(); ++i) {
        double sum = 0.0;
        for (auto t = static_cast<std::size_t>(sequences[i]); t < static_cast<std::size_t>(sequences[i + 1]); ++t)
            sum += double(logp_after[t]) - double(logp_before[t]);
        const std::int64_t length = sequences[i + 1] - sequences[i];
        found.ratio.push_back(length > 0 ? std::exp(sum / double(length)) : 1.0);
    }
    if (found.ratio.empty()) return found;
    std::vector<double> sorted = found.ratio;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t half = sorted.size() / 2;
    found.median = sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
    found.mean = std::accumulate(sorted.begin(), sorted.end(), 0.0) / double(sorted.size());
    for (std::size_t k = 0; k < found.above.size(); ++k)
        found.above[k] =
            std::count_if(sorted.begin(), sorted.end(), [&](double x) { return x > Novelty::thresholds[k]; });
    return found;
}

}  // namespace roars::metrics
