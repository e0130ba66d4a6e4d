#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/primitives/sampling.hpp"

/// Branching at states that lie within a solution.
namespace roars::sampler {

/// `count` of the outcomes (all where there are fewer), right and wrong ones (outcome > 0.5, or not) as evenly as there
/// are of each, the first of each kind, in their order; an odd one more is right. Shapes: outcome [solutions] ->
/// indices.
template <class Real>
std::vector<std::int64_t> balanced(std::span<Real> outcome, std::int64_t count) {
    std::int64_t right = std::count_if(outcome.begin(), outcome.end(), [](Real x) { return x > Real(0.5); });
    std::int64_t wrong = std::ssize(outcome) - right;
    std::int64_t want_right = std::min(right, std::max((count + 1) / 2, count - wrong));
    std::int64_t want_wrong = std::min(wrong, count - want_right);
    std::vector<std::int64_t> kept;
    for (std::int64_t i = 0; i < std::ssize(outcome); ++i) {
        std::int64_t& want = outcome[static_cast<std::size_t>(i)] > Real(0.5) ? want_right : want_wrong;
        if (want-- > 0) kept.push_back(i);
    }
    return kept;
}

/// `states` states from solutions of the policy (of `solutions` to a problem the `kept` most balanced ones), with
/// `completions` completions of each to the end: a group is a state, its sequences are the completions. Asks of the
/// source complete_states(run, batch, states, completions, solutions, kept, generation).
struct StateCompletions {
    std::int64_t states = 512;
    std::int64_t completions = 16;
    std::int64_t solutions = 32;
    std::int64_t kept = 6;
    Generation generation{};

    using needs = columns<col::groups>;
    template <class RunType, class Source, class BatchType>
    static constexpr bool draws_from = requires(RunType& run, Source& source, BatchType& batch) {
        source.complete_states(run, batch, 1, 1, 1, 1, Generation{});
    };

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, NoState&, Source& source, BatchType& batch, Score&& score) const {
        source.complete_states(run, batch, states, completions, solutions, kept, generation);
        score(batch);
    }
};
ROARS_FIELDS(StateCompletions, states, completions, solutions, kept, generation)

/// The same, of each completion the first step alone: candidate actions of the state, equal ones of equal `answer`, the
/// critic's value behind each as next_value. Asks of the source
/// candidate_steps(run, batch, states, completions, solutions, kept, generation).
struct CandidateSteps {
    std::int64_t states = 512;
    std::int64_t completions = 16;
    std::int64_t solutions = 32;
    std::int64_t kept = 6;
    Generation generation{};

    using needs = columns<col::groups>;
    template <class RunType, class Source, class BatchType>
    static constexpr bool draws_from = requires(RunType& run, Source& source, BatchType& batch) {
        source.candidate_steps(run, batch, 1, 1, 1, 1, Generation{});
    };

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, NoState&, Source& source, BatchType& batch, Score&& score) const {
        source.candidate_steps(run, batch, states, completions, solutions, kept, generation);
        score(batch);
    }
};
ROARS_FIELDS(CandidateSteps, states, completions, solutions, kept, generation)

}  // namespace roars::sampler
