#pragma once

#include <cstdint>

#include "roars/concepts.hpp"
#include "roars/everywhere.hpp"

namespace roars::advantage {

/// For pass@k: only the best of a group (the first of equals) gets A = (r_best - r_second) / (std_g + eps), std with
/// n - ddof; all others, and a group of one, get 0. Shapes: reward [sequences] -> advantage [tokens].
/// Source: arXiv 2503.19595, as verl has it.
struct BestMinusSecond {
    double eps = 1e-6;
    int ddof = 1;

    using needs = columns<col::groups, col::reward>;
    using gives = columns<col::advantage>;

    static constexpr bool everywhere = true;

    /// Of a group the one that is its best: the sequence, and A.
    struct Best {
        std::int64_t sequence = -1;
        double advantage = 0.0;
    };
    template <class X>
    struct OfGroup {
        double eps;
        int ddof;
        X x;
        const Moments* groups;
        Best* best;
        ROARS_FN void operator()(std::int64_t g) const {
            best[g] = {};
            if (groups[g].equal) return;
            const auto* reward = x[col::reward{}];
            std::int64_t first = x[col::groups{}][g], second = -1;
            for (std::int64_t i = first + 1; i < x[col::groups{}][g + 1]; ++i)
                if (reward[i] > reward[first]) {
                    second = first;
                    first = i;
                } else if (second < 0 || reward[i] > reward[second]) {
                    second = i;
                }
            best[g] = {first, (static_cast<double>(reward[first]) - static_cast<double>(reward[second])) /
                                  (groups[g].spread(ddof) + eps)};
        }
    };
    template <class X>
    struct Write {
        X x;
        const Best* best;
        ROARS_FN void operator()(std::int64_t g) const {
            for (std::int64_t i = x[col::groups{}][g]; i < x[col::groups{}][g + 1]; ++i)
                for (std::int64_t t = x.token_offsets[i]; t < x.token_offsets[i + 1]; ++t)
                    x[col::advantage{}][t] =
                        static_cast<typename X::Real>(i == best[g].sequence ? best[g].advantage : 0.0);
        }
    };
    template <class RunType, BatchWith<col::groups, col::reward, col::advantage> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Here = roars::detail::EverywhereOf<RunType>;
        roars::detail::ScratchOf<Moments, RunType> groups(run.backend, batch.groups());
        roars::detail::ScratchOf<Best, RunType> best(run.backend, batch.groups());
        auto x = view_of<columns<col::groups, col::reward, col::advantage>>(run, batch);
        using X = decltype(x);
        Here::group_moments(run.backend, batch, static_cast<const typename BatchType::Real*>(x[col::reward{}]),
                            groups.data());
        Here::for_each(run.backend, batch.groups(), OfGroup<X>{eps, ddof, x, groups.data(), best.data()});
        Here::for_each(run.backend, batch.groups(), Write<X>{x, best.data()});
    }
};
ROARS_FIELDS(BestMinusSecond, eps, ddof)

}  // namespace roars::advantage
