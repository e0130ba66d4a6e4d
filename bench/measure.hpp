#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "roars/simd.hpp"  // first: it silences what g++ 12 says of its own <immintrin.h>

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

/// What a part reads and writes, in bytes.
struct Bytes {
    std::int64_t read = 0, written = 0;
};

/// The least that moving these bytes costs: a copy of what is written, the rest of what is read summed up. By as many
/// threads, in as large pieces, as the parts work.
class Copy {
public:
    explicit Copy(Bytes bytes) : source_(words(bytes.read), 1), target_(words(bytes.written), 2) {}

    void operator()() {
        auto pieces = std::max<std::int64_t>(1, std::ssize(source_) / backend_.grain);
        roars::parallel_for(backend_, pieces, [&](std::int64_t piece) {
            auto part = [&](std::size_t size, std::int64_t i) {
                return size * static_cast<std::size_t>(i) / static_cast<std::size_t>(pieces);
            };
            std::size_t begin = part(target_.size(), piece), end = part(target_.size(), piece + 1);
            std::memcpy(target_.data() + begin, source_.data() + begin, (end - begin) * sizeof(Word));
            std::size_t rest = source_.size() - target_.size();
            begin = target_.size() + part(rest, piece), end = target_.size() + part(rest, piece + 1);
            Word sum = 0;
            for (std::size_t i = begin; i < end; ++i) sum += source_[i];
            benchmark::DoNotOptimize(sum);
        });
    }

private:
    using Word = std::uint32_t;
    static std::size_t words(std::int64_t bytes) { return static_cast<std::size_t>(bytes) / sizeof(Word); }

    roars::backend::Host backend_;
    std::vector<Word> source_, target_;  ///< no less is read than is written
};

/// Races a part against a copy of the bytes that it reads and writes. Counters: share_of_copy = time of the copy / time
/// of the part, 1 at the limit of the memory; M/s = million items a second.
template <class Part, class Prepare>
void against_copy(benchmark::State& state, Bytes bytes, std::int64_t items, Part&& part, Prepare&& prepare) {
    Copy copy(bytes);
    prepare();
    part();
    Race race(state, copy, part, prepare);
    state.counters["share_of_copy"] = race.first() / race.second();
    state.counters["M/s"] = double(items) / race.second() * 1e-6;
}
template <class Part>
void against_copy(benchmark::State& state, Bytes bytes, std::int64_t items, Part&& part) {
    against_copy(state, bytes, items, part, [] {});
}

/// Races a part against the matrix products that it is made of. Counter: share_of_products = time of the products /
/// time of the part.
template <class Products, class Part>
void against_products(benchmark::State& state, Products&& products, Part&& part) {
    Race race(state, products, part, [] {});
    state.counters["share_of_products"] = race.first() / race.second();
}

/// A benchmark by its name; work(state) races.
template <class Work>
void add(const std::string& name, Work work) {
    benchmark::RegisterBenchmark(name.c_str(), work)->UseManualTime()->Unit(benchmark::kMillisecond);
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
