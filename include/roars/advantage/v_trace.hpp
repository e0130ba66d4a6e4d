#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/critic/steps.hpp"
#include "roars/critic/value_loss.hpp"
#include "roars/primitives/segmented_scan.hpp"
#include "roars/simd.hpp"

namespace roars::advantage {

/// V-trace, for steps drawn by another policy than the one that learns; rho_t = exp(logp - logp_old):
///     delta_t = min(rho_clip, rho_t) (r_t + gamma (1 - terminated_t) next_value_t - value_t),
///     e_t = delta_t + gamma lambda (1 - done_t) min(c_clip, rho_t) e_{t+1},   returns = value + e,
///     A_t = min(policy_rho_clip, rho_t) (r_t + gamma (1 - terminated_t) q_t - value_t),
/// q_t = next_value_t where a step is done or the stream's last, else lambda returns_{t+1} + (1 - lambda) next_value_t.
/// On-policy, with all clips and lambda 1, A = e = GAE(1). Shapes: all [steps]. Source: IMPALA, arXiv 1802.01561,
/// eq. 1.
template <class Critic = critic::None>
struct VTrace {
    double gamma = 0.99;
    double lambda = 1.0;
    double rho_clip = 1.0;
    double c_clip = 1.0;
    double policy_rho_clip = 1.0;
    Critic critic{};

    using needs =
        columns<col::token_reward, col::value, col::next_value, col::terminated, col::done, col::logp, col::logp_old>;
    using gives = columns<col::advantage, col::returns>;

    template <class RunType, BatchWith<col::token_reward, col::value, col::next_value, col::terminated, col::done,
                                       col::logp, col::logp_old, col::advantage, col::returns>
                                 BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        auto steps = critic::steps_of(batch);
        std::span<const Real> value = batch[col::value{}], logp = batch[col::logp{}], old = batch[col::logp_old{}];
        std::vector<Real> ratio = ratios(run.backend, logp, old);
        std::vector<double> target(value.size());
        segmented_affine_backward(
            run.backend, steps.offsets,
            [&](std::int64_t t) {
                auto i = static_cast<std::size_t>(t);
                double rho = double(ratio[i]), delta = steps.bootstrapped(t, gamma) - double(value[i]);
                double carry = steps.cut(t) ? 0.0 : gamma * lambda * std::min(c_clip, rho);
                return Affine<double>{carry, std::min(rho_clip, rho) * delta};
            },
            [&](std::int64_t t, double error) {
                auto i = static_cast<std::size_t>(t);
                target[i] = double(value[i]) + error;
                batch[col::returns{}][i] = static_cast<Real>(target[i]);
            });
        std::vector<char> cut = critic::cuts_of(run.backend, steps);
        parallel_for(run.backend, batch.tokens(), [&](std::int64_t t) {
            auto i = static_cast<std::size_t>(t);
            double own = steps.ends(t) ? 0.0 : double(steps.next_value[i]);
            double q = cut[i] || steps.ends(t) ? own : lambda * target[i + 1] + (1.0 - lambda) * own;
            double error = steps.target(t, gamma, q) - double(value[i]);
            batch[col::advantage{}][i] = static_cast<Real>(std::min(policy_rho_clip, double(ratio[i])) * error);
        });
    }
    std::tuple<Critic> terms(const NoState&) const requires TokenTerm<Critic> { return {critic}; }

private:
    /// exp(logp - logp_old), in lanes. Shapes: [steps].
    template <class Real>
    static std::vector<Real> ratios(backend::Host& backend, std::span<const Real> logp, std::span<const Real> old) {
        using V = math::Lanes<Real>;
        constexpr std::int64_t width = math::lanes<V>;
        std::vector<Real> ratio(logp.size());
        parallel_pieces(backend, std::ssize(logp), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
            std::int64_t i = begin;
            for (; i + width <= end; i += width)
                math::store(&ratio[std::size_t(i)],
                            math::exp(math::load<V>(&logp[std::size_t(i)]) - math::load<V>(&old[std::size_t(i)])));
            for (; i < end; ++i) ratio[std::size_t(i)] = math::exp(logp[std::size_t(i)] - old[std::size_t(i)]);
        });
        return ratio;
    }
};
template <class Critic>
ROARS_FIELDS_OF((VTrace<Critic>), gamma, lambda, rho_clip, c_clip, policy_rho_clip, critic)

}  // namespace roars::advantage
