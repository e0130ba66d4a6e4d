#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "roars/backend.hpp"
#include "roars/primitives/kept_memory.hpp"
#include "roars/primitives/segments.hpp"

namespace roars::detail {

/// The mean of some numbers around one of them, so that equal numbers have exactly their value.
struct Mean {
    std::int64_t count = 0;
    double first = 0.0, shift = 0.0;
    ROARS_FN double value() const { return first + shift; }
    ROARS_FN Mean& operator+=(const Mean& other) {
        if (count == 0) return *this = other;
        if (other.count == 0) return *this;
        count += other.count;
        shift += ((other.first - first) + (other.shift - shift)) * (double(other.count) / double(count));
        return *this;
    }
};
/// That of column k of x, of the tokens that count; in an order that depends on the number of tokens alone.
template <class Numbers>
Mean mean_of(backend::Host& backend, const Numbers& x, std::size_t k) {
    KeptVector<Mean> of_piece(static_cast<std::size_t>((x.tokens() + backend.grain - 1) / backend.grain));
    parallel_pieces(backend, x.tokens(), [&](std::int64_t piece, std::int64_t begin, std::int64_t end) {
        Mean& mean = of_piece[static_cast<std::size_t>(piece)] = {};
        while (begin < end && !x.counts(begin)) ++begin;
        if (begin == end) return;
        const double first = double(x(k, begin));
        double sum = 0.0;
        std::int64_t count = 0;
        std::array<double, 512> shifted;
        for (std::int64_t t = begin; t < end; t += std::ssize(shifted)) {
            const std::int64_t used = std::min(std::ssize(shifted), end - t);
            for (std::int64_t j = 0; j < used; ++j) {
                double shift = double(x(k, t + j)) - first;
                count += shift == shift ? 1 : 0;
                shifted[std::size_t(j)] = shift == shift ? shift : 0.0;
            }
            sum += sum_over<double>(0, used, [&](std::int64_t j) { return shifted[std::size_t(j)]; });
        }
        mean = {count, first, sum / double(count)};
    });
    Mean mean;
    for (const Mean& each : of_piece) mean += each;
    return mean;
}

/// cov_t of columns 0, the advantage, and 1, logp.
struct Covariance {
    std::int64_t tokens = 0;
    double advantage = 0.0, logp = 0.0;  ///< their means

    Covariance() = default;
    ROARS_FN Covariance(const Mean& advantages, const Mean& logps)
        : tokens(advantages.count), advantage(advantages.value()), logp(logps.value()) {}
    template <class Numbers>
    Covariance(backend::Host& backend, const Numbers& x) : Covariance(mean_of(backend, x, 0), mean_of(backend, x, 1)) {}
    ROARS_FN double of(double advantage_here, double logp_here) const {
        return (advantage_here - advantage) * (logp_here - logp);
    }
    template <class Numbers>
    ROARS_FN double operator()(const Numbers& x, std::int64_t t) const {
        return of(double(x(0, t)), double(x(1, t)));
    }
};

}  // namespace roars::detail
