#pragma once

#include <tuple>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/critic/steps.hpp"
#include "roars/critic/value_loss.hpp"
#include "roars/primitives/segmented_scan.hpp"

namespace roars::advantage {

/// Generalised advantage estimation over an environment's steps, backwards through each stream:
///     delta_t = r_t + gamma (1 - terminated_t) next_value_t - value_t,
///     A_t = delta_t + gamma lambda (1 - done_t) A_{t+1}, 0 behind the last step;   returns = A + value.
/// A termination drops next_value, a cut keeps it. The critic's loss on the returns is part of the objective. Shapes:
/// all [steps]. Source: arXiv 1506.02438, eq. 16.
template <class Critic = critic::None>
struct Gae {
    double gamma = 0.99;
    double lambda = 0.95;
    Critic critic{};

    using needs = columns<col::token_reward, col::value, col::next_value, col::terminated, col::done>;
    using gives = columns<col::advantage, col::returns>;

    template <class RunType, BatchWith<col::token_reward, col::value, col::next_value, col::terminated, col::done,
                                       col::advantage, col::returns>
                                 BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        auto steps = critic::steps_of(batch);
        std::span<const Real> value = batch[col::value{}];
        std::span<Real> advantage = batch[col::advantage{}], returns = batch[col::returns{}];
        segmented_affine_backward(
            run.backend, steps.offsets,
            [&](std::int64_t t) {
                double delta = steps.bootstrapped(t, gamma) - double(value[static_cast<std::size_t>(t)]);
                return Affine<double>{steps.cut(t) ? 0.0 : gamma * lambda, delta};
            },
            [&](std::int64_t t, double sum) {
                auto i = static_cast<std::size_t>(t);
                advantage[i] = static_cast<Real>(sum);
                returns[i] = static_cast<Real>(sum + double(value[i]));
            });
    }
    std::tuple<Critic> terms(const NoState&) const requires TokenTerm<Critic> { return {critic}; }
};
template <class Critic>
ROARS_FIELDS_OF((Gae<Critic>), gamma, lambda, critic)

}  // namespace roars::advantage
