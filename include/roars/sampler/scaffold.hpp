#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "roars/sampler/groups.hpp"

/// Groups whose rollouts are shown a part of what they will be judged by. Source: RuscaRL, arXiv 2508.16949.
namespace roars::sampler {
namespace scaffold {

/// 1 / (1 + exp(steepness (t - midpoint))), t from 0 in a run's first iteration to 1 in its last; 1 if it has but one.
struct Fading {
    double steepness = 125.0;
    double midpoint = 0.2;
    double at(const Progress& progress) const {
        if (progress.total <= 1) return 1.0;
        const double t = std::clamp(double(progress.iteration) / double(progress.total - 1), 0.0, 1.0);
        return t == midpoint ? 0.5 : 1.0 / (1.0 + std::exp(steepness * (t - midpoint)));
    }
};
struct Lasting {
    double at(const Progress&) const { return 1.0; }
};
ROARS_FIELDS(Fading, steepness, midpoint)
ROARS_FIELDS(Lasting)

/// Sample i of G: from 1 for the first to 0 for the last, (G - 1 - i) / (G - 1); one alone has 1.
struct Falling {
    double of(std::int64_t i, std::int64_t group_size) const {
        return group_size > 1 ? double(group_size - 1 - i) / double(group_size - 1) : 1.0;
    }
};
struct Equal {
    double of(std::int64_t, std::int64_t) const { return 1.0; }
};
ROARS_FIELDS(Falling)
ROARS_FIELDS(Equal)

/// How many of `criteria` are shown at a share of them: halves go to the even number.
inline std::int64_t count(double share, std::int64_t criteria) {
    return share >= 1 ? criteria : static_cast<std::int64_t>(std::nearbyint(share * double(criteria)));
}
/// 1 for each that is shown: those of the smallest keys, of equal ones the first. Shapes: key [criteria].
inline std::vector<char> chosen(double share, std::span<const double> key) {
    std::vector<std::size_t> order(key.size());
    std::iota(order.begin(), order.end(), std::size_t(0));
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return key[a] < key[b]; });
    std::vector<char> shown(key.size(), 0);
    for (std::int64_t k = 0; k < count(share, std::ssize(key)); ++k) shown[order[static_cast<std::size_t>(k)]] = 1;
    return shown;
}

}  // namespace scaffold

/// `prompts` prompts, group_size answers to each, drawn while a share of the prompt's criteria is shown:
///     share_i = over_time(progress) within(i, group_size)
/// of sample i. What the update sees is the bare prompt. Asks of the source roll_out_shown(run, batch, prompts,
/// group_size, generation, share of each sample of a group).
template <class OverTime = scaffold::Fading, class Within = scaffold::Falling>
struct ScaffoldedGroups {
    std::int64_t prompts = 64;
    std::int64_t group_size = 8;
    OverTime over_time{};
    Within within{};
    Generation generation{};

    using needs = columns<col::groups>;
    using State = Spent;
    template <class RunType, class Source, class BatchType>
    static constexpr bool draws_from = requires(RunType& run, Source& source, BatchType& batch) {
        source.roll_out_shown(run, batch, 1, 1, Generation{}, std::span<const double>());
    };

    std::vector<double> shares(const Progress& progress) const {
        std::vector<double> share;
        for (std::int64_t i = 0; i < group_size; ++i)
            share.push_back(over_time.at(progress) * within.of(i, group_size));
        return share;
    }
    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        const std::vector<double> share = shares(run.progress);
        source.roll_out_shown(run, batch, prompts, group_size, generation, std::span<const double>(share));
        score(batch);
        state.rollouts += batch.sequences();
    }
};
template <class OverTime, class Within>
ROARS_FIELDS_OF((ScaffoldedGroups<OverTime, Within>), prompts, group_size, over_time, within, generation)

}  // namespace roars::sampler
