#pragma once

#include <cstdint>

#include "roars/algorithm.hpp"
#include "roars/primitives/broadcast.hpp"
#include "roars/primitives/segmented_scan.hpp"
#include "roars/token_lanes.hpp"

namespace roars {
namespace detail {

/// G_t = r_t + gamma G_next over the trainable tokens of a sequence: others neither discount nor cut the sum, their
/// reward is dropped, they get 0. What `segmented_affine_backward_in_blocks` works with.
template <class BatchType>
class RewardsToGo {
public:
    using Real = typename BatchType::Real;

    RewardsToGo(BatchType& batch, double gamma)
        : tokens_(batch), to_(batch[col::advantage{}].data()), gamma_(static_cast<Real>(gamma)) {}

    void coefficients(std::int64_t begin, std::int64_t end, Real* a, Real* b) const {
        static_assert(scan_block % Tokens::lanes == 0, "a last step that is not full stores whole lanes");
        tokens_.for_each(begin, end, [&](const auto& x, const auto& counts, std::int64_t t, std::int64_t) {
            math::store(a + (t - begin), math::select(counts, V(gamma_), V(Real(1))));
            math::store(b + (t - begin), math::select(counts, x[col::token_reward{}], V(Real(0))));
        });
    }
    void store(std::int64_t begin, std::int64_t end, const Real* y, bool) const {
        tokens_.write(to_, begin, end, [&](const auto&, std::int64_t t) { return math::load<V>(y + (t - begin)); });
    }

private:
    using V = math::Lanes<Real>;
    using Tokens = TokenLanes<V, col::mask, BatchType, col::token_reward>;
    Tokens tokens_;
    Real* to_;
    Real gamma_;
};

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
        segmented_affine_backward_in_blocks(run.backend, batch.token_offsets(),
                                            roars::detail::RewardsToGo<BatchType>(batch, gamma));
    }
};
ROARS_FIELDS(RewardToGo, gamma)

/// A_t = rewards from t on - the outcome of the greedy answer to the same prompt, on trainable tokens; 0 elsewhere.
/// Shapes: token_reward [tokens], greedy_outcome [sequences] -> advantage [tokens]. Source: ReMax, arXiv 2310.10505.
struct Remax {
    using needs = columns<col::token_reward, col::greedy_outcome>;
    using gives = columns<col::advantage>;

    static constexpr bool everywhere = true;
    using Inner = RewardToGo;

    template <class X>
    struct Subtract {
        X x;
        ROARS_FN void operator()(std::int64_t i, std::int64_t t) const {
            if (x.trainable(t)) x[col::advantage{}][t] -= x[col::greedy_outcome{}][i];
        }
    };
    template <class RunType, BatchWith<col::token_reward, col::greedy_outcome, col::advantage> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        NoState none;
        roars::detail::call_estimate(RewardToGo{}, run, none, batch);
        auto x = view_of<columns<col::greedy_outcome, col::advantage>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each_token(run.backend, batch, Subtract<decltype(x)>{x});
    }
};
ROARS_FIELDS(Remax)

}  // namespace advantage
}  // namespace roars
