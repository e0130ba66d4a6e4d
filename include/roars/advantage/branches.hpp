#pragma once

#include <cstdint>

#include "roars/concepts.hpp"
#include "roars/primitives/segmented_reduce.hpp"

/// Several continuations of one state: a group is a state, its sequences are what follows.
namespace roars::advantage {

/// m(s) = the mean reward of the completions of state s, at the first trainable token of its first completion (where
/// `value` is that of the state), which alone is kept. A state without a completion has no such token. Shapes: reward
/// [sequences] -> returns, keep [tokens].
struct StateMean {
    using needs = columns<col::groups, col::reward>;
    using gives = columns<col::returns, col::keep>;

    static constexpr bool everywhere = true;

    template <class X>
    struct OfState {
        X x;
        const Moments* reward;
        ROARS_FN void operator()(std::int64_t state) const {
            for (std::int64_t i = x[col::groups{}][state]; i < x[col::groups{}][state + 1]; ++i) {
                std::int64_t t = x.first_trainable(i);
                if (t < 0) continue;
                x[col::returns{}][t] = static_cast<typename X::Real>(reward[state].mean);
                x[col::keep{}][t] = 1;
                return;
            }
        }
    };
    template <class RunType, BatchWith<col::groups, col::reward, col::returns, col::keep> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Here = roars::detail::EverywhereOf<RunType>;
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        Here::clear(run.backend, x[col::returns{}], batch.tokens());
        Here::clear(run.backend, x[col::keep{}], batch.tokens());
        roars::detail::ScratchOf<Moments, RunType> states(run.backend, batch.groups());
        Here::group_moments(run.backend, batch, x[col::reward{}], states.data());
        Here::for_each(run.backend, batch.groups(), OfState<decltype(x)>{x, states.data()});
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

    static constexpr bool everywhere = true;

    template <class X>
    struct ActionValue {
        X x;
        double* q;
        ROARS_FN void operator()(std::int64_t i) const {
            const std::int64_t end = x.token_offsets[i + 1];
            bool ends = x.length(i) == 0 || x[col::terminated{}][end - 1] != 0;
            q[i] = double(ends ? x[col::reward{}][i] : x[col::next_value{}][end - 1]);
        }
    };
    template <class X>
    struct OfState {
        X x;
        const double* q;
        const Moments* states;
        double gap;
        ROARS_FN void operator()(std::int64_t state) const {
            using Real = typename X::Real;
            const std::int64_t first = x[col::groups{}][state], last = x[col::groups{}][state + 1];
            if (first == last) return;
            double least = q[first], most = q[first];
            for (std::int64_t i = first; i < last; ++i) {
                least = math::min(least, q[i]);
                most = math::max(most, q[i]);
            }
            for (std::int64_t i = first; i < last; ++i) {
                bool distinct = true;
                for (std::int64_t j = first; j < i; ++j) distinct &= x[col::answer{}][j] != x[col::answer{}][i];
                x[col::sequence_advantage{}][i] =
                    static_cast<Real>(states[state].equal ? 0.0 : q[i] - states[state].mean);
                x[col::selected{}][i] = static_cast<Real>(most - least >= gap && distinct);
            }
        }
    };
    template <class RunType, BatchWith<col::groups, col::reward, col::next_value, col::terminated, col::answer,
                                       col::sequence_advantage, col::selected>
                                 BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Here = roars::detail::EverywhereOf<RunType>;
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        using X = decltype(x);
        roars::detail::ScratchOf<double, RunType> q(run.backend, batch.sequences());
        roars::detail::ScratchOf<Moments, RunType> states(run.backend, batch.groups());
        Here::for_each(run.backend, batch.sequences(), ActionValue<X>{x, q.data()});
        Here::group_moments(run.backend, batch, q.data(), states.data());
        Here::for_each(run.backend, batch.groups(), OfState<X>{x, q.data(), states.data(), gap});
    }
};
ROARS_FIELDS(CandidateSteps, gap)

}  // namespace roars::advantage
