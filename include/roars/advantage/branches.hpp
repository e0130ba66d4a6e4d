#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <unordered_set>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/primitives/broadcast.hpp"
#include "roars/primitives/segmented_reduce.hpp"

/// Several continuations of one state: a group is a state, its sequences are what follows.
namespace roars::advantage {

/// m(s) = the mean reward of the completions of state s, at the first trainable token of its first completion (where
/// `value` is that of the state), which alone is kept. A state without a completion has no such token. Shapes: reward
/// [sequences] -> returns, keep [tokens].
struct StateMean {
    using needs = columns<col::groups, col::reward>;
    using gives = columns<col::returns, col::keep>;

    template <class RunType, BatchWith<col::groups, col::reward, col::returns, col::keep> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        std::span<Real> returns = batch[col::returns{}], keep = batch[col::keep{}];
        std::fill(returns.begin(), returns.end(), Real(0));
        std::fill(keep.begin(), keep.end(), Real(0));
        std::vector<Moments> states(static_cast<std::size_t>(batch.groups()));
        segmented_moments(run.backend, batch[col::groups{}], std::span<const Real>(batch[col::reward{}]),
                          std::span(states));
        Offsets groups = batch[col::groups{}], offsets = batch.token_offsets();
        parallel_for(run.backend, batch.groups(), [&](std::int64_t state) {
            auto g = static_cast<std::size_t>(state);
            auto first = static_cast<std::size_t>(groups[g]), last = static_cast<std::size_t>(groups[g + 1]);
            for (std::int64_t t = offsets[first]; t < offsets[last]; ++t)
                if (roars::detail::trainable<col::mask>(batch, t)) {
                    returns[static_cast<std::size_t>(t)] = static_cast<Real>(states[g].mean);
                    keep[static_cast<std::size_t>(t)] = Real(1);
                    return;
                }
        });
    }
};
ROARS_FIELDS(StateMean)

/// Candidate steps of a state against each other:
///     q_i = reward_i if the response ends with step i (`terminated` at its last token), else next_value there,
///     A_i = q_i - mean of q over all candidates of the state, equal ones counted as often as they were drawn.
/// Selected: the first of equal actions (`answer`), in states with max q - min q >= gap. A candidate without a token
/// counts as ended. Shapes: next_value, terminated [tokens], reward, answer [sequences] -> sequence_advantage, selected
/// [sequences]. Source: arXiv 2412.18279, eq. 13 and section 4.
struct CandidateSteps {
    double gap = 0.1;

    using needs = columns<col::groups, col::reward, col::next_value, col::terminated, col::answer>;
    using gives = columns<col::sequence_advantage, col::selected>;

    template <class RunType, BatchWith<col::groups, col::reward, col::next_value, col::terminated, col::answer,
                                       col::sequence_advantage, col::selected>
                                 BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        std::vector<double> q(static_cast<std::size_t>(batch.sequences()));
        parallel_for(run.backend, batch.sequences(),
                     [&](std::int64_t i) { q[static_cast<std::size_t>(i)] = action_value(batch, i); });
        std::vector<Moments> states(static_cast<std::size_t>(batch.groups()));
        segmented_moments(run.backend, batch[col::groups{}], std::span<const double>(q), std::span(states));
        Offsets groups = batch[col::groups{}];
        parallel_for(run.backend, batch.groups(), [&](std::int64_t state) {
            auto g = static_cast<std::size_t>(state);
            auto first = static_cast<std::size_t>(groups[g]), last = static_cast<std::size_t>(groups[g + 1]);
            auto [least, most] =
                std::minmax_element(q.begin() + std::ptrdiff_t(first), q.begin() + std::ptrdiff_t(last));
            bool worth = first < last && *most - *least >= gap;
            std::unordered_set<std::int32_t> seen;
            for (std::size_t i = first; i < last; ++i) {
                bool distinct = seen.insert(batch[col::answer{}][i]).second;
                batch[col::sequence_advantage{}][i] = static_cast<Real>(states[g].equal ? 0.0 : q[i] - states[g].mean);
                batch[col::selected{}][i] = worth && distinct ? Real(1) : Real(0);
            }
        });
    }

private:
    template <class BatchType>
    static double action_value(const BatchType& batch, std::int64_t sequence) {
        auto i = static_cast<std::size_t>(sequence);
        auto end = static_cast<std::size_t>(batch.token_offsets()[i + 1]);
        bool empty = batch.token_offsets()[i] == batch.token_offsets()[i + 1];
        if (empty || batch[col::terminated{}][end - 1] != 0) return double(batch[col::reward{}][i]);
        return double(batch[col::next_value{}][end - 1]);
    }
};
ROARS_FIELDS(CandidateSteps, gap)

}  // namespace roars::advantage
