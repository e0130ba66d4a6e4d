#pragma once

#include "roars/optimizer/preference/pair_losses.hpp"

namespace roars::pair {

/// What another f-divergence than the reverse KL makes of a log-ratio u of an answer: f'(e^u) up to a constant, and its
/// derivative. The reverse KL itself leaves u as it is. Source: arXiv 2309.16240, table 1.
namespace link {
template <class V>
struct Value {
    V value, slope;
};
/// (1 - e^{-alpha u}) / alpha, alpha > 0; -alpha u is held at 40, so that a square of its exponential is finite in
/// float, with slope 0 beyond.
struct AlphaDivergence {
    double alpha = 0.5;

    template <class V>
    ROARS_FN Value<V> of(const V& u) const {
        const V rate = detail::constant<V>(-alpha), most = detail::constant<V>(40), zero = detail::constant<V>(0);
        V power = rate * u, held = math::min(power, most);
        return {math::expm1(held) / rate, math::select(power <= most, math::exp(held), zero)};
    }
};
/// -e^{-u} (+ 1): AlphaDivergence of 1.
struct ForwardKl {
    template <class V>
    ROARS_FN Value<V> of(const V& u) const {
        return AlphaDivergence{1.0}.of(u);
    }
};
/// log s(u), s the sigmoid.
struct JensenShannon {
    template <class V>
    ROARS_FN Value<V> of(const V& u) const {
        return {math::log_sigmoid(u), math::sigmoid(-u)};
    }
};
ROARS_FIELDS(AlphaDivergence, alpha)
ROARS_FIELDS(ForwardKl)
ROARS_FIELDS(JensenShannon)
}  // namespace link

/// Another loss of the linked log-ratios: f-DPO. The policy is regularised by that divergence in the place of the
/// reverse KL. For losses of the margin, where the link's constant cancels.
template <class Link, class Base = Logistic>
struct FDivergence {
    Base base{};
    Link link{};

    template <class V>
    ROARS_FN Loss<V> of(const View<V>& x) const {
        auto chosen = link.of(x.chosen), rejected = link.of(x.rejected);
        Loss<V> loss = base.of(View<V>{chosen.value, rejected.value, x.chosen_length, x.rejected_length});
        return {loss.value, loss.by_chosen * chosen.slope, loss.by_rejected * rejected.slope};
    }
};
template <class Link, class Base>
ROARS_FIELDS_OF((FDivergence<Link, Base>), base, link)

}  // namespace roars::pair
