#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/critic/double_q.hpp"
#include "roars/critic/multistep.hpp"

namespace roars::advantage {

/// Which action of the next state its target network's value is taken of.
namespace choice {
/// The best one by the target network itself: DQN, doi 10.1038/nature14236.
struct Target {
    using needs = columns<col::next_target_values>;
    template <class BatchType>
    static auto values(const BatchType& batch) {
        return batch[col::next_target_values{}];
    }
};
/// The best one by the network that learns: double DQN, arXiv 1509.06461.
struct Online {
    using needs = columns<col::next_target_values, col::next_action_values>;
    template <class BatchType>
    static auto values(const BatchType& batch) {
        return batch[col::next_action_values{}];
    }
};
ROARS_FIELDS(Target)
ROARS_FIELDS(Online)
}  // namespace choice

/// returns_t = sum_{k < m} gamma^k r_{t+k} + gamma^m (1 - terminated) q_target(s', a*) of step t + m - 1, a* by Choice,
/// m <= n: fewer where an episode ends or the sequence does. Shapes: action values [steps x actions], all others
/// [steps]. n = 1 is Q-learning's target; more steps: Rainbow, arXiv 1710.02298.
template <class Choice = choice::Target>
struct ActionValueTarget {
    double gamma = 0.99;
    std::int64_t n = 1;

    using needs = unite_t<columns<col::token_reward, col::terminated, col::done>, needs_of<Choice>>;
    using gives = columns<col::returns>;

    template <class RunType, class BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        if (batch.tokens() == 0) return;
        const auto& read = std::as_const(batch);
        // The best value as a one-step target without reward and discount.
        std::vector<Real> none(static_cast<std::size_t>(batch.tokens()), Real(0)), next(none.size());
        const std::int64_t actions = batch.width(col::next_target_values{});
        critic::DoubleQ{.gamma = 1.0}.target(
            run.backend, std::span<const Real>(none), std::span<const Real>(read[col::terminated{}]),
            critic::Rows<const Real>{Choice::values(read), actions},
            critic::Rows<const Real>{read[col::next_target_values{}], actions}, std::span<Real>(next));
        critic::Steps<Real> steps{batch.token_offsets(), read[col::token_reward{}], next, read[col::terminated{}],
                                  read[col::done{}]};
        critic::NStep{.gamma = gamma, .n = n}.target(run.backend, steps, batch[col::returns{}]);
    }
};
template <class Choice>
ROARS_FIELDS_OF((ActionValueTarget<Choice>), gamma, n)

/// y_j = r + gamma (1 - terminated) theta_j(s', a*), a* the action of the largest mean, all by the target network.
/// Shapes: next_target_quantiles [rows x actions x N] -> target_quantiles [rows x N], N the width of quantiles. Source:
/// QR-DQN, arXiv 1710.10044, alg. 1.
struct QuantileTarget {
    double gamma = 0.99;

    using needs = columns<col::token_reward, col::terminated, col::quantiles, col::next_target_quantiles>;
    using gives = columns<col::target_quantiles>;

    template <class RunType, class BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        const std::int64_t count = batch.width(col::quantiles{}),
                           actions = batch.width(col::next_target_quantiles{}) / count;
        if (batch.width(col::target_quantiles{}) != count) batch.set_width(col::target_quantiles{}, count);
        parallel_for(run.backend, batch.tokens(), [&](std::int64_t t) {
            auto i = static_cast<std::size_t>(t);
            auto next = batch.row(col::next_target_quantiles{}, t), to = batch.row(col::target_quantiles{}, t);
            std::size_t best = 0;
            double most = 0;
            for (std::int64_t a = 0; a < actions; ++a) {
                double sum = 0;
                for (std::int64_t j = 0; j < count; ++j) sum += double(next[static_cast<std::size_t>(a * count + j)]);
                if (a == 0 || sum > most) {
                    most = sum;
                    best = static_cast<std::size_t>(a * count);
                }
            }
            bool ends = batch[col::terminated{}][i] != Real(0);
            for (std::size_t j = 0; j < to.size(); ++j)
                to[j] = static_cast<Real>(critic::one_step_target(double(batch[col::token_reward{}][i]), gamma, ends,
                                                                  double(next[best + j])));
        });
    }
};
ROARS_FIELDS(QuantileTarget, gamma)

}  // namespace roars::advantage
