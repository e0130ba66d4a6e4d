#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "roars/concepts.hpp"

/// The balance between improving on the data and staying near it, as an input of the policy: a coefficient b in
/// [low, high] for every row, col::balance. Source: FamO2O, arXiv 2310.17966.
namespace roars::sampler {

struct BalanceRange {
    double low = 8.0;
    double high = 14.0;

    /// u in [0, 1]; 0 and 1 give the ends exactly.
    double from_uniform(double u) const { return std::lerp(low, high, u); }
    /// x in [-1, 1], the action of a balance policy.
    double from_action(double x) const { return std::lerp(low, high, 0.5 * (x + 1.0)); }
    /// d from_action / dx
    double slope() const { return 0.5 * (high - low); }
};
ROARS_FIELDS(BalanceRange, low, high)

/// e[2 i] = sin(b / base^(2 i / d)), e[2 i + 1] = cos(the same), d = the size of e: what a policy reads beside the
/// state. The first pair repeats every 2 pi. Errors: an odd size.
template <class Real>
void encode_balance(double balance, double base, std::span<Real> encoding) {
    std::size_t size = encoding.size();
    expect(size % 2 == 0,
           [&] { return "balance encoding: " + std::to_string(size) + " dimensions, expected an even number"; });
    for (std::size_t i = 0; i < size; i += 2) {
        double angle = balance / std::pow(base, double(i) / double(size));
        encoding[i] = static_cast<Real>(std::sin(angle));
        encoding[i + 1] = static_cast<Real>(std::cos(angle));
    }
}

/// d e / d b. Shapes: as e.
template <class Real>
void encoded_balance_slope(double balance, double base, std::span<Real> slope) {
    for (std::size_t i = 0; i + 1 < slope.size(); i += 2) {
        double scale = std::pow(base, -double(i) / double(slope.size())), angle = balance * scale;
        slope[i] = static_cast<Real>(scale * std::cos(angle));
        slope[i + 1] = static_cast<Real>(-scale * std::sin(angle));
    }
}

/// Gives every row of what was collected a balance of its own, uniform in the range: the policy learns all of them.
struct UniformBalance {
    BalanceRange range{};

    using gives = columns<col::balance>;

    template <class RunType, class State, BatchWith<col::balance> BatchType>
    void amend(RunType& run, State&, BatchType& batch) const {
        Random random = run.random.of(Purpose::noise).at(static_cast<std::uint32_t>(run.progress.iteration));
        auto balance = batch[col::balance{}];
        parallel_for(run.backend, std::ssize(balance), [&](std::int64_t i) {
            double u = random.uniform(static_cast<std::uint32_t>(i), 0);
            balance[static_cast<std::size_t>(i)] = static_cast<typename BatchType::Real>(range.from_uniform(u));
        });
    }
};
ROARS_FIELDS(UniformBalance, range)

}  // namespace roars::sampler
