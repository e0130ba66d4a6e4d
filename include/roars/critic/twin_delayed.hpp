#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "roars/critic/steps.hpp"
#include "roars/fields.hpp"

namespace roars::critic {

/// TD3: the smaller of two critics at a smoothed action. Source: arXiv 1802.09477, alg. 1.
struct TwinDelayed {
    double gamma = 0.99;
    double sigma = 0.2;
    double noise_clip = 0.5;
    double low = -1.0;
    double high = 1.0;

    /// clamp(policy + clamp(sigma noise, -noise_clip, noise_clip), low, high), noise drawn from N(0, 1). Shapes: all
    /// alike.
    template <class Real>
    void smooth(backend::Host& backend, std::span<const Real> policy_action, std::span<const Real> noise,
                std::span<Real> action) const {
        parallel_for(backend, std::ssize(action), [&](std::int64_t cell) {
            auto i = static_cast<std::size_t>(cell);
            double held = std::clamp(sigma * double(noise[i]), -noise_clip, noise_clip);
            action[i] = static_cast<Real>(std::clamp(double(policy_action[i]) + held, low, high));
        });
    }
    /// y = r + gamma (1 - terminated) min(q1, q2). Shapes: all [rows].
    template <class Real>
    void target(backend::Host& backend, std::span<const Real> reward, std::span<const Real> terminated,
                std::span<const Real> q1, std::span<const Real> q2, std::span<Real> target) const {
        parallel_for(backend, std::ssize(target), [&](std::int64_t row) {
            auto i = static_cast<std::size_t>(row);
            double next = std::min(double(q1[i]), double(q2[i]));
            target[i] = static_cast<Real>(one_step_target(double(reward[i]), gamma, terminated[i] != Real(0), next));
        });
    }
};
ROARS_FIELDS(TwinDelayed, gamma, sigma, noise_clip, low, high)

}  // namespace roars::critic
