#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include "roars/concepts.hpp"
#include "roars/primitives/segmented_reduce.hpp"

namespace roars::reward {

/// Moments of every reward so far; m2 is the sum of squared deviations from the mean.
struct RunningMoments {
    std::int64_t count = 0;
    double mean = 0.0;
    double m2 = 0.0;

    /// The standard deviation (population); 0 where there is none.
    double spread() const { return count > 0 ? std::sqrt(m2 / static_cast<double>(count)) : 0.0; }
    void add(const Moments& more) {
        Moments all = combine({count, mean, m2, false}, more);
        *this = {all.count, all.mean, all.m2};
    }
};
ROARS_FIELDS(RunningMoments, count, mean, m2)

/// r_i = (r_i - mean) / (std + eps), mean and std of all rewards so far, this batch's among them. For reward::Then.
struct RunningNormalise {
    double eps = 1e-6;

    using State = RunningMoments;

    template <class RunType, BatchWith<col::reward> BatchType>
    void amend(RunType& run, State& state, BatchType& batch) const {
        using Real = typename BatchType::Real;
        auto reward = batch[col::reward{}];
        state.add(moments(run.backend, std::span<const Real>(reward)));
        for (Real& r : reward) r = static_cast<Real>((static_cast<double>(r) - state.mean) / (state.spread() + eps));
    }
};
ROARS_FIELDS(RunningNormalise, eps)

/// r_i = r_i / (std + eps), std of all rewards so far: keeps their sign and what 0 means.
struct RunningScale {
    double eps = 1e-6;

    using State = RunningMoments;

    template <class RunType, BatchWith<col::reward> BatchType>
    void amend(RunType& run, State& state, BatchType& batch) const {
        using Real = typename BatchType::Real;
        auto reward = batch[col::reward{}];
        state.add(moments(run.backend, std::span<const Real>(reward)));
        for (Real& r : reward) r = static_cast<Real>(static_cast<double>(r) / (state.spread() + eps));
    }
};
ROARS_FIELDS(RunningScale, eps)

}  // namespace roars::reward
