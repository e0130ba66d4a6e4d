#pragma once

#include "roars/fields.hpp"
#include "roars/term.hpp"

/// The policy's term of one token. l = logp - logp_old, held within +-20; r = e^l; A = advantage. To be minimised.
namespace roars::surrogate {

/// -A logp. REINFORCE, RLOO, GPG. `differentiates` the log-probability itself, so no old policy is needed.
struct PolicyGradient {
    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp, col::advantage>;
    using differentiates = columns<col::logp>;

    template <class X>
    ROARS_FN Loss<value_t<X>> token(const X& x) const {
        using V = value_t<X>;
        V advantage = x[col::advantage{}];
        return {-advantage * x[col::logp{}], {-advantage}};
    }
};
ROARS_FIELDS(PolicyGradient)

/// max(-A r, -A clamp(r, 1 - low, 1 + high)): PPO, arXiv 1707.06347; two bounds (clip-higher): DAPO, arXiv 2503.14476.
/// clip_fraction counts tokens whose clipped side is the larger one; approx_kl = mean(logp_old - logp).
struct Clip {
    double low = 0.2;
    double high = 0.2;

    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp, col::logp_old, col::advantage>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 3> metrics{"ratio", "clip_fraction", "approx_kl"};

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 3> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        auto [l, inside] = log_ratio<V>(x[col::logp{}], x[col::logp_old{}]);
        V ratio = math::exp(l);
        V advantage = x[col::advantage{}];
        V held = math::clamp(ratio, V(Real(1.0 - low)), V(Real(1.0 + high)));
        V plain = -advantage * ratio, clipped = -advantage * held;
        auto clips = clipped > plain;
        const V zero(Real(0)), one(Real(1));
        return {math::select(clips, clipped, plain),
                {math::select(clips, zero, plain * inside)},
                {ratio, math::select(clips, one, zero), -l}};
    }
};
ROARS_FIELDS(Clip, low, high)

/// Supervised likelihood: -logp, the warm start.
struct Likelihood {
    static constexpr std::string_view name = "negative_log_likelihood";
    using needs = columns<col::logp>;
    using differentiates = columns<col::logp>;

    template <class X>
    ROARS_FN Loss<value_t<X>> token(const X& x) const {
        using V = value_t<X>;
        return {-x[col::logp{}], {V(math::Scalar<V>(-1))}};
    }
};
ROARS_FIELDS(Likelihood)

}  // namespace roars::surrogate
