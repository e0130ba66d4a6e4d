#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include <Random123/philox.h>

#include "roars/config.hpp"

namespace roars {

/// Where a random number is used. Two purposes never share a number, whatever their indices.
enum class Purpose : std::uint32_t {
    sample,
    prompt,
    initialise,
    shuffle,
    noise,
    task,
    evaluate,
    resample,
    environment,
    user,
    label,
    branch
};

/// Counter-based random numbers (Philox 4x32-10): a number is a function of (seed, purpose, iteration, sequence, token)
/// and of nothing else, so that a run is the same on a CPU and a GPU, in any order, on any number of threads.
/// A value: 16 bytes, trivially copyable, usable in a kernel.
class Random {
public:
    ROARS_FN constexpr explicit Random(std::uint64_t seed = 0, Purpose purpose = Purpose::sample,
                                       std::uint32_t iteration = 0)
        : seed_(seed), purpose_(static_cast<std::uint32_t>(purpose)), iteration_(iteration) {}

    ROARS_FN constexpr Random of(Purpose purpose) const { return Random(seed_, purpose, iteration_); }
    ROARS_FN constexpr Random at(std::uint32_t iteration) const {
        return Random(seed_, static_cast<Purpose>(purpose_), iteration);
    }
    /// The same place under another seed.
    ROARS_FN constexpr Random under(std::uint64_t seed) const {
        return Random(seed, static_cast<Purpose>(purpose_), iteration_);
    }
    ROARS_FN constexpr std::uint64_t seed() const { return seed_; }

    /// Four independent words of 32 bits.
    ROARS_FN r123::Philox4x32::ctr_type bits(std::uint32_t sequence, std::uint32_t token) const {
        r123::Philox4x32 philox;
        r123::Philox4x32::ctr_type counter = {{token, sequence, iteration_, purpose_}};
        r123::Philox4x32::key_type key = {{static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)}};
        return philox(counter, key);
    }

    /// Uniform in [0, 1), 53 bits in double and 24 in float.
    template <class Real = double>
    ROARS_FN Real uniform(std::uint32_t sequence, std::uint32_t token) const {
        auto word = bits(sequence, token);
        return to_unit<Real>(word[0], word[1]);
    }

    /// Standard normal (Box-Muller).
    template <class Real = double>
    ROARS_FN Real normal(std::uint32_t sequence, std::uint32_t token) const {
        auto word = bits(sequence, token);
        double radius = std::sqrt(-2.0 * std::log(1.0 - to_unit<double>(word[0], word[1])));
        return static_cast<Real>(radius * std::cos(6.283185307179586 * to_unit<double>(word[2], word[3])));
    }

    template <class Real>
    ROARS_FN static constexpr Real to_unit(std::uint32_t high, std::uint32_t low) {
        if constexpr (sizeof(Real) < 8)
            return static_cast<Real>(high >> 8) * static_cast<Real>(1.0 / 16777216.0);
        else
            return static_cast<Real>(((static_cast<std::uint64_t>(high) << 32 | low) >> 11) *
                                     (1.0 / 9007199254740992.0));
    }

private:
    std::uint64_t seed_;
    std::uint32_t purpose_;
    std::uint32_t iteration_;
};

/// Standard normal numbers 2 i and 2 i + 1 of `values` from the bits (sequence, i): both that Box and Muller give.
template <class Real>
void fill_normal(const Random& random, std::uint32_t sequence, std::span<Real> values) {
    for (std::size_t i = 0; i < values.size(); i += 2) {
        auto word = random.bits(sequence, static_cast<std::uint32_t>(i / 2));
        double radius = std::sqrt(-2.0 * std::log(1.0 - Random::to_unit<double>(word[0], word[1])));
        double angle = 6.283185307179586 * Random::to_unit<double>(word[2], word[3]);
        values[i] = static_cast<Real>(radius * std::cos(angle));
        if (i + 1 < values.size()) values[i + 1] = static_cast<Real>(radius * std::sin(angle));
    }
}

/// The same numbers one after another, for host code that draws in a fixed order (a generator of problems, a shuffle).
/// Its whole state is `position`, which a checkpoint saves. A UniformRandomBitGenerator.
class RandomStream {
public:
    using result_type = std::uint32_t;

    constexpr explicit RandomStream(Random source = Random(), std::uint64_t start = 0)
        : source_(source), position(start) {}

    static constexpr result_type min() { return 0; }
    static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }

    result_type operator()() { return next()[0]; }

    /// Uniform in [0, 1).
    double uniform() {
        auto word = next();
        return Random::to_unit<double>(word[0], word[1]);
    }
    /// Uniform in {0, ..., count - 1}.
    std::int64_t below(std::int64_t count) {
        auto drawn = static_cast<std::int64_t>(uniform() * static_cast<double>(count));
        return drawn < count ? drawn : count - 1;
    }
    double normal() {
        double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
        return radius * std::cos(6.283185307179586 * uniform());
    }

private:
    Random source_;
    r123::Philox4x32::ctr_type next() {
        auto word = source_.bits(static_cast<std::uint32_t>(position >> 32), static_cast<std::uint32_t>(position));
        ++position;
        return word;
    }

public:
    std::uint64_t position;
};

}  // namespace roars
