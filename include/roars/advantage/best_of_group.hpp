#pragma once

#include <cstdint>
#include <limits>

#include "roars/concepts.hpp"
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

    static constexpr bool everywhere = true;

    /// kept_i of a group's sequences: less than `best` of its others come before i.
    template <class X>
    struct OfGroup {
        X x;
        std::int64_t best;
        double least;
        char* kept;
        ROARS_FN void operator()(std::int64_t g) const {
            const auto* reward = x[col::reward{}];
            const std::int64_t first = x[col::groups{}][g], last = x[col::groups{}][g + 1];
            for (std::int64_t i = first; i < last; ++i) {
                std::int64_t before = 0;
                for (std::int64_t j = first; j < last; ++j)
                    before += Descending{}(reward[j], reward[i]) || (j < i && !Descending{}(reward[i], reward[j]));
                kept[i] = before < best && double(reward[i]) >= least;
            }
        }
    };
    template <class X>
    struct OfToken {
        X x;
        const char* kept;
        ROARS_FN void operator()(std::int64_t i, std::int64_t t) const {
            x[col::keep{}][t] = static_cast<typename X::Real>(kept[i] && x.trainable(t));
        }
    };
    template <class RunType, BatchWith<col::groups, col::reward, col::keep> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Here = roars::detail::EverywhereOf<RunType>;
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        using X = decltype(x);
        double least = threshold + rise * static_cast<double>(run.progress.iteration);
        roars::detail::ScratchOf<char, RunType> kept(run.backend, batch.sequences());
        Here::for_each(run.backend, batch.groups(), OfGroup<X>{x, best, least, kept.data()});
        Here::for_each_token(run.backend, batch, OfToken<X>{x, kept.data()});
    }
};
ROARS_FIELDS(BestOfGroup, best, threshold, rise)

}  // namespace roars::advantage
