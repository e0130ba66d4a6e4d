#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/primitives/broadcast.hpp"
#include "roars/primitives/segmented_reduce.hpp"
#include "roars/primitives/sort.hpp"

namespace roars::advantage {

/// For pass@k: only the best of a group (the first of equals) gets A = (r_best - r_second) / (std_g + eps), std with
/// n - ddof; all others, and a group of one, get 0. Shapes: reward [sequences] -> advantage [tokens].
/// Source: arXiv 2503.19595, as verl has it.
struct BestMinusSecond {
    double eps = 1e-6;
    int ddof = 1;

    using needs = columns<col::groups, col::reward>;
    using gives = columns<col::advantage>;

    template <class RunType, BatchWith<col::groups, col::reward, col::advantage> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        std::span<const Real> reward = batch[col::reward{}];
        std::vector<Moments> groups(static_cast<std::size_t>(batch.groups()));
        segmented_moments(run.backend, batch[col::groups{}], reward, std::span(groups));
        SegmentedIndices top = segmented_top_k(run.backend, batch[col::groups{}], reward, 2);

        std::vector<Real> signal(reward.size());
        for (std::size_t g = 0; g < groups.size(); ++g) {
            if (groups[g].equal) continue;
            auto first = static_cast<std::size_t>(top.index[static_cast<std::size_t>(top.offsets[g])]);
            auto second = static_cast<std::size_t>(top.index[static_cast<std::size_t>(top.offsets[g]) + 1]);
            signal[first] =
                static_cast<Real>((double(reward[first]) - double(reward[second])) / (groups[g].spread(ddof) + eps));
        }
        segmented_broadcast(run.backend, batch.token_offsets(), std::span<const Real>(signal), batch[col::advantage{}]);
    }
};
ROARS_FIELDS(BestMinusSecond, eps, ddof)

}  // namespace roars::advantage
