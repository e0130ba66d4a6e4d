#pragma once

#include <cstdint>

#include "roars/algorithm.hpp"
#include "roars/primitives/segmented_reduce.hpp"

namespace roars::advantage {

/// The reward of a turn for the token that decides in it, and for no other: A_t = (r_k - mean_g) / (std_g + eps), k the
/// turn of token t, over the trainable tokens of the group with decision != 0; 0 elsewhere, and where there is one or
/// all rewards are equal. What is paid for a decision cannot teach the rest of the rollout to seek easy decisions.
/// Shapes: turn_reward [turns], decision [tokens] -> advantage [tokens].
struct DecisionZScore {
    double eps = 1e-6;
    int ddof = 1;

    using needs = columns<col::groups, col::turns, col::turn_owner, col::turn_reward, col::decision>;
    using gives = columns<col::advantage>;

    static constexpr bool everywhere = true;

    template <class X>
    struct OfGroup {
        X x;
        double eps;
        int ddof;
        /// visit(token, the reward of its turn) for the tokens of the group that decide.
        template <class Visit>
        ROARS_FN void each(std::int64_t g, Visit&& visit) const {
            for (std::int64_t i = x[col::groups{}][g]; i < x[col::groups{}][g + 1]; ++i)
                for (std::int64_t k = x[col::turn_owner{}][i]; k < x[col::turn_owner{}][i + 1]; ++k)
                    for (std::int64_t t = x[col::turns{}][k]; t < x[col::turns{}][k + 1]; ++t)
                        if (x.trainable(t) && x[col::decision{}][t] != 0)
                            visit(t, static_cast<double>(x[col::turn_reward{}][k]));
        }
        ROARS_FN void operator()(std::int64_t g) const {
            Moments all{};
            each(g, [&](std::int64_t, double reward) { all = combine(all, Moments{1, reward, 0.0, true}); });
            if (all.equal) return;
            each(g, [&](std::int64_t t, double reward) {
                x[col::advantage{}][t] = static_cast<typename X::Real>((reward - all.mean) / (all.spread(ddof) + eps));
            });
        }
    };
    template <
        class RunType,
        BatchWith<col::groups, col::turns, col::turn_owner, col::turn_reward, col::decision, col::advantage> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Here = roars::detail::EverywhereOf<RunType>;
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        Here::clear(run.backend, x[col::advantage{}], batch.tokens());
        Here::for_each(run.backend, batch.groups(), OfGroup<decltype(x)>{x, eps, ddof});
    }
};
ROARS_FIELDS(DecisionZScore, eps, ddof)

}  // namespace roars::advantage
