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
#include "roars/primitives/segmented_scan.hpp"

/// How good the behaviour in a data set is, how well an algorithm did on it, and whether the two go together. Source: A
/// Dataset Perspective on Offline RL, arXiv 2111.04714.
namespace roars::metrics {

/// g = sum_t gamma^t r_t of each complete trajectory, in order; t begins again at 0 behind a row that is done. What
/// comes behind the last such row belongs to no trajectory. gamma = 1 is the plain return. Shapes: reward, done [rows].
inline std::vector<double> trajectory_returns(backend::Host& backend, std::span<const double> reward,
                                              std::span<const double> done, double gamma) {
    roars::detail::expect_size("done", done.size(), std::ssize(reward));
    std::vector<std::int64_t> offsets{0};
    for (std::size_t t = 0; t < done.size(); ++t)
        if (done[t] != 0.0) offsets.push_back(static_cast<std::int64_t>(t) + 1);
    std::vector<double> to_go(static_cast<std::size_t>(offsets.back())), returns;
    segmented_affine_backward(
        backend, offsets,
        [&](std::int64_t t) {
            return Affine<double>{gamma, reward[static_cast<std::size_t>(t)]};
        },
        [&](std::int64_t t, double value) { to_go[static_cast<std::size_t>(t)] = value; });
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) returns.push_back(to_go[static_cast<std::size_t>(offsets[i])]);
    return returns;
}

/// Trajectory quality: (mean return - low) / (high - low), low that of a uniformly random policy, high that of the best
/// one an online run has found, with the same gamma. Not held within [0, 1]. NaN where undefined: no return, high =
/// low.
inline double trajectory_quality(backend::Host& backend, std::span<const double> returns, double low, double high) {
    double spread = high - low;
    if (returns.empty() || spread == 0.0) return std::numeric_limits<double>::quiet_NaN();
    return (moments(backend, returns).mean - low) / spread;
}

/// What an algorithm reached on a data set: (max over checkpoints of the mean over runs of the return - random) /
/// (online - random). NaN where undefined: nothing evaluated, online = random. Shapes: returns [checkpoints, runs].
inline double study_score(backend::Host& backend, std::span<const double> returns, std::int64_t runs, double random,
                          double online) {
    expect(runs >= 1 && std::ssize(returns) % runs == 0, [&] {
        return "study score: " + std::to_string(returns.size()) + " returns of " + std::to_string(runs) +
               " runs, expected as many at every checkpoint";
    });
    if (returns.empty() || online == random) return std::numeric_limits<double>::quiet_NaN();
    double best = -std::numeric_limits<double>::infinity();
    for (std::size_t at = 0; at < returns.size(); at += static_cast<std::size_t>(runs))
        best = std::max(best, moments(backend, returns.subspan(at, static_cast<std::size_t>(runs))).mean);
    return (best - random) / (online - random);
}

/// Pearson's correlation. NaN where undefined: fewer than two pairs, or a series of equal numbers. Shapes: x, y
/// [pairs].
inline double correlation(backend::Host& backend, std::span<const double> x, std::span<const double> y) {
    roars::detail::expect_size("y", y.size(), std::ssize(x));
    Moments first = moments(backend, x), second = moments(backend, y);
    if (first.equal || second.equal) return std::numeric_limits<double>::quiet_NaN();
    double together = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) together += (x[i] - first.mean) * (y[i] - second.mean);
    return together / (std::sqrt(first.m2) * std::sqrt(second.m2));
}

}  // namespace roars::metrics
