#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/primitives/broadcast.hpp"
#include "roars/primitives/sort.hpp"

namespace roars::advantage {

/// Keeps, for a likelihood over col::keep, the `best` sequences of highest reward of each group (of equal ones the
/// first) whose reward is at least threshold + rise * iteration. Shapes: reward [sequences] -> keep [tokens], 0 on
/// masked tokens. Sources: RAFT, arXiv 2304.06767; ReST, arXiv 2308.08998, whose threshold rises.
struct BestOfGroup {
    std::int64_t best = 1;
    double threshold = -std::numeric_limits<double>::max();
    double rise = 0.0;

    using needs = columns<col::groups, col::reward>;
    using gives = columns<col::keep>;

    template <class RunType, BatchWith<col::groups, col::reward, col::keep> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        std::span<const Real> reward = batch[col::reward{}];
        double least = threshold + rise * static_cast<double>(run.progress.iteration);
        std::vector<char> kept(reward.size());
        for (std::int64_t i : segmented_top_k(run.backend, batch[col::groups{}], reward, best).index)
            kept[static_cast<std::size_t>(i)] = double(reward[static_cast<std::size_t>(i)]) >= least;
        segmented_transform(
            run.backend, batch.token_offsets(), batch[col::keep{}], [&](std::int64_t i, std::int64_t t) {
                return kept[static_cast<std::size_t>(i)] && roars::detail::trainable<col::mask>(batch, t) ? Real(1)
                                                                                                          : Real(0);
            });
    }
};
ROARS_FIELDS(BestOfGroup, best, threshold, rise)

}  // namespace roars::advantage
