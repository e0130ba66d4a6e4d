#pragma once

#include <concepts>
#include <cstdint>

#include "roars/algorithm.hpp"

namespace roars {

/// of_group(x, g): a factor for every token of group g, from columns in its `needs`; x a view of the batch.
template <class W>
concept GroupWeight = Part<W> && requires(const W& weight, const archetype::AnyView& x, std::int64_t g) {
    { weight.of_group(x, g) } -> std::convertible_to<double>;
};

namespace weight {

/// 4 sigma d (1 - d), d the share of the group's answers that are right (outcome > 0.5), whatever else they are paid
/// for: sigma where half are, 0 where all or none are. Source: Observe-R1, arXiv 2505.12432.
struct Uncertainty {
    double sigma = 1.8;

    using needs = columns<col::groups, col::outcome>;
    static constexpr bool everywhere = true;

    ROARS_FN double of_share(double right) const { return 4.0 * sigma * right * (1.0 - right); }
    template <class X>
    ROARS_FN double of_group(const X& x, std::int64_t g) const {
        const std::int64_t first = x[col::groups{}][g], last = x[col::groups{}][g + 1];
        std::int64_t right = 0;
        for (std::int64_t i = first; i < last; ++i) right += x[col::outcome{}][i] > 0.5;
        return last > first ? of_share(static_cast<double>(right) / static_cast<double>(last - first)) : 0.0;
    }
};
ROARS_FIELDS(Uncertainty, sigma)

}  // namespace weight

namespace advantage {

/// A_t = weight_g A_t of `base`, g the token's group. Masked tokens get 0. Shapes: advantage [tokens].
template <AdvantagePart Base, GroupWeight Weight>
struct TimesGroup {
    Base base{};
    Weight weight{};

    using needs = unite_t<columns<col::groups>, needs_of<Base>, minus_t<needs_of<Weight>, gives_of<Base>>>;
    using gives = gives_of<Base>;
    using State = state_of<Base>;

    static constexpr bool everywhere = runs_everywhere<Weight>;
    using Inner = Base;

    template <class X>
    struct OfGroup {
        Weight weight;
        X x;
        double* factor;
        ROARS_FN void operator()(std::int64_t g) const {
            const double own = weight.of_group(x, g);
            for (std::int64_t i = x[col::groups{}][g]; i < x[col::groups{}][g + 1]; ++i) factor[i] = own;
        }
    };
    template <class X>
    struct Weigh {
        X x;
        const double* factor;
        ROARS_FN void operator()(std::int64_t i, std::int64_t t) const {
            auto& advantage = x[col::advantage{}][t];
            advantage = static_cast<typename X::Real>(x.trainable(t) ? factor[i] * double(advantage) : 0.0);
        }
    };
    template <class RunType, BatchWith<col::groups, col::advantage> BatchType>
    void estimate(RunType& run, State& state, BatchType& batch) const {
        using Here = roars::detail::EverywhereOf<RunType>;
        roars::detail::call_estimate(base, run, state, batch);
        auto x = view_of<unite_t<columns<col::groups>, needs_of<Weight>, columns<col::advantage>>>(run, batch);
        using X = decltype(x);
        roars::detail::ScratchOf<double, RunType> factor(run.backend, batch.sequences());
        Here::for_each(run.backend, batch.groups(), OfGroup<X>{weight, x, factor.data()});
        Here::for_each_token(run.backend, batch, Weigh<X>{x, factor.data()});
    }
    auto terms(const State& state) const requires HasTerms<Base> { return roars::detail::terms_of(base, state); }
};
template <class Base, class Weight>
ROARS_FIELDS_OF((TimesGroup<Base, Weight>), base, weight)

}  // namespace advantage
}  // namespace roars
