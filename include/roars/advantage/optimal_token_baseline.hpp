#pragma once

#include <cstdint>

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

    static constexpr bool everywhere = runs_everywhere<Weight>;
    using Inner = RewardToGo;

    /// W of a sequence's tokens; 0 where one is masked.
    template <class X>
    struct Energies {
        Weight weight;
        X x;
        double* energy;
        ROARS_FN void operator()(std::int64_t i) const {
            double sum = 0.0;
            for (std::int64_t t = x.token_offsets[i]; t < x.token_offsets[i + 1]; ++t) {
                energy[t] = 0.0;
                if (!x.trainable(t)) continue;
                TokenView<X> token(x, i, t);
                const double factor = weight(token);
                sum += (1.0 - 2.0 * math::exp(token[col::logp_old{}]) + token[col::sum_pi_squared{}]) * factor * factor;
                energy[t] = sum;
            }
        }
    };
    template <class X>
    struct TakeBaseline {
        double eps;
        X x;
        const double* energy;
        /// visit(token) for the place of each of the group's sequences that reach it.
        template <class Visit>
        ROARS_FN void each_at(std::int64_t g, std::int64_t place, Visit&& visit) const {
            for (std::int64_t i = x[col::groups{}][g]; i < x[col::groups{}][g + 1]; ++i)
                if (place < x.length(i)) visit(x.token_offsets[i] + place);
        }
        ROARS_FN void operator()(std::int64_t g) const {
            for (std::int64_t place = 0;; ++place) {
                double product = 0.0, sum = 0.0;
                std::int64_t reaching = 0;
                each_at(g, place, [&](std::int64_t t) {
                    ++reaching;
                    if (!x.trainable(t)) return;
                    product += static_cast<double>(x[col::advantage{}][t]) * energy[t];
                    sum += energy[t];
                });
                if (reaching < 2) return;  // nor does another place have more
                const double baseline = product / (sum + eps);
                each_at(g, place, [&](std::int64_t t) {
                    if (x.trainable(t)) x[col::advantage{}][t] -= static_cast<typename X::Real>(baseline);
                });
            }
        }
    };
    template <class RunType,
              BatchWith<col::groups, col::token_reward, col::logp_old, col::sum_pi_squared, col::advantage> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Here = roars::detail::EverywhereOf<RunType>;
        NoState none;
        roars::detail::call_estimate(RewardToGo{}, run, none, batch);
        roars::detail::ScratchOf<double, RunType> energy(run.backend, batch.tokens());
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        using X = decltype(x);
        Here::for_each(run.backend, batch.sequences(), Energies<X>{weight, x, energy.data()});
        Here::for_each(run.backend, batch.groups(), TakeBaseline<X>{eps, x, energy.data()});
    }
};
template <class Weight>
ROARS_FIELDS_OF((OptimalTokenBaseline<Weight>), eps, weight)

}  // namespace roars::advantage
