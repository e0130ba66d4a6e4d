#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <tuple>

#include "roars/concepts.hpp"
#include "roars/critic/value_loss.hpp"

namespace roars::advantage {

/// min(e^(temperature advantage), cap); 1 where temperature is 0, whatever the advantage.
inline double exponential_weight(double advantage, double temperature, double cap) {
    return std::min(temperature == 0.0 ? 1.0 : std::exp(temperature * advantage), cap);
}

/// A_t = min(exp(temperature (q_t - value_t)), cap): actions of the data, weighed by how much better than average they
/// are; with surrogate::PolicyGradient the loss is -weight logp. Masked rows get 0. Shapes: q, value -> advantage
/// [rows]. Sources: AWAC, arXiv 2006.09359 (temperature 1 / lambda); IQL, arXiv 2110.06169, eq. 7 (with
/// critic::Expectile).
template <class Critic = critic::None>
struct ExponentialWeight {
    double temperature = 3.0;
    double cap = 100.0;
    Critic critic{};

    using needs = columns<col::q, col::value>;
    using gives = columns<col::advantage>;

    template <class RunType, BatchWith<col::q, col::value, col::advantage> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        std::span<const Real> q = batch[col::q{}], value = batch[col::value{}];
        parallel_for(run.backend, batch.tokens(), [&](std::int64_t t) {
            auto i = static_cast<std::size_t>(t);
            bool counts = roars::detail::trainable<col::mask>(batch, t);
            batch[col::advantage{}][i] = static_cast<Real>(counts ? of(double(q[i]), double(value[i])) : 0.0);
        });
    }
    double of(double q, double value) const { return exponential_weight(q - value, temperature, cap); }
    std::tuple<Critic> terms(const NoState&) const requires TokenTerm<Critic> { return {critic}; }
};
template <class Critic>
ROARS_FIELDS_OF((ExponentialWeight<Critic>), temperature, cap, critic)

/// 1 where q > value, else 0: only actions that are better than the policy's own are imitated. As the weight of
/// CriticWeightOf. Source: CRR (binary), arXiv 2006.15134.
struct BinaryWeight {
    double of(double q, double value) const { return double(q > value); }
};
ROARS_FIELDS(BinaryWeight)

}  // namespace roars::advantage
