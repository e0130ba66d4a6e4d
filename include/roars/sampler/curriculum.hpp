#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/primitives/sampling.hpp"

namespace roars::sampler {

/// `count` different items, the next one always by weight among those that are left: the largest log(1 - u_i) / w_i,
/// u_i in [0, 1) (Efraimidis and Spirakis 2006). Items of weight 0 come last, in order. Shapes: weight, uniform
/// [items].
inline std::vector<std::int64_t> draw_without_replacement(std::span<const double> weight,
                                                          std::span<const double> uniform, std::int64_t count) {
    expect(count <= std::ssize(weight), [&] {
        return std::to_string(count) + " different items were asked for, but there are " +
               std::to_string(weight.size());
    });
    constexpr double infinity = std::numeric_limits<double>::infinity();
    std::vector<std::pair<double, std::int64_t>> keys;
    for (std::size_t i = 0; i < weight.size(); ++i)
        keys.emplace_back(weight[i] > 0 ? std::log1p(-uniform[i]) / weight[i] : -infinity,
                          static_cast<std::int64_t>(i));
    auto before = [](const auto& a, const auto& b) {
        return a.first > b.first || (a.first == b.first && a.second < b.second);
    };
    std::partial_sort(keys.begin(), keys.begin() + count, keys.end(), before);
    std::vector<std::int64_t> drawn;
    for (std::int64_t k = 0; k < count; ++k) drawn.push_back(keys[static_cast<std::size_t>(k)].second);
    return drawn;
}

/// What a curriculum has seen of each prompt: a moving average of its mean outcome, and how often.
struct SuccessRates {
    std::vector<double> rate;
    std::vector<std::int64_t> seen;
    std::int64_t rollouts = 0;
};
ROARS_FIELDS(SuccessRates, rate, seen, rollouts)

/// Prompts are drawn by how near their success rate is to `target`, without replacement:
///     w = floor + exp(-(rate - target)^2 / (2 width^2)),   w = floor + 1 for a prompt that was never seen;
///     rate = keep rate + (1 - keep) mean outcome of the group, at first the mean itself.
/// Asks of the source prompt_count() and roll_out(run, batch, numbers of prompts, group_size, generation).
struct Curriculum {
    std::int64_t prompts = 32;
    std::int64_t group_size = 8;
    double target = 0.5;
    double width = 0.2;
    double floor = 0.02;
    double keep = 0.5;
    Generation generation{};

    using needs = columns<col::groups, col::outcome, col::prompt>;
    using State = SuccessRates;

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        make_room(state, source.prompt_count());
        Random random = run.random.of(Purpose::prompt).at(static_cast<std::uint32_t>(run.progress.iteration));
        std::vector<double> weight, uniform;
        for (std::size_t i = 0; i < state.rate.size(); ++i) {
            weight.push_back(this->weight(state.rate[i], state.seen[i]));
            uniform.push_back(random.uniform(static_cast<std::uint32_t>(i), 1));
        }
        auto numbers = draw_without_replacement(weight, uniform, std::min(prompts, std::ssize(weight)));
        source.roll_out(run, batch, std::span<const std::int64_t>(numbers), group_size, generation);
        score(batch);
        state.rollouts += batch.sequences();
    }

    double weight(double rate, std::int64_t seen) const {
        double distance = (rate - target) / width;
        return floor + (seen == 0 ? 1.0 : std::exp(-0.5 * distance * distance));
    }

    template <class RunType, BatchWith<col::groups, col::outcome, col::prompt> BatchType>
    void observe(RunType&, State& state, const BatchType& batch) const {
        auto groups = batch[col::groups{}];
        for (std::size_t g = 0; g + 1 < groups.size(); ++g) {
            auto first = static_cast<std::size_t>(groups[g]), last = static_cast<std::size_t>(groups[g + 1]);
            if (first == last) continue;
            double mean = 0;
            for (std::size_t i = first; i < last; ++i) mean += static_cast<double>(batch[col::outcome{}][i]);
            mean /= static_cast<double>(last - first);
            auto prompt = static_cast<std::size_t>(batch[col::prompt{}][first]);
            make_room(state, static_cast<std::int64_t>(prompt) + 1);
            double& rate = state.rate[prompt];
            rate = state.seen[prompt]++ == 0 ? mean : keep * rate + (1 - keep) * mean;
        }
    }

private:
    static void make_room(State& state, std::int64_t count) {
        auto size = std::max(state.rate.size(), static_cast<std::size_t>(count));
        state.rate.resize(size);
        state.seen.resize(size);
    }
};
ROARS_FIELDS(Curriculum, prompts, group_size, target, width, floor, keep, generation)

}  // namespace roars::sampler
