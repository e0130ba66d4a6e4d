#pragma once

#include <cstdint>
#include <span>

#include "roars/concepts.hpp"
#include "roars/primitives/broadcast.hpp"
#include "roars/primitives/segmented_scan.hpp"

namespace roars {
namespace detail {

/// store(t, G_t) with G_t = r_t + gamma G_next over the trainable tokens of a sequence: others neither discount nor cut
/// the sum, and their reward is dropped.
template <class BatchType, class Store>
void reward_to_go(backend::Host& backend, const BatchType& batch, double gamma, Store&& store) {
    auto reward = batch[col::token_reward{}];
    segmented_affine_backward(
        backend, batch.token_offsets(),
        [&](std::int64_t t) {
            if (!trainable<col::mask>(batch, t)) return Affine<double>{};
            return Affine<double>{gamma, double(reward[static_cast<std::size_t>(t)])};
        },
        store);
}

}  // namespace detail

namespace advantage {

/// A_t = the discounted rewards of the trainable tokens from t on; 0 on the others. Shapes: token_reward -> advantage
/// [tokens]. REINFORCE, Williams 1992.
struct RewardToGo {
    double gamma = 1.0;

    using needs = columns<col::token_reward>;
    using gives = columns<col::advantage>;

    template <class RunType, BatchWith<col::token_reward, col::advantage> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        roars::detail::reward_to_go(run.backend, batch, gamma, [&](std::int64_t t, double sum) {
            batch[col::advantage{}][static_cast<std::size_t>(t)] =
                static_cast<typename BatchType::Real>(roars::detail::trainable<col::mask>(batch, t) ? sum : 0.0);
        });
    }
};
ROARS_FIELDS(RewardToGo, gamma)

/// A_t = rewards from t on - the outcome of the greedy answer to the same prompt, on trainable tokens; 0 elsewhere.
/// Shapes: token_reward [tokens], greedy_outcome [sequences] -> advantage [tokens]. Source: ReMax, arXiv 2310.10505.
struct Remax {
    using needs = columns<col::token_reward, col::greedy_outcome>;
    using gives = columns<col::advantage>;

    template <class RunType, BatchWith<col::token_reward, col::greedy_outcome, col::advantage> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        RewardToGo{}.estimate(run, batch);
        std::span<Real> advantage = batch[col::advantage{}];
        std::span<const Real> baseline = batch[col::greedy_outcome{}];
        segmented_for_each(run.backend, batch.token_offsets(), [&](std::int64_t sequence, std::int64_t t) {
            if (roars::detail::trainable<col::mask>(batch, t))
                advantage[static_cast<std::size_t>(t)] -= baseline[static_cast<std::size_t>(sequence)];
        });
    }
};
ROARS_FIELDS(Remax)

}  // namespace advantage
}  // namespace roars
