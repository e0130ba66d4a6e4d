#pragma once

#include <cstdint>

#include "roars/algorithm.hpp"

namespace roars::advantage {

/// A_t = A_t of `base` + A_t of `other`, a part without a State: a group's signal for the whole answer, and a return of
/// what its tokens cost. Masked tokens get 0. Shapes: advantage [tokens].
template <AdvantagePart Base, AdvantagePart Other>
struct Plus {
    Base base{};
    Other other{};

    using needs = unite_t<needs_of<Base>, needs_of<Other>>;
    using gives = unite_t<gives_of<Base>, gives_of<Other>>;
    using State = state_of<Base>;

    static constexpr bool everywhere = true;
    using Inner = Base;

    template <class X>
    struct Keep {
        X x;
        double* signal;
        ROARS_FN void operator()(std::int64_t t) const { signal[t] = static_cast<double>(x[col::advantage{}][t]); }
    };
    template <class X>
    struct Add {
        X x;
        const double* signal;
        ROARS_FN void operator()(std::int64_t t) const {
            auto& advantage = x[col::advantage{}][t];
            advantage = static_cast<typename X::Real>(x.trainable(t) ? double(advantage) + signal[t] : 0.0);
        }
    };
    template <class RunType, BatchWith<col::advantage> BatchType>
    void estimate(RunType& run, State& state, BatchType& batch) const {
        using Here = roars::detail::EverywhereOf<RunType>;
        auto x = view_of<columns<col::advantage>>(run, batch);
        using X = decltype(x);
        roars::detail::ScratchOf<double, RunType> signal(run.backend, batch.tokens());
        NoState none;
        roars::detail::call_estimate(other, run, none, batch);
        Here::for_each(run.backend, batch.tokens(), Keep<X>{x, signal.data()});
        roars::detail::call_estimate(base, run, state, batch);
        Here::for_each(run.backend, batch.tokens(), Add<X>{x, signal.data()});
    }
    auto terms(const State& state) const requires HasTerms<Base> { return roars::detail::terms_of(base, state); }
};
template <class Base, class Other>
ROARS_FIELDS_OF((Plus<Base, Other>), base, other)

}  // namespace roars::advantage
