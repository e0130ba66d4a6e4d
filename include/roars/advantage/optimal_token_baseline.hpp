#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/advantage/reward_to_go.hpp"
#include "roars/advantage/times.hpp"

namespace roars::advantage {

/// The baseline of least variance at every place t of a group's sequences:
///     w_t = (1 - 2 pi_t + sum_pi_squared_t) weight_t^2,  pi = exp(logp_old),  W_t = w_1 + ... + w_t,
///     B_t = sum G_t W_t / (sum W_t + eps) over the group's sequences that reach t,   A_t = G_t - B_t,
/// G_t = rewards from t on. B_t = 0 where only one sequence reaches t. Masked tokens are left out of every sum and get
/// 0. Shapes: all [tokens]. Source: verl's optimal token baseline.
template <TokenWeight Weight = weight::One>
struct OptimalTokenBaseline {
    double eps = 1e-8;
    Weight weight{};

    using needs =
        unite_t<columns<col::groups, col::token_reward, col::logp_old, col::sum_pi_squared>, needs_of<Weight>>;
    using gives = columns<col::advantage>;

    template <class RunType,
              BatchWith<col::groups, col::token_reward, col::logp_old, col::sum_pi_squared, col::advantage> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        RewardToGo{}.estimate(run, batch);
        std::span<Real> advantage = batch[col::advantage{}];
        std::vector<double> energy = energies(run, batch);
        Offsets groups = batch[col::groups{}], tokens = batch.token_offsets();
        parallel_for(run.backend, batch.groups(), [&](std::int64_t g) {
            auto first = static_cast<std::size_t>(groups[std::size_t(g)]);
            auto last = static_cast<std::size_t>(groups[std::size_t(g) + 1]);
            std::int64_t longest = 0;
            for (std::size_t i = first; i < last; ++i) longest = std::max(longest, tokens[i + 1] - tokens[i]);
            for (std::int64_t t = 0; t < longest; ++t) {
                double product = 0.0, sum = 0.0;
                std::int64_t reaching = 0;
                auto each = [&](auto&& visit) {
                    for (std::size_t i = first; i < last; ++i)
                        if (tokens[i] + t < tokens[i + 1]) visit(tokens[i] + t);
                };
                each([&](std::int64_t at) {
                    ++reaching;
                    if (!roars::detail::trainable<col::mask>(batch, at)) return;
                    product += double(advantage[std::size_t(at)]) * energy[std::size_t(at)];
                    sum += energy[std::size_t(at)];
                });
                if (reaching < 2) continue;
                each([&](std::int64_t at) {
                    if (roars::detail::trainable<col::mask>(batch, at))
                        advantage[std::size_t(at)] -= static_cast<Real>(product / (sum + eps));
                });
            }
        });
    }

private:
    /// W. Shapes: [tokens].
    template <class RunType, class BatchType>
    std::vector<double> energies(RunType& run, const BatchType& batch) const {
        std::vector<double> energy(static_cast<std::size_t>(batch.tokens()));
        segmented_transform(run.backend, batch.token_offsets(), std::span(energy), [&](std::int64_t i, std::int64_t t) {
            if (!roars::detail::trainable<col::mask>(batch, t)) return 0.0;
            TokenView<BatchType> x(batch, i, t);
            double factor = weight(x);
            return (1.0 - 2.0 * std::exp(x[col::logp_old{}]) + x[col::sum_pi_squared{}]) * factor * factor;
        });
        segmented_inclusive_sum(run.backend, batch.token_offsets(), std::span<const double>(energy), std::span(energy));
        return energy;
    }
};
template <class Weight>
ROARS_FIELDS_OF((OptimalTokenBaseline<Weight>), eps, weight)

}  // namespace roars::advantage
