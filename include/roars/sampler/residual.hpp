#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/critic/rows.hpp"
#include "roars/fields.hpp"

/// A small correction on top of the action of any other policy, the base, which is only asked for its actions. Actions
/// are normalised to [-1, 1] in every dimension. Source: ResFiT, arXiv 2509.19301.
namespace roars::sampler {

/// residual = clip(action_scale tanh_mean + clip(std noise, +-noise_clip), -1 + 1e-6, 1 - 1e-6),
/// executed = clip(base + progress residual, -1, 1), progress = min(1, step / progressive_steps), 1 where that is 0.
/// With tanh_mean = noise = 0 the executed action is the base's, bit for bit. What is stored is the executed one.
struct ResidualAction {
    double action_scale = 0.2;
    double std = 0.05;
    double noise_clip = 0.3;
    double warmup_scale = 0.2;
    std::int64_t progressive_steps = 0;

    double progress(std::int64_t step) const {
        return progressive_steps > 0 ? std::min(1.0, double(step) / double(progressive_steps)) : 1.0;
    }
    /// Shapes: all alike. tanh_mean: the network's output behind its tanh; noise from N(0, 1).
    template <class Real>
    void residual(backend::Host& backend, std::span<const Real> tanh_mean, std::span<const Real> noise,
                  std::span<Real> residual) const {
        constexpr double edge = 1.0 - 1e-6;
        parallel_for(backend, std::ssize(residual), [&](std::int64_t cell) {
            auto i = static_cast<std::size_t>(cell);
            double jitter = std::clamp(std * double(noise[i]), -noise_clip, noise_clip);
            residual[i] = static_cast<Real>(std::clamp(action_scale * double(tanh_mean[i]) + jitter, -edge, edge));
        });
    }
    template <class Real>
    void execute(backend::Host& backend, std::int64_t step, std::span<const Real> base, std::span<const Real> residual,
                 std::span<Real> executed) const {
        double share = progress(step);
        parallel_for(backend, std::ssize(executed), [&](std::int64_t cell) {
            auto i = static_cast<std::size_t>(cell);
            executed[i] = static_cast<Real>(std::clamp(double(base[i]) + share * double(residual[i]), -1.0, 1.0));
        });
    }
    /// Before anything is learnt: clip(base + warmup_scale (2 uniform - 1), -1, 1).
    template <class Real>
    void warm_up(backend::Host& backend, std::span<const Real> base, std::span<const Real> uniform,
                 std::span<Real> executed) const {
        parallel_for(backend, std::ssize(executed), [&](std::int64_t cell) {
            auto i = static_cast<std::size_t>(cell);
            double moved = double(base[i]) + warmup_scale * (2.0 * double(uniform[i]) - 1.0);
            executed[i] = static_cast<Real>(std::clamp(moved, -1.0, 1.0));
        });
    }
};
ROARS_FIELDS(ResidualAction, action_scale, std, noise_clip, warmup_scale, progressive_steps)

/// What -1 and 1 stand for in each dimension of an environment's action.
struct ActionRange {
    std::vector<double> low, high;

    /// low + (action + 1) / 2 (high - low), row by row. Shapes: normalised, action [rows, width].
    template <class Real>
    void to_environment(critic::Rows<const Real> normalised, critic::Rows<Real> action) const {
        check(normalised.width);
        for (std::int64_t i = 0; i < action.count(); ++i)
            for (std::size_t d = 0; d < low.size(); ++d)
                action[i][d] = static_cast<Real>(low[d] + 0.5 * (double(normalised[i][d]) + 1.0) * (high[d] - low[d]));
    }
    /// The way back, clipped to [-1, 1].
    template <class Real>
    void from_environment(critic::Rows<const Real> action, critic::Rows<Real> normalised) const {
        check(action.width);
        for (std::int64_t i = 0; i < action.count(); ++i)
            for (std::size_t d = 0; d < low.size(); ++d) {
                double place = 2.0 * (double(action[i][d]) - low[d]) / (high[d] - low[d]) - 1.0;
                normalised[i][d] = static_cast<Real>(std::clamp(place, -1.0, 1.0));
            }
    }

private:
    void check(std::int64_t width) const {
        expect(width == std::ssize(low) && low.size() == high.size(), [&] {
            return "action range: actions have " + std::to_string(width) + " dimensions, the range " +
                   std::to_string(low.size()) + " and " + std::to_string(high.size());
        });
    }
};

/// The range of demonstrations, at least `floor` wide in each dimension, around its middle. Errors: no demonstration.
template <class Real>
ActionRange action_range(critic::Rows<const Real> action, double floor = 0.1) {
    expect(action.count() > 0, "action range: no demonstration, expected one row or more");
    ActionRange range;
    for (std::size_t d = 0; d < std::size_t(action.width); ++d) {
        double low = double(action[0][d]), high = low;
        for (std::int64_t i = 1; i < action.count(); ++i) {
            low = std::min(low, double(action[i][d]));
            high = std::max(high, double(action[i][d]));
        }
        double missing = std::max(0.0, floor - (high - low));
        range.low.push_back(low - 0.5 * missing);
        range.high.push_back(high + 0.5 * missing);
    }
    return range;
}

/// The transitions of one demonstration of L frames, t = 0 .. L - 2: reward and terminated are 1 where t + 1 is the
/// last frame, else 0; residual = demonstrated - base action. A demonstration of one frame has none. Shapes:
/// demonstrated, base [frames, width]; residual [L - 1, width], reward, terminated [L - 1].
template <class Real>
struct DemonstrationRows {
    std::vector<Real> residual, reward, terminated;
};
template <class Real>
DemonstrationRows<Real> demonstration_rows(critic::Rows<const Real> demonstrated, critic::Rows<const Real> base) {
    expect(demonstrated.width == base.width && demonstrated.count() == base.count(),
           "demonstration: expected an action of the base for every frame, of the same dimensions");
    std::int64_t rows = std::max<std::int64_t>(0, demonstrated.count() - 1);
    DemonstrationRows<Real> found;
    found.reward.assign(std::size_t(rows), Real(0));
    if (rows > 0) found.reward.back() = Real(1);
    found.terminated = found.reward;
    for (std::size_t i = 0; i < std::size_t(rows * base.width); ++i)
        found.residual.push_back(demonstrated.values[i] - base.values[i]);
    return found;
}

}  // namespace roars::sampler
