#pragma once

#include <cstdint>

#include "roars/algorithm.hpp"

namespace roars::reward {

/// The reward of a sequence on its last trainable token, 0 on the others; dropped where it has none. What critics and
/// rewards-to-go of token sequences start from when nothing shapes the reward. Shapes: [sequences] -> token_reward
/// [tokens].
template <SequenceReward Base>
struct OnLastToken {
    Base base{};

    using needs = needs_of<Base>;
    using gives = columns<col::token_reward>;

    static constexpr bool everywhere = runs_everywhere<Base>;

    template <class X>
    struct OfSequence {
        roars::detail::ValueOfSequence<Base, X> value;
        ROARS_FN void operator()(std::int64_t i) const {
            std::int64_t last = value.x.last_trainable(i);
            if (last >= 0) value.x[col::token_reward{}][last] = value(i);
        }
    };
    template <class RunType, BatchWith<col::token_reward> BatchType>
    void score(RunType& run, BatchType& batch) const {
        using Here = roars::detail::EverywhereOf<RunType>;
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        Here::clear(run.backend, x[col::token_reward{}], batch.tokens());
        Here::for_each(run.backend, batch.sequences(), OfSequence<decltype(x)>{{base, x}});
    }
};
template <class Base>
ROARS_FIELDS_OF((OnLastToken<Base>), base)

}  // namespace roars::reward
