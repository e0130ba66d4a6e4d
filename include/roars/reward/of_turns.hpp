#pragma once

#include <cstdint>

#include "roars/algorithm.hpp"

namespace roars::reward {

/// The reward of a sequence as that of its last turn, 0 for the turns before. Shapes: [sequences] -> turn_reward
/// [turns].
template <SequenceReward Base>
struct OnLastTurn {
    Base base{};

    using needs = unite_t<needs_of<Base>, columns<col::turns, col::turn_owner>>;
    using gives = columns<col::turn_reward>;

    static constexpr bool everywhere = runs_everywhere<Base>;

    template <class X>
    struct OfSequence {
        roars::detail::ValueOfSequence<Base, X> value;
        ROARS_FN void operator()(std::int64_t i) const {
            const X& x = value.x;
            const std::int64_t first = x[col::turn_owner{}][i], last = x[col::turn_owner{}][i + 1];
            for (std::int64_t k = first; k < last; ++k) x[col::turn_reward{}][k] = k + 1 == last ? value(i) : 0;
        }
    };
    template <class RunType, BatchWith<col::turns, col::turn_owner, col::turn_reward> BatchType>
    void score(RunType& run, BatchType& batch) const {
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.sequences(),
                                                       OfSequence<decltype(x)>{{base, x}});
    }
};
template <class Base>
ROARS_FIELDS_OF((OnLastTurn<Base>), base)

/// r_t -> alpha r_t + beta for a turn whose action the environment carried out, alpha r_t for another. The bonus of a
/// long task adds up: beta times its steps should stay within 1, and where success ends the task it pays for not
/// ending. For Then. Shapes: executed, turn_reward [turns]. Source: SPA-RL, arXiv 2505.20732.
struct Grounding {
    double alpha = 1.0;
    double beta = 0.5;

    using needs = columns<col::turns, col::turn_owner, col::executed>;

    static constexpr bool everywhere = true;

    template <class X>
    struct OfTurn {
        double alpha, beta;
        X x;
        ROARS_FN void operator()(std::int64_t k) const {
            auto& reward = x[col::turn_reward{}][k];
            reward = static_cast<typename X::Real>(alpha * double(reward) + (x[col::executed{}][k] != 0 ? beta : 0.0));
        }
    };
    template <class RunType, class State,
              BatchWith<col::turns, col::turn_owner, col::executed, col::turn_reward> BatchType>
    void amend(RunType& run, State&, BatchType& batch) const {
        auto x = view_of<columns<col::executed, col::turn_reward>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.turns(), OfTurn<decltype(x)>{alpha, beta, x});
    }
};
ROARS_FIELDS(Grounding, alpha, beta)

}  // namespace roars::reward
