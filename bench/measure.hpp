#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include <benchmark/benchmark.h>

#include "roars/backend.hpp"
#include "roars/random.hpp"

/// What every benchmark reports is a ratio of two times of one run: the machine and its other users stand on both
/// sides.
namespace bench {

template <class Work>
double seconds(Work&& work) {
    auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Two works in turn, once an iteration, each one's shortest time kept: what it takes when nobody disturbs it.
/// `prepare` comes before each work and is not timed.
class Race {
public:
    template <class First, class Second, class Prepare>
    Race(benchmark::State& state, First&& first, Second&& second, Prepare&& prepare) {
        for (auto _ : state) {
            prepare();
            first_ = std::min(first_, seconds(first));
            prepare();
            double time = seconds(second);
            second_ = std::min(second_, time);
            state.SetIterationTime(time);
        }
    }
    double first() const { return first_; }
    double second() const { return second_; }

private:
    double first_ = std::numeric_limits<double>::infinity(), second_ = first_;
};

/// A copy that moves `bytes`, half of them read and half written, by as many threads as the parts have.
class Copy {
public:
    explicit Copy(std::int64_t bytes) : from_(static_cast<std::size_t>(bytes / 2 / 8), 1.0), to_(from_.size(), 2.0) {}

    void operator()() {
        roars::parallel_pieces(backend_, std::ssize(from_), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
            std::memcpy(to_.data() + begin, from_.data() + begin,
                        static_cast<std::size_t>(end - begin) * sizeof(double));
        });
    }

private:
    roars::backend::Host backend_;
    std::vector<double> from_, to_;
};

/// Races a part against a copy of the bytes that it reads and writes. Counters: share_of_copy = time of the copy / time
/// of the part, 1 at the limit of the memory; M/s = million items a second.
template <class Part, class Prepare>
void against_copy(benchmark::State& state, std::int64_t bytes, std::int64_t items, Part&& part, Prepare&& prepare) {
    Copy copy(bytes);
    prepare();
    part();
    Race race(state, copy, part, prepare);
    state.counters["share_of_copy"] = race.first() / race.second();
    state.counters["M/s"] = double(items) / race.second() * 1e-6;
    state.counters["bytes_per_item"] = double(bytes) / double(items);
}
template <class Part>
void against_copy(benchmark::State& state, std::int64_t bytes, std::int64_t items, Part&& part) {
    against_copy(state, bytes, items, part, [] {});
}

/// Numbers for a column, the same in every run: value(random, i).
template <class T, class Value>
void fill(std::span<T> column, std::uint32_t which, Value&& value) {
    roars::backend::Host backend;
    roars::Random random(2024, roars::Purpose::noise, which);
    roars::parallel_pieces(backend, std::ssize(column), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i)
            column[static_cast<std::size_t>(i)] = static_cast<T>(
                value(random, static_cast<std::uint32_t>(i >> 20), static_cast<std::uint32_t>(i & 0xfffff)));
    });
}
template <class T>
void fill_normal(std::span<T> column, std::uint32_t which, double mean, double spread) {
    fill(column, which, [=](const roars::Random& random, std::uint32_t sequence, std::uint32_t token) {
        return mean + spread * random.normal(sequence, token);
    });
}
/// 1 with the given probability, else 0.
template <class T>
void fill_flags(std::span<T> column, std::uint32_t which, double probability) {
    fill(column, which, [=](const roars::Random& random, std::uint32_t sequence, std::uint32_t token) {
        return random.uniform(sequence, token) < probability ? 1 : 0;
    });
}

/// Offsets of equal segments.
inline std::vector<std::int64_t> equal_segments(std::int64_t segments, std::int64_t length) {
    std::vector<std::int64_t> offsets(static_cast<std::size_t>(segments) + 1);
    for (std::size_t i = 0; i < offsets.size(); ++i) offsets[i] = static_cast<std::int64_t>(i) * length;
    return offsets;
}

}  // namespace bench
