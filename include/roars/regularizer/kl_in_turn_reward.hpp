#pragma once

#include <cstdint>

#include "roars/regularizer/kl.hpp"

namespace roars::regularizer {

/// KL in the reward of turns: that of KlOfTokens plus each turn's reward on its last trainable token. A turn without
/// one loses its reward: the State counts those of the last batch. Shapes: turn_reward [turns] -> token_reward
/// [tokens].
struct KlInTurnReward {
    double coefficient = 0.05;

    using needs = columns<col::turns, col::turn_owner, col::turn_reward, col::logp_old, col::logp_ref>;
    using gives = columns<col::token_reward>;

    struct State {
        std::int64_t dropped = 0;
        ROARS_MEMBERS(State, dropped)
    };

    template <class RunType,
              BatchWith<col::turns, col::turn_owner, col::turn_reward, col::logp_old, col::logp_ref, col::token_reward>
                  BatchType>
    void shape(RunType& run, State& state, BatchType& batch) const {
        KlOfTokens{coefficient}.shape(run, batch);
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        state.dropped = 0;
        for (std::int64_t k = 0; k < batch.turns(); ++k) {
            std::int64_t t = x[col::turns{}][k + 1] - 1;
            while (t >= x[col::turns{}][k] && !x.trainable(t)) --t;
            if (t >= x[col::turns{}][k])
                x[col::token_reward{}][t] += x[col::turn_reward{}][k];
            else
                ++state.dropped;
        }
    }
};
ROARS_FIELDS(KlInTurnReward, coefficient)

}  // namespace roars::regularizer
