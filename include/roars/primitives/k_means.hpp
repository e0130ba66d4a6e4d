#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/error.hpp"

namespace roars {

/// Clusters of numbers: label_i is the cluster of x_i; a cluster may be empty.
struct Clusters {
    std::vector<std::int64_t> label;
    std::vector<double> centroid;
    double inertia = 0.0;  ///< sum (x - centroid)^2

    std::vector<std::int64_t> sizes() const {
        std::vector<std::int64_t> count(centroid.size());
        for (std::int64_t j : label) ++count[static_cast<std::size_t>(j)];
        return count;
    }
};

/// k-means of numbers, the same on every machine: k = min(clusters, m) for m distinct numbers; centroid j starts at the
/// distinct number floor((2 j + 1) m / (2 k)) in increasing order, so that one that comes often is not several starts;
/// Lloyd's steps until no centroid moves, at most max_iterations. The nearest centroid, the lower one of two; an empty
/// cluster keeps its centroid. Shapes: x [n] -> label [n], centroid [k]. Errors: no cluster asked for; a number that is
/// not finite. Source: SnapshotRL, arXiv 2403.00673, with starts that need no random numbers.
template <class Real>
Clusters k_means(std::span<Real> x, std::int64_t clusters, std::int64_t max_iterations = 100) {
    expect(clusters >= 1, [&] { return "k-means: " + std::to_string(clusters) + " clusters, expected 1 or more"; });
    for (std::size_t i = 0; i < x.size(); ++i)
        expect(std::isfinite(double(x[i])), [&] {
            return "k-means: number " + std::to_string(i) + " is " + std::to_string(double(x[i])) +
                   ", expected a finite one";
        });
    std::vector<double> distinct(x.begin(), x.end());
    std::sort(distinct.begin(), distinct.end());
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    auto m = std::ssize(distinct), k = std::min<std::int64_t>(clusters, m);
    Clusters found{std::vector<std::int64_t>(x.size()), {}};
    for (std::int64_t j = 0; j < k; ++j)
        found.centroid.push_back(distinct[static_cast<std::size_t>((2 * j + 1) * m / (2 * k))]);

    auto assign = [&] {
        found.inertia = 0.0;
        for (std::size_t i = 0; i < x.size(); ++i) {
            auto distance = [&](std::size_t j) { return std::abs(double(x[i]) - found.centroid[j]); };
            std::size_t nearest = 0;
            for (std::size_t j = 1; j < found.centroid.size(); ++j)
                if (distance(j) < distance(nearest)) nearest = j;
            found.label[i] = static_cast<std::int64_t>(nearest);
            found.inertia += distance(nearest) * distance(nearest);
        }
    };
    assign();
    for (std::int64_t iteration = 0; iteration < max_iterations; ++iteration) {
        std::vector<double> sum(found.centroid.size());
        std::vector<std::int64_t> count = found.sizes();
        for (std::size_t i = 0; i < x.size(); ++i) sum[static_cast<std::size_t>(found.label[i])] += double(x[i]);
        bool moved = false;
        for (std::size_t j = 0; j < sum.size(); ++j) {
            if (count[j] == 0) continue;
            double mean = sum[j] / double(count[j]);
            moved = moved || mean != found.centroid[j];
            found.centroid[j] = mean;
        }
        if (!moved) break;
        assign();
    }
    return found;
}

}  // namespace roars
