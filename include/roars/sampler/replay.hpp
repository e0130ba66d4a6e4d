#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/sampler/resample.hpp"

namespace roars::sampler {

/// What a draw from a memory gives: which items, and the weight of each in the loss.
struct Drawn {
    std::vector<std::int64_t> index;
    std::vector<double> weight;
};

namespace draw {

/// Each item with the same probability.
struct Uniform {
    /// One item a uniform number in [0, 1). Shapes: priority [items], uniform [draws].
    Drawn operator()(std::span<const double> priority, std::span<const double> uniform) const {
        Drawn drawn{{}, std::vector<double>(uniform.size(), 1.0)};
        auto count = std::ssize(priority);
        for (double u : uniform)
            drawn.index.push_back(std::min(static_cast<std::int64_t>(u * static_cast<double>(count)), count - 1));
        return drawn;
    }
    void update(std::span<double>, std::span<const std::int64_t>, std::span<const double>) const {}
};

/// P(i) = p_i^alpha / sum p^alpha;  weight = (N P(i))^-beta, divided by the largest of the draw; where all priorities
/// are 0, as Uniform. A new priority is |error| + eps. Source: prioritised experience replay, arXiv 1511.05952.
struct Prioritised {
    double alpha = 0.6;
    double beta = 0.4;
    double eps = 1e-6;

    using gives = columns<col::importance_weight>;

    Drawn operator()(std::span<const double> priority, std::span<const double> uniform) const {
        std::vector<double> mass;
        for (double p : priority) mass.push_back(std::pow(p, alpha));
        auto sums = cumulated(mass);
        if (sums.empty() || sums.back() == 0.0) return Uniform{}(priority, uniform);
        Drawn drawn;
        double count = static_cast<double>(priority.size()), largest = 0;
        for (double u : uniform) {
            drawn.index.push_back(draw_index(sums, u));
            double probability = mass[static_cast<std::size_t>(drawn.index.back())] / sums.back();
            drawn.weight.push_back(std::pow(count * probability, -beta));
            largest = std::max(largest, drawn.weight.back());
        }
        for (double& weight : drawn.weight) weight /= largest;
        return drawn;
    }
    /// Of equal indices the last one's error counts. Shapes: priority [items]; index, error [draws].
    void update(std::span<double> priority, std::span<const std::int64_t> index, std::span<const double> error) const {
        for (std::size_t k = 0; k < index.size(); ++k)
            priority[static_cast<std::size_t>(index[k])] = std::abs(error[k]) + eps;
    }
};

ROARS_FIELDS(Uniform)
ROARS_FIELDS(Prioritised, alpha, beta, eps)

}  // namespace draw

/// A group in the memory: the lengths of its sequences, and its columns, one behind the other, with the width of each.
struct StoredGroup {
    std::vector<std::int64_t> lengths;
    std::vector<std::int64_t> widths;
    std::vector<double> values;
};
ROARS_FIELDS(StoredGroup, lengths, widths, values)

namespace detail {

/// What must be stored of a batch, so that it can be met again: all that comes from outside, and the score.
template <class Column>
inline constexpr bool stored = Column::kind != Kind::offsets && !is_gradient_v<Column> &&
                               (Column::origin != Origin::part || std::is_same_v<Column, col::reward> ||
                                std::is_same_v<Column, col::token_reward>);

template <class BatchType, class Visit>
void for_each_stored(Visit&& visit) {
    auto one = [&]<class C>(C column) {
        static_assert(C::extent != Extent::turn, "roars: a replay memory does not hold columns of turns");
        if constexpr (stored<C>) visit(column);
    };
    [&]<class... Column>(columns<Column...>) { (one(Column{}), ...); }(typename BatchType::Columns{});
}

template <class BatchType>
StoredGroup store_group(const BatchType& batch, std::int64_t group) {
    BatchType piece = batch.slice_groups(group, group + 1);
    StoredGroup kept;
    auto offsets = piece.token_offsets();
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) kept.lengths.push_back(offsets[i + 1] - offsets[i]);
    for_each_stored<BatchType>([&](auto column) {
        kept.widths.push_back(piece.width(column));
        for (auto value : piece[column]) kept.values.push_back(static_cast<double>(value));
    });
    return kept;
}

template <class BatchType>
BatchType load_group(const StoredGroup& stored_group) {
    std::vector<std::int64_t> offsets = {0};
    for (std::int64_t length : stored_group.lengths) offsets.push_back(offsets.back() + length);
    const std::int64_t groups[] = {0, std::ssize(stored_group.lengths)};
    BatchType batch{Offsets(offsets), Offsets(groups)};
    std::size_t at = 0, which = 0;
    auto damaged = [] { return "replay: a stored group does not have the columns of this batch"; };
    for_each_stored<BatchType>([&](auto column) {
        expect(which < stored_group.widths.size(), damaged);
        batch.set_width(column, stored_group.widths[which++]);
        for (auto& value : batch[column]) {
            expect(at < stored_group.values.size(), damaged);
            value = static_cast<std::remove_reference_t<decltype(value)>>(stored_group.values[at++]);
        }
    });
    expect(at == stored_group.values.size() && which == stored_group.widths.size(), damaged);
    return batch;
}

}  // namespace detail

template <class BaseState>
struct ReplayState {
    BaseState base;
    std::vector<StoredGroup> groups;
    std::vector<double> priority;
    std::int64_t next = 0;             ///< where the next group goes: the oldest one is written over
    std::vector<std::int64_t> places;  ///< of the groups of the batch that is out
    std::int64_t rollouts = 0;

    ROARS_MEMBERS(ReplayState, base, groups, priority, next, places, rollouts)
};

/// What Base collects, and behind it `replayed` groups of earlier batches from a memory of the last `capacity` groups.
/// A group's priority is the mean |advantage| of its tokens at its last use, of a group that was never used the largest
/// one. logp_behaviour stays what it was when the group was rolled out; what the policy says now is filled in anew.
template <SamplerPart Base, class Draw>
struct Replay {
    Base base{};
    std::int64_t capacity = 1024;
    std::int64_t replayed = 8;
    Draw draw{};

    using needs = unite_t<needs_of<Base>, columns<col::groups>>;
    using gives = unite_t<gives_of<Base>, gives_of<Draw>>;
    using State = ReplayState<state_of<Base>>;

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        base.collect(run, state.base, source, batch, score);
        state.rollouts += batch.sequences();
        Drawn drawn = draw_stored(run, state);
        std::int64_t fresh = batch.groups();
        BatchType old;
        std::vector<double> weight(static_cast<std::size_t>(batch.tokens()), 1.0);
        for (std::size_t k = 0; k < drawn.index.size(); ++k) {
            old.append(detail::load_group<BatchType>(state.groups[static_cast<std::size_t>(drawn.index[k])]));
            weight.resize(static_cast<std::size_t>(batch.tokens() + old.tokens()), drawn.weight[k]);
        }
        state.places.clear();
        for (std::int64_t g = 0; g < fresh; ++g) state.places.push_back(remember(state, batch, g));
        for (std::int64_t place : drawn.index) {
            auto end = state.places.begin() + fresh;
            bool written_over = std::find(state.places.begin(), end, place) != end;
            state.places.push_back(written_over ? gone : place);
        }
        batch.append(old);
        if constexpr (contains_v<col::importance_weight, gives>) {
            auto to = batch[col::importance_weight{}];
            for (std::size_t t = 0; t < to.size(); ++t) to[t] = static_cast<typename BatchType::Real>(weight[t]);
        }
    }

    template <class RunType, class BatchType>
    void observe(RunType& run, State& state, const BatchType& batch) const {
        if constexpr (requires { base.observe(run, state.base, batch); }) base.observe(run, state.base, batch);
        if constexpr (BatchType::template has<col::advantage>) {
            expect(std::ssize(state.places) == batch.groups(), [&] {
                return "replay: a batch of " + std::to_string(batch.groups()) + " groups, but " +
                       std::to_string(state.places.size()) + " were handed out";
            });
            std::vector<std::int64_t> places;
            std::vector<double> error;
            for (std::int64_t g = 0; g < batch.groups(); ++g) {
                if (state.places[static_cast<std::size_t>(g)] == gone) continue;
                places.push_back(state.places[static_cast<std::size_t>(g)]);
                error.push_back(mean_size(batch, g));
            }
            draw.update(state.priority, places, error);
        }
    }

private:
    static constexpr std::int64_t gone = -1;

    template <class RunType>
    Drawn draw_stored(RunType& run, const State& state) const {
        if (state.groups.empty()) return {};
        Random random = run.random.of(Purpose::resample).at(static_cast<std::uint32_t>(run.progress.iteration));
        std::vector<double> uniform;
        for (std::int64_t k = 0; k < replayed; ++k) uniform.push_back(random.uniform(static_cast<std::uint32_t>(k), 1));
        return draw(state.priority, uniform);
    }
    /// Stores a group; returns its place.
    template <class BatchType>
    std::int64_t remember(State& state, const BatchType& batch, std::int64_t group) const {
        expect(capacity > 0, "replay: capacity is 0, expected one group or more");
        double first = state.priority.empty() ? 1.0 : *std::max_element(state.priority.begin(), state.priority.end());
        auto place = static_cast<std::size_t>(state.next % capacity);
        if (place >= state.groups.size()) {
            state.groups.resize(place + 1);
            state.priority.resize(place + 1);
        }
        state.groups[place] = detail::store_group(batch, group);
        state.priority[place] = first;
        state.next = static_cast<std::int64_t>(place) + 1;
        return static_cast<std::int64_t>(place);
    }
    template <class BatchType>
    static double mean_size(const BatchType& batch, std::int64_t group) {
        auto groups = batch[col::groups{}];
        auto g = static_cast<std::size_t>(group);
        auto first = batch.token_offsets()[static_cast<std::size_t>(groups[g])],
             last = batch.token_offsets()[static_cast<std::size_t>(groups[g + 1])];
        double sum = 0;
        for (auto t = static_cast<std::size_t>(first); t < static_cast<std::size_t>(last); ++t)
            sum += std::abs(static_cast<double>(batch[col::advantage{}][t]));
        return last > first ? sum / static_cast<double>(last - first) : 0.0;
    }
};
template <class Base, class Draw>
ROARS_FIELDS_OF((Replay<Base, Draw>), base, capacity, replayed, draw)

}  // namespace roars::sampler
