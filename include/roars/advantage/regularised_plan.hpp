#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/critic/soft_planning.hpp"

namespace roars::advantage {

/// What was seen of a finite problem, and what is known of it.
struct RegularisedPlanState {
    FiniteHorizon shape{};
    std::vector<double> counts;             ///< of transitions, [horizon, states, actions, states]
    std::vector<double> reward, reference;  ///< [horizon, states, actions]
    critic::OptimisticPlan plan;            ///< of these; empty before the first batch

    ROARS_MEMBERS(RegularisedPlanState, counts)
};

/// A plan against a reference policy: transitions are counted, and OptimisticPlanning in their model says for every
/// state of every step what to do. With a batch of no episode it plans from nothing, the first policy. A token is a
/// step, its place in the sequence the step's number. Shapes: state, next_state [tokens] (numbers of states), token
/// [tokens], problem_shape [3], known_reward, reference_policy [horizon, states, actions]. Source: arXiv 2310.17303.
struct RegularisedPlan {
    critic::OptimisticPlanning planning{};

    using needs =
        columns<col::state, col::token, col::next_state, col::problem_shape, col::known_reward, col::reference_policy>;
    using State = RegularisedPlanState;

    template <class RunType, class BatchType>
    void learn(RunType& run, State& own, const BatchType& batch) const {
        own.shape = FiniteHorizon::of("regularised plan", batch[col::problem_shape{}]);
        own.reward.assign(batch[col::known_reward{}].begin(), batch[col::known_reward{}].end());
        own.reference.assign(batch[col::reference_policy{}].begin(), batch[col::reference_policy{}].end());
        own.counts.resize(own.shape.transitions());
        count(own, batch);
        own.plan = planning.plan(run.backend, own.shape, own.counts, own.reward, own.reference);
    }
    template <class RunType, class BatchType>
    void estimate(RunType&, State&, BatchType&) const {}

    /// What the learning is for: the plan in the model that was seen, without a bonus. Shapes: [horizon, states,
    /// actions].
    std::vector<double> output(backend::Host& backend, const State& own) const {
        return critic::SoftPlanning{planning.kl_coefficient}
            .plan(backend, own.shape, critic::empirical_model(own.shape, own.counts), own.reward, own.reference)
            .policy;
    }

private:
    template <class BatchType>
    static void count(State& own, const BatchType& batch) {
        const FiniteHorizon& shape = own.shape;
        auto offsets = batch.token_offsets();
        for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
            expect(offsets[i + 1] - offsets[i] <= shape.horizon, [&] {
                return "regularised plan: an episode of " + std::to_string(offsets[i + 1] - offsets[i]) +
                       " steps, expected at most " + std::to_string(shape.horizon);
            });
            for (std::int64_t t = offsets[i]; t < offsets[i + 1]; ++t) {
                const auto at = static_cast<std::size_t>(t);
                const auto s = static_cast<std::int64_t>(batch[col::state{}][at]),
                           to = static_cast<std::int64_t>(batch[col::next_state{}][at]),
                           a = std::int64_t(batch[col::token{}][at]);
                expect(s >= 0 && s < shape.states && to >= 0 && to < shape.states && a >= 0 && a < shape.actions, [&] {
                    return "regularised plan: step " + std::to_string(t - offsets[i]) + " of episode " +
                           std::to_string(i) + " goes from state " + std::to_string(s) + " by action " +
                           std::to_string(a) + " to state " + std::to_string(to) + ", expected states below " +
                           std::to_string(shape.states) + " and actions below " + std::to_string(shape.actions);
                });
                own.counts[shape.at(t - offsets[i], s, a, to)] += 1.0;
            }
        }
    }
};
ROARS_FIELDS(RegularisedPlan, planning)

}  // namespace roars::advantage
