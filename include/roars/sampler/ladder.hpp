#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/primitives/sampling.hpp"

namespace roars::sampler {

/// How hard an item is for the policy that tried it.
struct Rung {
    double difficulty = 0;  ///< 1 - right / attempts
    double complexity = 0;  ///< mean length of the attempts; one that did not end counts in full
};

/// Of `right` right ones of so many attempts, and the lengths of all of them. Shapes: lengths [attempts]; may be empty.
template <class Number>
Rung rung(double right, double attempts, std::span<Number> lengths) {
    Rung rung;
    if (attempts > 0) rung.difficulty = 1.0 - right / attempts;
    for (Number length : lengths) rung.complexity += double(length);  // one rounding: equal means are equal
    if (!lengths.empty()) rung.complexity /= double(lengths.size());
    return rung;
}

/// Items from easy to hard, and from short to long among those of equal difficulty; equal ones keep their order. What
/// was always right and is shorter than min_complexity is dropped. Shapes: rungs [items] -> numbers of items.
/// Source: NeuraLadder, arXiv 2505.12432.
inline std::vector<std::int64_t> ladder(std::span<const Rung> rungs, double min_complexity) {
    std::vector<std::int64_t> order;
    for (std::size_t i = 0; i < rungs.size(); ++i)
        if (rungs[i].difficulty > 0 || rungs[i].complexity >= min_complexity)
            order.push_back(static_cast<std::int64_t>(i));
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
        const Rung &left = rungs[static_cast<std::size_t>(a)], &right = rungs[static_cast<std::size_t>(b)];
        return left.difficulty < right.difficulty ||
               (left.difficulty == right.difficulty && left.complexity < right.complexity);
    });
    return order;
}

/// Items fewer than `reach` places apart may change places: sorted anew by place + reach u, u in [0, 1). A reach of 0
/// or 1 changes nothing. Shapes: order, uniform [items].
inline std::vector<std::int64_t> mixed(std::span<const std::int64_t> order, std::span<const double> uniform,
                                       double reach) {
    std::vector<std::size_t> place(order.size());
    std::iota(place.begin(), place.end(), std::size_t(0));
    auto key = [&](std::size_t k) { return double(k) + reach * uniform[k]; };
    std::stable_sort(place.begin(), place.end(), [&](std::size_t a, std::size_t b) { return key(a) < key(b); });
    std::vector<std::int64_t> changed;
    for (std::size_t k : place) changed.push_back(order[k]);
    return changed;
}

/// The order that was found, and how far up it the sampler is.
struct LadderPosition {
    std::vector<std::int64_t> order;
    std::int64_t next = 0, rollouts = 0;
};
ROARS_FIELDS(LadderPosition, order, next, rollouts)

/// Groups of prompts from easy to hard, one after the other without shuffling; behind the last one it begins again.
/// Before the first batch the policy as it is tries every prompt (or `items` of them, evenly spaced) `attempts` times,
/// which counts as rollouts. Right: outcome > 0.5. Asks of the source prompt_count() and roll_out(run, batch, numbers
/// of prompts, group_size, generation). Errors: no prompt is left.
struct Ladder {
    std::int64_t prompts = 128;
    std::int64_t group_size = 8;
    std::int64_t items = 0;  ///< 0: all that the source has
    std::int64_t attempts = 8;
    double min_complexity = 0;  ///< tokens
    double mixing = 0;          ///< prompts fewer than so many places apart may change places
    Generation generation{};

    using needs = columns<col::groups, col::outcome>;
    using State = LadderPosition;

    template <class RunType, class Source, class BatchType>
    static constexpr bool draws_from = requires(RunType& run, Source& source, BatchType& batch,
                                                std::span<const std::int64_t> numbers) {
        source.prompt_count();
        source.roll_out(run, batch, numbers, 1, Generation{});
    };

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        if (state.order.empty()) climb<BatchType>(run, state, source);
        std::vector<std::int64_t> numbers;
        for (std::int64_t k = 0; k < prompts; ++k)
            numbers.push_back(state.order[static_cast<std::size_t>(state.next++ % std::ssize(state.order))]);
        source.roll_out(run, batch, std::span<const std::int64_t>(numbers), group_size, generation);
        score(batch);
        state.rollouts += batch.sequences();
    }

private:
    /// Measures and orders the prompts, `prompts` of them at a time.
    template <class BatchType, class RunType, class Source>
    void climb(RunType& run, State& state, Source& source) const {
        const std::int64_t all = source.prompt_count(), count = items > 0 ? std::min(items, all) : all;
        std::vector<Rung> rungs;
        for (std::int64_t first = 0; first < count; first += prompts) {
            std::vector<std::int64_t> numbers;
            for (std::int64_t k = first; k < std::min(first + prompts, count); ++k) numbers.push_back(k * all / count);
            BatchType tried;
            source.roll_out(run, tried, std::span<const std::int64_t>(numbers), attempts, generation);
            state.rollouts += tried.sequences();
            for (std::int64_t g = 0; g < tried.groups(); ++g) rungs.push_back(measured(tried, g));
        }
        state.order = ladder(rungs, min_complexity);
        for (std::int64_t& item : state.order) item = item * all / count;
        expect(!state.order.empty(), [&] {
            return "ladder: none of " + std::to_string(count) + " prompts is left, expected one that is not always " +
                   "answered rightly in less than min_complexity " + std::to_string(min_complexity) + " tokens";
        });
        Random random = run.random.of(Purpose::shuffle);
        std::vector<double> uniform;
        for (std::size_t k = 0; k < state.order.size(); ++k)
            uniform.push_back(random.uniform(static_cast<std::uint32_t>(k), 1));
        state.order = mixed(state.order, uniform, mixing);
    }
    template <class BatchType>
    static Rung measured(const BatchType& tried, std::int64_t g) {
        double right = 0;
        std::vector<std::int64_t> lengths;
        const auto groups = tried[col::groups{}], offsets = tried.token_offsets();
        for (auto i = static_cast<std::size_t>(groups[static_cast<std::size_t>(g)]);
             i < static_cast<std::size_t>(groups[static_cast<std::size_t>(g) + 1]); ++i) {
            right += tried[col::outcome{}][i] > 0.5;
            lengths.push_back(offsets[i + 1] - offsets[i]);
        }
        return rung(right, double(lengths.size()), std::span<const std::int64_t>(lengths));
    }
};
ROARS_FIELDS(Ladder, prompts, group_size, items, attempts, min_complexity, mixing, generation)

}  // namespace roars::sampler
