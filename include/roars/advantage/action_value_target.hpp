#pragma once

#include <cstddef>
#include <cstdint>

#include "roars/concepts.hpp"
#include "roars/critic/double_q.hpp"
#include "roars/critic/multistep.hpp"
#include "roars/everywhere.hpp"

namespace roars::advantage {

/// Which action of the next state its target network's value is taken of.
namespace choice {
/// The best one by the target network itself: DQN, doi 10.1038/nature14236.
struct Target {
    using needs = columns<col::next_target_values>;
    using By = col::next_target_values;
};
/// The best one by the network that learns: double DQN, arXiv 1509.06461.
struct Online {
    using needs = columns<col::next_target_values, col::next_action_values>;
    using By = col::next_action_values;
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
    static constexpr bool everywhere = true;

    template <class X>
    struct OfStep {
        X x;
        double gamma;
        std::int64_t n;
        ROARS_FN void operator()(std::int64_t sequence, std::int64_t t) const {
            using Real = typename X::Real;
            const std::int64_t end = x.token_offsets[sequence + 1];
            auto reward = [&](std::int64_t s) { return double(x[col::token_reward{}][s]); };
            auto stops = [&](std::int64_t s) { return s + 1 == end || x[col::done{}][s] != Real(0); };
            auto last = [&](std::int64_t s) {
                const std::size_t best = critic::greedy_action<Real>(x.row(typename Choice::By{}, s));
                const double next = double(x.row(col::next_target_values{}, s)[best]);
                return critic::one_step_target(reward(s), gamma, x[col::terminated{}][s] != Real(0), next);
            };
            x[col::returns{}][t] = static_cast<Real>(critic::n_step_return(t, gamma, n, reward, stops, last));
        }
    };
    template <class RunType, class BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        critic::NStep{.gamma = gamma, .n = n}.check();
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each_token(run.backend, batch, OfStep<decltype(x)>{x, gamma, n});
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
    static constexpr bool everywhere = true;

    template <class X>
    struct OfStep {
        X x;
        double gamma;
        ROARS_FN void operator()(std::int64_t t) const {
            using Real = typename X::Real;
            auto next = x.row(col::next_target_quantiles{}, t), to = x.row(col::target_quantiles{}, t);
            std::size_t best = 0;
            double most = 0;
            for (std::size_t at = 0; at + to.size() <= next.size(); at += to.size()) {
                double sum = 0;
                for (std::size_t j = 0; j < to.size(); ++j) sum += double(next[at + j]);
                if (at > 0 && sum <= most) continue;
                most = sum;
                best = at;
            }
            const bool ends = x[col::terminated{}][t] != Real(0);
            for (std::size_t j = 0; j < to.size(); ++j)
                to[j] = static_cast<Real>(
                    critic::one_step_target(double(x[col::token_reward{}][t]), gamma, ends, double(next[best + j])));
        }
    };
    template <class RunType, class BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        const std::int64_t count = batch.width(col::quantiles{});
        if (batch.width(col::target_quantiles{}) != count) batch.set_width(col::target_quantiles{}, count);
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.tokens(), OfStep<decltype(x)>{x, gamma});
    }
};
ROARS_FIELDS(QuantileTarget, gamma)

}  // namespace roars::advantage
