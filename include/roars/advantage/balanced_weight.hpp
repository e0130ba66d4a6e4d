#pragma once

#include <cmath>
#include <tuple>

#include "roars/advantage/exponential_weight.hpp"

namespace roars::advantage {

/// A_t = min(exp(b_t (q_t - value_t)), cap), b = balance: ExponentialWeight with a temperature for every row; b = 0
/// clones. Masked rows get 0. Shapes: q, value, balance -> advantage [rows]. Source: FamO2O, arXiv 2310.17966, section
/// 4.1.
template <class Critic = critic::None>
struct BalancedWeight {
    double cap = 100.0;
    Critic critic{};

    using needs = columns<col::q, col::value, col::balance>;
    using gives = columns<col::advantage>;

    template <class RunType, BatchWith<col::q, col::value, col::balance, col::advantage> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        std::span<const Real> q = batch[col::q{}], value = batch[col::value{}], balance = batch[col::balance{}];
        parallel_for(run.backend, batch.tokens(), [&](std::int64_t t) {
            auto i = static_cast<std::size_t>(t);
            bool counts = roars::detail::trainable<col::mask>(batch, t);
            batch[col::advantage{}][i] =
                static_cast<Real>(counts ? of(double(q[i]), double(value[i]), double(balance[i])) : 0.0);
        });
    }
    double of(double q, double value, double balance) const { return exponential_weight(q - value, balance, cap); }
    std::tuple<Critic> terms(const NoState&) const requires TokenTerm<Critic> { return {critic}; }
};
template <class Critic>
ROARS_FIELDS_OF((BalancedWeight<Critic>), cap, critic)

}  // namespace roars::advantage
