#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/concepts.hpp"

namespace roars::sampler {

/// Which of the steps in a memory are drawn, and the weight of each in the loss.
namespace places {

/// Each with the same probability.
struct Uniform {
    using gives = columns<>;
    using State = NoState;

    void added(State&, std::int64_t, std::int64_t) const {}
    std::int64_t draw(const State&, std::int64_t count, double u) const {
        return std::min(static_cast<std::int64_t>(u * static_cast<double>(count)), count - 1);
    }
};
ROARS_FIELDS(Uniform)

/// Priorities in a tree of sums: leaf i of `leaves` stands at sums[leaves + i], a node at k over 2 k and 2 k + 1.
struct SumTree {
    std::vector<double> sums;
    double largest = 1.0;  ///< priority of a step that was never used

    std::size_t leaves() const { return sums.size() / 2; }
    double total() const { return sums.empty() ? 0.0 : sums[1]; }
    double leaf(std::int64_t place) const { return sums[leaves() + static_cast<std::size_t>(place)]; }
    void set(std::int64_t place, double mass) {
        std::size_t k = leaves() + static_cast<std::size_t>(place);
        sums[k] = mass;
        while ((k /= 2) >= 1) sums[k] = sums[2 * k] + sums[2 * k + 1];
    }
    /// The leaf whose cumulated mass, in order, first exceeds `mass`; never one of mass 0 while there is another.
    std::int64_t find(double mass) const {
        std::size_t k = 1;
        while (k < leaves()) {
            k *= 2;
            if ((mass >= sums[k] && sums[k + 1] > 0.0) || sums[k] == 0.0) mass -= sums[k++];
        }
        return static_cast<std::int64_t>(k - leaves());
    }
};
ROARS_FIELDS(SumTree, sums, largest)

/// P(i) = p_i^alpha / sum p^alpha; weight = (N P(i))^-beta over the largest of the draw. A new priority is
/// |temporal-difference error| + eps. Source: prioritised experience replay, arXiv 1511.05952.
struct Prioritised {
    double alpha = 0.6;
    double beta = 0.4;
    double eps = 1e-6;

    using gives = columns<col::importance_weight>;
    using State = SumTree;

    void added(State& tree, std::int64_t place, std::int64_t capacity) const {
        if (tree.sums.empty()) {
            std::size_t leaves = 1;
            while (static_cast<std::int64_t>(leaves) < capacity) leaves *= 2;
            tree.sums.assign(2 * leaves, 0.0);
        }
        tree.set(place, std::pow(tree.largest, alpha));
    }
    std::int64_t draw(const State& tree, std::int64_t count, double u) const {
        return std::min(tree.find(u * tree.total()), count - 1);
    }
    double weight(const State& tree, std::int64_t place, std::int64_t count) const {
        return std::pow(static_cast<double>(count) * tree.leaf(place) / tree.total(), -beta);
    }
    void update(State& tree, std::int64_t place, double error) const {
        double priority = std::abs(error) + eps;
        tree.largest = std::max(tree.largest, priority);
        tree.set(place, std::pow(priority, alpha));
    }
};
ROARS_FIELDS(Prioritised, alpha, beta, eps)

}  // namespace places

namespace detail {

/// What is known when a step was taken, and stays: what the task says of a token, and the density it was drawn with.
template <class Column>
inline constexpr bool step_column = Column::extent == Extent::token&& Column::kind != Kind::offsets &&
                                    !is_gradient_v<Column> && !std::is_same_v<Column, col::mask> &&
                                    (Column::origin == Origin::task || std::is_same_v<Column, col::logp_behaviour>);

template <class BatchType, class Visit>
void for_each_step_column(Visit&& visit) {
    auto one = [&]<class C>(C column) {
        if constexpr (step_column<C>) visit(column);
    };
    [&]<class... Column>(columns<Column...>) { (one(Column{}), ...); }(typename BatchType::Columns{});
}

}  // namespace detail

/// The last steps of one or several environments, by turns: a record a step, one behind the other.
template <class Places>
struct StepMemory {
    std::vector<std::int64_t> widths;  ///< of the columns of a record
    std::vector<float> records;
    std::int64_t streams = 0;  ///< environments: the step behind record i is record i + streams
    std::int64_t next = 0;     ///< where the next record goes: the oldest one is written over
    std::int64_t steps = 0;    ///< taken so far
    std::vector<std::int64_t> drawn;
    typename Places::State places{};

    ROARS_MEMBERS(StepMemory, widths, records, streams, next, steps, drawn, places)

    std::int64_t width() const {
        std::int64_t sum = 0;
        for (std::int64_t each : widths) sum += each;
        return sum;
    }
    std::int64_t count() const { return widths.empty() ? 0 : std::ssize(records) / width(); }

    std::vector<std::int64_t> offsets, taken;  // memory between two draws
};

/// Off-policy steps from a memory of the last `capacity`: every `every` iterations each environment takes `steps`
/// steps, the first `random_steps` of them at random, and from `warm_up` on every batch is `batch_size` draws. A draw
/// is a sequence of `horizon` steps as they followed each other, fewer where an episode ends or the newest step is
/// reached; its first token alone is trainable (col::mask). With priorities the error is |returns - q|, or |advantage|
/// where there is no q. Numbers are kept as float.
template <class Places = places::Uniform>
struct StepReplay {
    std::int64_t capacity = 100000;
    std::int64_t batch_size = 256;
    std::int64_t random_steps = 1000;
    std::int64_t warm_up = 1000;
    std::int64_t steps = 1;
    std::int64_t every = 1;
    std::int64_t horizon = 1;
    Places places{};

    using needs = columns<col::done>;
    using gives = typename Places::gives;
    using State = StepMemory<Places>;
    using keeps_batch = void;

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        expect(capacity > 0 && batch_size > 0 && horizon > 0 && steps > 0 && every > 0,
               "step replay: capacity, batch_size, horizon, steps and every are 1 or more");
        const bool ready = state.steps >= warm_up && state.steps > 0;
        if (!ready || run.progress.iteration % every == 0) {
            source.roll_steps(run, batch, steps, state.steps < random_steps);
            remember(state, batch);
        }
        if (state.steps < warm_up) {
            const std::int64_t nothing[] = {0};
            state.drawn.clear();
            batch.reshape(nothing);
            return;
        }
        draw(run, state, batch);
        score(batch);
    }

    /// The whole memory, the oldest step first, as one sequence (of several environments: by turns). The batch has the
    /// columns of those that were collected.
    template <class BatchType>
    void recall(State& state, BatchType& batch) const {
        const std::int64_t count = state.count();
        take_widths(state, batch);
        state.taken.clear();
        for (std::int64_t k = 0; k < count; ++k) state.taken.push_back(count < capacity ? k : (state.next + k) % count);
        const std::int64_t whole[] = {0, count};
        batch.reshape(whole);
        copy_records(state, batch);
    }

    /// New priorities of the draws that are out.
    template <class RunType, class BatchType>
    void observe(RunType&, State& state, const BatchType& batch) const {
        if constexpr (!std::is_same_v<typename Places::State, NoState>) {
            auto offsets = batch.token_offsets();
            for (std::size_t k = 0; k < state.drawn.size(); ++k)
                places.update(state.places, state.drawn[k], error_of(batch, static_cast<std::size_t>(offsets[k])));
        }
    }

private:
    template <class BatchType>
    static double error_of(const BatchType& batch, std::size_t token) {
        if constexpr (BatchType::template has<col::q> && BatchType::template has<col::returns>)
            return double(batch[col::returns{}][token]) - double(batch[col::q{}][token]);
        else
            return double(batch[col::advantage{}][token]);
    }

    template <class BatchType>
    void remember(State& state, const BatchType& batch) const {
        lay_out(state, batch);
        const std::int64_t width = state.width(), streams = batch.sequences(), length = steps;
        expect(state.streams == 0 || state.streams == streams, [&] {
            return "step replay: steps of " + std::to_string(streams) + " environments, expected " +
                   std::to_string(state.streams);
        });
        state.streams = streams;
        for (std::int64_t t = 0; t < length; ++t)
            for (std::int64_t e = 0; e < streams; ++e) {
                const std::int64_t place = state.next % capacity, token = e * length + t;
                if (place == state.count()) state.records.resize(static_cast<std::size_t>((place + 1) * width));
                float* to = state.records.data() + place * width;
                detail::for_each_step_column<BatchType>([&](auto column) {
                    const std::int64_t own = batch.width(column);
                    auto from = batch[column].begin() + token * own;
                    for (std::int64_t j = 0; j < own; ++j) *to++ = static_cast<float>(from[j]);
                });
                places.added(state.places, place, capacity);
                state.next = place + 1;
                ++state.steps;
            }
    }
    template <class BatchType>
    static void lay_out(State& state, const BatchType& batch) {
        std::size_t which = 0;
        const bool first = state.widths.empty();
        detail::for_each_step_column<BatchType>([&](auto column) {
            const std::int64_t width = batch.width(column);
            if (first)
                state.widths.push_back(width);
            else
                expect(which < state.widths.size() && state.widths[which] == width,
                       [] { return "step replay: the memory holds records of other columns than this batch has"; });
            ++which;
        });
    }

    /// Behind a checkpoint a batch may be drawn before a step is taken, and then nobody has said how wide its rows are.
    template <class BatchType>
    static void take_widths(const State& state, BatchType& batch) {
        std::size_t which = 0;
        detail::for_each_step_column<BatchType>([&](auto column) {
            if (which < state.widths.size() && batch.width(column) != state.widths[which])
                batch.set_width(column, state.widths[which]);
            ++which;
        });
    }
    template <class RunType, class BatchType>
    void draw(RunType& run, State& state, BatchType& batch) const {
        using Real = typename BatchType::Real;
        Random random = run.random.of(Purpose::resample);
        const std::int64_t count = state.count();
        take_widths(state, batch);
        state.drawn.clear();
        state.taken.clear();
        state.offsets.assign(1, 0);
        const std::int64_t done_at = place_of_done(batch);
        for (std::int64_t k = 0; k < batch_size; ++k) {
            std::int64_t place = places.draw(state.places, count, random.uniform(static_cast<std::uint32_t>(k), 0));
            state.drawn.push_back(place);
            follow(state, place, done_at);
            state.offsets.push_back(std::ssize(state.taken));
        }
        batch.reshape(state.offsets);
        copy_records(state, batch);
        std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), Real(0));
        for (std::int64_t k = 0; k < batch_size; ++k)
            batch[col::mask{}][static_cast<std::size_t>(state.offsets[static_cast<std::size_t>(k)])] = Real(1);
        if constexpr (contains_v<col::importance_weight, gives>) weigh(state, batch);
    }
    /// A step and those behind it in its episode.
    void follow(State& state, std::int64_t place, std::int64_t done_at) const {
        const std::int64_t count = state.count(), width = state.width();
        // The age of a record: how many were taken behind it.
        std::int64_t age = (state.next - 1 - place + count) % count;
        for (std::int64_t h = 0;; ++h) {
            state.taken.push_back(place);
            bool done = state.records[static_cast<std::size_t>(place * width + done_at)] != 0.0f;
            if (h + 1 >= horizon || done || age < state.streams) return;
            place = (place + state.streams) % count;
            age -= state.streams;
        }
    }
    template <class BatchType>
    static std::int64_t place_of_done(const BatchType& batch) {
        std::int64_t at = 0, done_at = 0;
        detail::for_each_step_column<BatchType>([&](auto column) {
            if (std::is_same_v<decltype(column), col::done>) done_at = at;
            at += batch.width(column);
        });
        return done_at;
    }
    template <class BatchType>
    static void copy_records(const State& state, BatchType& batch) {
        std::int64_t at = 0;
        const std::int64_t width = state.width();
        detail::for_each_step_column<BatchType>([&](auto column) {
            const std::int64_t own = batch.width(column);
            auto to = batch[column].begin();
            using Value = std::remove_reference_t<decltype(*to)>;
            for (std::int64_t place : state.taken) {
                const float* from = state.records.data() + place * width + at;
                for (std::int64_t j = 0; j < own; ++j) *to++ = static_cast<Value>(from[j]);
            }
            at += own;
        });
    }
    template <class BatchType>
    void weigh(const State& state, BatchType& batch) const {
        double largest = 0;
        for (std::int64_t place : state.drawn)
            largest = std::max(largest, places.weight(state.places, place, state.count()));
        for (std::size_t k = 0; k < state.drawn.size(); ++k) {
            auto weight = places.weight(state.places, state.drawn[k], state.count()) / largest;
            for (std::int64_t t = state.offsets[k]; t < state.offsets[k + 1]; ++t)
                batch[col::importance_weight{}][static_cast<std::size_t>(t)] =
                    static_cast<typename BatchType::Real>(weight);
        }
    }
};
template <class Places>
ROARS_FIELDS_OF((StepReplay<Places>), capacity, batch_size, random_steps, warm_up, steps, every, horizon, places)

}  // namespace roars::sampler
