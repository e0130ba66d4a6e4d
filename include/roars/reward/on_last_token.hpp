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

    template <class RunType, BatchWith<col::token_reward> BatchType>
    void score(RunType& run, BatchType& batch) const {
        Offsets offsets = batch.token_offsets();
        auto token_reward = batch[col::token_reward{}];
        parallel_for(run.backend, batch.sequences(), [&](std::int64_t i) {
            std::int64_t last = -1;
            for (std::int64_t t = offsets[std::size_t(i)]; t < offsets[std::size_t(i) + 1]; ++t) {
                token_reward[std::size_t(t)] = 0;
                if (roars::detail::trainable<col::mask>(batch, t)) last = t;
            }
            if (last >= 0)
                token_reward[std::size_t(last)] =
                    static_cast<typename BatchType::Real>(base.value(SequenceView<BatchType>(batch, i)));
        });
    }
};
template <class Base>
ROARS_FIELDS_OF((OnLastToken<Base>), base)

}  // namespace roars::reward
