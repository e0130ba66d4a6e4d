#pragma once

#include <array>
#include <string_view>

#include "roars/fields.hpp"
#include "roars/term.hpp"

/// Kin of surrogate::Clip. l = logp - logp_old, held within +-20; r = e^l; A = advantage. To be minimised.
namespace roars::surrogate {

/// m = max(-A r, -A clamp(r, 1 - low, 1 + high)); where A < 0: min(m, -A bound). Source: arXiv 1912.09729.
/// dual_clip_fraction counts the tokens with A < 0 and m > -A bound.
struct DualClip {
    double low = 0.2;
    double high = 0.2;
    double bound = 3.0;

    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp, col::logp_old, col::advantage>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 4> metrics{"ratio", "clip_fraction", "dual_clip_fraction",
                                                             "approx_kl"};

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 4> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        const V zero(Real(0)), one(Real(1));
        auto [l, inside] = log_ratio<V>(x[col::logp{}], x[col::logp_old{}]);
        V ratio = math::exp(l);
        V advantage = x[col::advantage{}];
        V held = math::clamp(ratio, V(Real(1.0 - low)), V(Real(1.0 + high)));
        V plain = -advantage * ratio, clipped = -advantage * held, most = -advantage * V(Real(bound));
        auto clips = clipped > plain;
        V loss = math::select(clips, clipped, plain);
        auto bounded = advantage < zero && loss > most;
        return {math::select(bounded, most, loss),
                {math::select(clips || bounded, zero, plain * inside)},
                {ratio, math::select(clips, one, zero), math::select(bounded, one, zero), -l}};
    }
};
ROARS_FIELDS(DualClip, low, high, bound)

/// -min(min(r, ratio_cap) A, clamp(r, 1 - low, 1 + high) A): for A < 0 the ratio is bounded too. Source: INTELLECT-2,
/// arXiv 2505.07291.
struct TwoSidedClip {
    double low = 0.2;
    double high = 0.2;
    double ratio_cap = 4.0;

    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp, col::logp_old, col::advantage>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 3> metrics{"ratio", "clip_fraction", "approx_kl"};

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 3> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        const V zero(Real(0)), one(Real(1)), cap(static_cast<Real>(ratio_cap));
        auto [l, inside] = log_ratio<V>(x[col::logp{}], x[col::logp_old{}]);
        V ratio = math::exp(l);
        V advantage = x[col::advantage{}];
        V held = math::clamp(ratio, V(Real(1.0 - low)), V(Real(1.0 + high)));
        V plain = -advantage * math::min(ratio, cap), clipped = -advantage * held;
        auto clips = clipped > plain;
        // Where the cap lies within the clip, the clipped side may be the larger one and not be held.
        V limit = math::select(clips, V(Real(1.0 + high)), cap);
        return {math::select(clips, clipped, plain),
                {math::select(ratio > limit || (clips && ratio < held), zero, -advantage * ratio * inside)},
                {ratio, math::select(clips, one, zero), -l}};
    }
};
ROARS_FIELDS(TwoSidedClip, low, high, ratio_cap)

/// -A (4 / tau) sigmoid(tau (r - 1)), tau = tau_positive where A > 0, else tau_negative: a gate instead of a clip, with
/// slope -A r at r = 1. SAPO, arXiv 2511.20347.
struct SoftGate {
    double tau_positive = 1.0;
    double tau_negative = 1.05;

    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp, col::logp_old, col::advantage>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 2> metrics{"ratio", "approx_kl"};

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 2> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        const V one(Real(1)), four(Real(4));
        auto [l, inside] = log_ratio<V>(x[col::logp{}], x[col::logp_old{}]);
        V ratio = math::exp(l);
        V advantage = x[col::advantage{}];
        V tau = math::select(advantage > V(Real(0)), V(Real(tau_positive)), V(Real(tau_negative)));
        V gate = math::sigmoid(tau * (ratio - one));
        return {
            -advantage * (four / tau) * gate, {-advantage * four * gate * (one - gate) * ratio * inside}, {ratio, -l}};
    }
};
ROARS_FIELDS(SoftGate, tau_positive, tau_negative)

/// -(A logp - beta / 2 (logp - logp_old)^2), the log-ratio not held: DRO, arXiv 2405.19107; Kimi k1.5, arXiv
/// 2501.12599.
struct SquaredLogRatio {
    double beta = 0.5;

    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp, col::logp_old, col::advantage>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 1> metrics{"approx_kl"};

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 1> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        V l = x[col::logp{}] - x[col::logp_old{}];
        V advantage = x[col::advantage{}], pull = V(Real(beta)) * l;
        return {V(Real(0.5)) * pull * l - advantage * x[col::logp{}], {pull - advantage}, {-l}};
    }
};
ROARS_FIELDS(SquaredLogRatio, beta)

}  // namespace roars::surrogate
