#pragma once

#include <cstdint>

#include "roars/advantage/normalise.hpp"

namespace roars {

/// Among which numbers of a group a gain, or an outcome, is normalised.
namespace pool {
/// The gains of all turns among themselves, the outcomes among themselves.
struct Separate {
    ROARS_FN static Moments of_gains(const Moments& gains, const Moments&) { return gains; }
    ROARS_FN static Moments of_outcomes(const Moments&, const Moments& outcomes) { return outcomes; }
};
/// Gains and outcomes together.
struct Joint {
    ROARS_FN static Moments of_gains(const Moments& gains, const Moments& outcomes) { return combine(gains, outcomes); }
    ROARS_FN static Moments of_outcomes(const Moments& gains, const Moments& outcomes) {
        return combine(gains, outcomes);
    }
};
ROARS_FIELDS(Separate)
ROARS_FIELDS(Joint)
}  // namespace pool

namespace schedule {
/// From one number at the start of the run to another at its end, along a line.
struct FromTo {
    double from = 1.0, to = 1.0;
    constexpr double at(double fraction) const { return from + (to - from) * fraction; }
};
ROARS_FIELDS(FromTo, from, to)
}  // namespace schedule

namespace advantage {

/// The return of a turn, for each of its own tokens; those with mask 0 get 0:
///     A_t = x_t + gamma A_(t+1),   x_t = gain_weight z(g_t) before the last turn, outcome_weight z(r) at it,
/// z(v) = (v - mean) / (std + eps) over the pool of v in its group; a group of one and equal values give 0. The turns
/// are offsets, so a gain of exactly 0 is a turn like any other. Shapes: turn_reward [turns] (the last turn's is not
/// read), reward [sequences] -> advantage [tokens]. Source: IGPO, arXiv 2510.14967.
template <class Pool = pool::Separate>
struct TurnReturns {
    double gamma = 1.0;
    scale::GroupSpread spread{.eps = 1e-6, .ddof = 0};
    Pool pool{};
    schedule::FromTo gain_weight{};
    schedule::FromTo outcome_weight{};

    using needs = columns<col::groups, col::turns, col::turn_owner, col::turn_reward, col::reward>;
    using gives = columns<col::advantage>;

    static constexpr bool everywhere = true;

    ROARS_FN double normalised(double value, const Moments& among) const {
        const NormaliserView view{value, among, among};
        const center::GroupMean mean;
        return mean.degenerate(view) ? 0.0 : (value - mean(view)) / spread(view);
    }

    template <class X>
    struct OfGroup {
        TurnReturns part;
        X x;
        double of_gain, of_outcome;  ///< the weights in force
        double* to;                  ///< of a turn
        ROARS_FN static Moments only(double value) { return {1, value, 0.0, true}; }
        ROARS_FN void operator()(std::int64_t g) const {
            const std::int64_t begin = x[col::groups{}][g], end = x[col::groups{}][g + 1];
            const auto* owner = x[col::turn_owner{}];
            Moments gains, outcomes;
            for (std::int64_t i = begin; i < end; ++i) {
                outcomes = combine(outcomes, only(double(x[col::reward{}][i])));
                for (std::int64_t k = owner[i]; k + 1 < owner[i + 1]; ++k)
                    gains = combine(gains, only(double(x[col::turn_reward{}][k])));
            }
            const Moments among_gains = Pool::of_gains(gains, outcomes);
            const Moments among_outcomes = Pool::of_outcomes(gains, outcomes);
            const bool alone = end - begin == 1;
            for (std::int64_t i = begin; i < end; ++i) {
                double sum = 0.0;
                for (std::int64_t k = owner[i + 1] - 1; k >= owner[i]; --k) {
                    const double own = k + 1 == owner[i + 1]
                                           ? of_outcome * part.normalised(double(x[col::reward{}][i]), among_outcomes)
                                           : of_gain * part.normalised(double(x[col::turn_reward{}][k]), among_gains);
                    sum = own + part.gamma * sum;
                    to[k] = alone ? 0.0 : sum;
                }
            }
        }
    };
    template <class X>
    struct Spread {
        X x;
        const double* of_turn;
        ROARS_FN void operator()(std::int64_t k) const {
            for (std::int64_t t = x[col::turns{}][k]; t < x[col::turns{}][k + 1]; ++t)
                x[col::advantage{}][t] = static_cast<typename X::Real>(x.trainable(t) ? of_turn[k] : 0.0);
        }
    };
    template <
        class RunType,
        BatchWith<col::groups, col::turns, col::turn_owner, col::turn_reward, col::reward, col::advantage> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Here = roars::detail::EverywhereOf<RunType>;
        roars::detail::ScratchOf<double, RunType> of_turn(run.backend, batch.turns());
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        const double so_far = run.progress.fraction();
        Here::for_each(
            run.backend, batch.groups(),
            OfGroup<decltype(x)>{*this, x, gain_weight.at(so_far), outcome_weight.at(so_far), of_turn.data()});
        Here::for_each(run.backend, batch.turns(), Spread<decltype(x)>{x, of_turn.data()});
    }
};
template <class Pool>
ROARS_FIELDS_OF((TurnReturns<Pool>), gamma, spread, pool, gain_weight, outcome_weight)

}  // namespace advantage
}  // namespace roars
