#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/critic/rows.hpp"
#include "roars/primitives/sphere.hpp"

/// A reward that is a vector: the task z for which a trained forward-backward model already holds a policy. Source:
/// arXiv 2103.07945; arXiv 2508.16496, eq. 5.
namespace roars::reward {

/// z = sqrt(d) normalise((1/n) sum_i reward_i B(s_i)) over n labelled states; 0 where nothing is rewarded, or nothing
/// is labelled. Shapes: backward [n, d], reward [n] -> [d].
template <class Real>
std::vector<Real> task_of_rewards(backend::Host& backend, critic::Rows<const Real> backward,
                                  std::span<const Real> reward) {
    roars::detail::expect_size("reward", reward.size(), backward.count());
    std::vector<double> mean(static_cast<std::size_t>(backward.width));
    for (std::size_t j = 0; j < mean.size(); ++j)
        mean[j] = critic::mean_of(backend, backward.count(), [&](std::int64_t i) {
            return double(reward[static_cast<std::size_t>(i)]) * double(backward[i][j]);
        });
    std::vector<Real> task(mean.size());
    to_sphere(std::span<const double>(mean), std::span(task));
    return task;
}

/// z = sqrt(d) normalise(B(goal)): to be there. Shapes: backward [d] -> [d].
template <class Real>
std::vector<Real> task_of_goal(std::span<const Real> backward) {
    std::vector<Real> task(backward.size());
    to_sphere(backward, std::span(task));
    return task;
}

}  // namespace roars::reward
