#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include "roars/advantage/normalise.hpp"
#include "roars/advantage/reward_to_go.hpp"
#include "roars/algorithm.hpp"

namespace roars::advantage {

/// The advantage of `base`, whitened over the trainable tokens of the whole batch: (A - mean) / sqrt(var + eps), var
/// with n - ddof; masked tokens get 0. With fewer than two trainable tokens it stays as it is. Shapes: advantage
/// [tokens].
template <AdvantagePart Base>
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
        double center = all.count > 1 ? all.mean : 0.0;
        double scale = all.count > 1 ? 1.0 / std::sqrt(all.variance(ddof) + eps) : 1.0;
        parallel_for(run.backend, std::ssize(advantage), [&](std::int64_t t) {
            Real& own = advantage[static_cast<std::size_t>(t)];
            bool counts = roars::detail::trainable<col::mask>(batch, t);
            own = counts ? static_cast<Real>((double(own) - center) * scale) : Real(0);
        });
    }
    auto terms(const State& state) const requires HasTerms<Base> { return roars::detail::terms_of(base, state); }
};
template <class Base>
ROARS_FIELDS_OF((Whiten<Base>), base, eps, ddof)

/// REINFORCE++, arXiv 2501.03262: rewards to come, whitened over the batch.
using ReinforcePlusPlus = Whiten<RewardToGo>;
/// Its variant with the group's mean as baseline.
using ReinforcePlusPlusBaseline = Whiten<GroupMean>;

}  // namespace roars::advantage
