#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/primitives/item_response.hpp"
#include "roars/sampler/groups.hpp"

/// Rollouts that go on from a hint, the beginning of a known solution. Of the source they ask
///     draw_prompts(run, count)           numbers of prompts,
///     solution_length(prompt)            tokens,
///     complete_solutions(run, batch, prompts, given, completions, generation):
/// `completions` answers to each prompt behind the first given[k] tokens of its solution, a group a prompt; the hint
/// is in the sequence, with external = 1 and mask = 0.
namespace roars::sampler {

template <class RunType, class Source, class BatchType>
concept GivesHints = requires(RunType& run, Source& source, BatchType& batch, std::span<const std::int64_t> numbers) {
    source.complete_solutions(run, batch, numbers, numbers, 1, Generation{});
};

/// How many tokens of a solution a rate shows: floor(rate tokens + 1/2), but one at least is left to generate.
inline std::int64_t hint_length(double rate, std::int64_t tokens) {
    auto length = static_cast<std::int64_t>(std::floor(rate * double(tokens) + 0.5));
    return std::clamp<std::int64_t>(length, 0, std::max<std::int64_t>(tokens - 1, 0));
}
/// The rate of the longest hint.
inline double longest_hint(std::int64_t tokens) { return tokens > 0 ? double(tokens - 1) / double(tokens) : 0.0; }

/// The hint rate that each prompt is to begin with, below 0 for one that was never seen; and the rollouts spent.
struct HintRates {
    std::vector<double> rate;
    std::int64_t rollouts = 0;
};
ROARS_FIELDS(HintRates, rate, rollouts)

/// `rounds` rounds of `completions` answers to each of `prompts` prompts, all of one prompt a group, round behind
/// round. The first round's hint is the one that the prompt's last visit ended with, the longest at first. Before every
/// other one a curve of accuracy by hint rate is fitted to what the rounds of this step have shown, and the hint is the
/// one at which it expects `target`; fitted once more behind the last round it is remembered. Right means an outcome
/// above 0.5. `shown_rate`: the curve sees the rate that was really shown, tokens being whole; else the one that was
/// wished for. Source: SEELE, arXiv 2509.06923.
struct FittedHints {
    std::int64_t prompts = 32;
    std::int64_t rounds = 4;
    std::int64_t completions = 8;
    double target = 0.5;
    bool shown_rate = true;
    ItemResponseFit fit{};
    Generation generation{};

    using needs = columns<col::groups, col::outcome, col::external>;
    using State = HintRates;
    template <class RunType, class Source, class BatchType>
    static constexpr bool draws_from = GivesHints<RunType, Source, BatchType>;

    /// The rate to show next, of a solution of that many tokens.
    double next_rate(std::span<const ResponsePoint> tried, std::int64_t tokens) const {
        const auto points = response_points(tried);
        return std::min(fit_item_response(points, fit).curve.rate(target), longest_hint(tokens));
    }

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        expect(rounds >= 1 && completions >= 1, [&] {
            return "fitted hints: " + std::to_string(rounds) + " rounds of " + std::to_string(completions) +
                   " completions, expected 1 or more of each";
        });
        const std::vector<std::int64_t> numbers = source.draw_prompts(run, prompts);
        std::vector<std::vector<ResponsePoint>> tried(numbers.size());
        std::vector<std::int64_t> given(numbers.size());
        std::vector<BatchType> drawn(static_cast<std::size_t>(rounds));
        for (BatchType& round : drawn) {
            for (std::size_t k = 0; k < numbers.size(); ++k) {
                const std::int64_t tokens = source.solution_length(numbers[k]);
                const double rate =
                    tried[k].empty() ? first_rate(state, numbers[k], tokens) : next_rate(tried[k], tokens);
                given[k] = hint_length(rate, tokens);
                const double shown = tokens > 0 ? double(given[k]) / double(tokens) : 0.0;
                tried[k].push_back({shown_rate ? shown : rate, 0.0});
            }
            source.complete_solutions(run, round, std::span<const std::int64_t>(numbers),
                                      std::span<const std::int64_t>(given), completions, generation);
            for (std::size_t k = 0; k < numbers.size(); ++k) tried[k].back().accuracy = share_right(round, k);
            state.rollouts += round.sequences();
        }
        for (std::size_t k = 0; k < numbers.size(); ++k)
            remembered(state, numbers[k]) = next_rate(tried[k], source.solution_length(numbers[k]));
        batch = side_by_side(drawn);
        score(batch);
    }

private:
    static double& remembered(State& state, std::int64_t prompt) {
        const auto at = static_cast<std::size_t>(prompt);
        if (at >= state.rate.size()) state.rate.resize(at + 1, -1.0);
        return state.rate[at];
    }
    static double first_rate(State& state, std::int64_t prompt, std::int64_t tokens) {
        const double rate = remembered(state, prompt);
        return rate < 0.0 ? longest_hint(tokens) : rate;
    }
    template <class BatchType>
    static double share_right(const BatchType& batch, std::size_t group) {
        const std::int64_t first = batch[col::groups{}][group], last = batch[col::groups{}][group + 1];
        std::int64_t right = 0;
        for (std::int64_t i = first; i < last; ++i) right += batch[col::outcome{}][static_cast<std::size_t>(i)] > 0.5;
        return double(right) / double(last - first);
    }
    /// Group g of all rounds as one group.
    template <class BatchType>
    static BatchType side_by_side(const std::vector<BatchType>& rounds) {
        BatchType whole;
        std::vector<std::int64_t> groups{0};
        for (std::int64_t g = 0; g < rounds.front().groups(); ++g) {
            for (const BatchType& round : rounds) whole.append(round.slice_groups(g, g + 1));
            groups.push_back(whole.sequences());
        }
        whole.set_offsets(col::groups{}, groups);
        return whole;
    }
};
ROARS_FIELDS(FittedHints, prompts, rounds, completions, target, shown_rate, fit, generation)

/// group_size answers to each of `prompts` prompts, all behind hints of one rate, which goes from `first` to `last` in
/// a straight line over the run: hints that fade away, or stay.
struct ScheduledHints {
    std::int64_t prompts = 32;
    std::int64_t group_size = 8;
    double first = 1.0;
    double last = 0.0;
    Generation generation{};

    using needs = columns<col::groups, col::external>;
    using State = Spent;
    template <class RunType, class Source, class BatchType>
    static constexpr bool draws_from = GivesHints<RunType, Source, BatchType>;

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        const std::vector<std::int64_t> numbers = source.draw_prompts(run, prompts);
        const double rate = first + (last - first) * run.progress.fraction();
        std::vector<std::int64_t> given;
        for (std::int64_t number : numbers) given.push_back(hint_length(rate, source.solution_length(number)));
        source.complete_solutions(run, batch, std::span<const std::int64_t>(numbers),
                                  std::span<const std::int64_t>(given), group_size, generation);
        score(batch);
        state.rollouts += batch.sequences();
    }
};
ROARS_FIELDS(ScheduledHints, prompts, group_size, first, last, generation)

}  // namespace roars::sampler
