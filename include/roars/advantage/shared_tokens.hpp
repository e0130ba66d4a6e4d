#pragma once

#include <cstdint>

#include "roars/algorithm.hpp"

namespace roars::advantage {

/// Hard attribution in a tree of rollouts: a token that d rollouts of the group share gets the mean of the d advantages
/// that Base gives its copies, another one keeps its own. A branch shares its first branch_token tokens with its
/// parent, the parent's with the parent's, and so on. (Soft attribution is Base alone: the copies have one ratio, and
/// unclipped their gradients add up to the same.) Shapes: branch_parent,
/// branch_token [sequences], advantage [tokens]. Source: ARPO, arXiv 2507.19849.
template <AdvantagePart Base>
struct SharedTokens {
    Base base{};

    using needs = unite_t<needs_of<Base>, columns<col::groups, col::branch_parent, col::branch_token>>;
    using gives = gives_of<Base>;
    using State = state_of<Base>;

    static constexpr bool everywhere = true;
    using Inner = Base;

    template <class X>
    struct OfGroup {
        X x;
        const typename X::Real* own;

        /// Whose token number t of sequence i is at first, [first, last) the group. Of parents in a circle it is one.
        ROARS_FN std::int64_t origin(std::int64_t first, std::int64_t last, std::int64_t i, std::int64_t t) const {
            for (std::int64_t step = first; step < last; ++step) {
                const std::int64_t parent = x[col::branch_parent{}][i];
                if (parent < 0 || parent >= last - first || t >= x[col::branch_token{}][i]) return i;
                i = first + parent;
            }
            return i;
        }
        /// How many tokens of sequence i may be another's too: those of its parent, and those of its branches.
        ROARS_FN std::int64_t shared(std::int64_t first, std::int64_t last, std::int64_t i) const {
            std::int64_t most = x[col::branch_parent{}][i] < 0 ? 0 : x[col::branch_token{}][i];
            for (std::int64_t j = first; j < last; ++j)
                if (x[col::branch_parent{}][j] == i - first)
                    most = math::max<std::int64_t>(most, x[col::branch_token{}][j]);
            return math::min(most, x.length(i));
        }
        ROARS_FN void operator()(std::int64_t g) const {
            const std::int64_t first = x[col::groups{}][g], last = x[col::groups{}][g + 1];
            for (std::int64_t i = first; i < last; ++i)
                for (std::int64_t t = 0, end = shared(first, last, i); t < end; ++t) {
                    const std::int64_t from = origin(first, last, i, t);
                    double sum = 0;
                    std::int64_t copies = 0;
                    for (std::int64_t j = first; j < last; ++j) {
                        if (t >= x.length(j) || origin(first, last, j, t) != from) continue;
                        sum += static_cast<double>(own[x.token_offsets[j] + t]);
                        ++copies;
                    }
                    if (copies > 1)
                        x[col::advantage{}][x.token_offsets[i] + t] =
                            static_cast<typename X::Real>(sum / static_cast<double>(copies));
                }
        }
    };
    template <class X>
    struct Copy {
        X x;
        typename X::Real* to;
        ROARS_FN void operator()(std::int64_t t) const { to[t] = x[col::advantage{}][t]; }
    };
    template <class RunType, BatchWith<col::groups, col::branch_parent, col::branch_token, col::advantage> BatchType>
    void estimate(RunType& run, State& state, BatchType& batch) const {
        using Here = roars::detail::EverywhereOf<RunType>;
        roars::detail::call_estimate(base, run, state, batch);
        auto x = view_of<columns<col::groups, col::branch_parent, col::branch_token, col::advantage>>(run, batch);
        using X = decltype(x);
        roars::detail::ScratchOf<typename BatchType::Real, RunType> own(run.backend, batch.tokens());
        Here::for_each(run.backend, batch.tokens(), Copy<X>{x, own.data()});
        Here::for_each(run.backend, batch.groups(), OfGroup<X>{x, own.data()});
    }
    auto terms(const State& state) const requires HasTerms<Base> { return roars::detail::terms_of(base, state); }
};
template <class Base>
ROARS_FIELDS_OF((SharedTokens<Base>), base)

}  // namespace roars::advantage
