#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include "roars/advantage/normalise.hpp"
#include "roars/advantage/reward_to_go.hpp"
#include "roars/algorithm.hpp"
#include "roars/token_lanes.hpp"

namespace roars::advantage {

/// What whitening makes of the only trainable token of a batch, of which there is no variance.
namespace lone {
struct AsItIs {
    static constexpr bool whitened = false;
};
/// It is its own mean.
struct Zero {
    static constexpr bool whitened = true;
};
}  // namespace lone

/// The advantage of `base`, whitened over the trainable tokens of the whole batch: (A - mean) / sqrt(var + eps), var
/// with n - ddof; masked tokens get 0. Long sequences weigh more. Shapes: advantage [tokens].
template <AdvantagePart Base, class Lone = lone::AsItIs>
struct Whiten {
    Base base{};
    double eps = 1e-8;
    int ddof = 1;

    using needs = needs_of<Base>;
    using gives = gives_of<Base>;
    using State = state_of<Base>;

    template <class RunType, BatchWith<col::advantage> BatchType>
    void estimate(RunType& run, State& state, BatchType& batch) const {
        using Real = typename BatchType::Real;
        roars::detail::call_estimate(base, run, state, batch);
        std::span<Real> advantage = batch[col::advantage{}];
        std::span<const Real> mask{};
        if constexpr (BatchType::template has<col::mask>) mask = batch[col::mask{}];
        Moments all = moments(run.backend, advantage, mask);
        bool whitened = all.count > 1 || Lone::whitened;
        Real center = static_cast<Real>(whitened ? all.mean : 0.0);
        Real scale = static_cast<Real>(whitened ? 1.0 / std::sqrt(all.variance(ddof) + eps) : 1.0);
        map_tokens<col::advantage>(run.backend, batch, columns<col::advantage>{}, [=]<class X>(const X& x) {
            using V = value_t<X>;
            return (x[col::advantage{}] - V(center)) * V(scale);
        });
    }
    auto terms(const State& state) const requires HasTerms<Base> { return roars::detail::terms_of(base, state); }
};
template <class Base, class Lone>
ROARS_FIELDS_OF((Whiten<Base, Lone>), base, eps, ddof)

/// REINFORCE++, arXiv 2501.03262: rewards to come, whitened over the batch.
using ReinforcePlusPlus = Whiten<RewardToGo>;
/// Its variant with the group's mean as baseline.
using ReinforcePlusPlusBaseline = Whiten<GroupMean>;
/// As DLER's code has it, arXiv 2510.15110: a group of one keeps its raw reward.
using WhitenedGroupMean = Whiten<Normalise<center::GroupMeanUnlessAlone, scale::None>, lone::Zero>;

}  // namespace roars::advantage
