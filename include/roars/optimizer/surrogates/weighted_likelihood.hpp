#pragma once

#include <array>
#include <string_view>

#include "roars/fields.hpp"
#include "roars/optimizer/surrogates/sequence.hpp"

/// Surrogates of the form -sg(w) A logp: the weight w is a constant, so the slope is -w A. l = logp - logp_old, held
/// within +-20; r = e^l; A = advantage. To be minimised.
namespace roars::surrogate {

/// w = clamp(r, 1 - low, 1 + high); low = 1 is no lower bound. No token loses its gradient. CISPO, arXiv 2506.13585.
/// clip_fraction counts the tokens whose ratio is outside.
struct ClippedWeight {
    double low = 1.0;
    double high = 0.28;

    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp, col::logp_old, col::advantage>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 3> metrics{"ratio", "clip_fraction", "approx_kl"};

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 3> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        V l = log_ratio<V>(x[col::logp{}], x[col::logp_old{}]).value;
        V ratio = math::exp(l);
        V weight = math::clamp(ratio, V(Real(1.0 - low)), V(Real(1.0 + high)));
        V slope = -weight * x[col::advantage{}];
        return {slope * x[col::logp{}], {slope}, {ratio, math::select(weight != ratio, V(Real(1)), V(Real(0))), -l}};
    }
};
ROARS_FIELDS(ClippedWeight, low, high)

/// w = e^{lam + k log s - lam s} of the sequence's ratio s, log s = clamp(sum_t l_t, ln 1e-8, 20); (k, lam) by the sign
/// of A (0 counts as positive). w = 1 at s = 1. VESPO, arXiv 2602.10693.
struct VariationalWeight {
    double k_positive = 2.0;
    double lam_positive = 3.0;
    double k_negative = 3.0;
    double lam_negative = 2.0;

    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp, col::logp_old, col::advantage, col::sequence_log_ratio>;
    using gives = columns<col::sequence_log_ratio>;
    using prepare_needs = columns<col::logp, col::logp_old>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 2> metrics{"sequence_weight", "approx_kl"};

    using Unit = unit::Sequence;
    using Summary = detail::HeldLogRatio;
    template <class X>
    ROARS_FN void write(const X& x, std::int64_t i) const {
        x[col::sequence_log_ratio{}][i] = static_cast<typename X::Real>(x.of(i).sum);
    }

    template <class V>
    ROARS_FN V weight(const V& sequence_log_ratio, const V& advantage) const {
        using Real = math::Scalar<V>;
        auto positive = advantage >= V(Real(0));
        V k = math::select(positive, V(Real(k_positive)), V(Real(k_negative)));
        V lam = math::select(positive, V(Real(lam_positive)), V(Real(lam_negative)));
        V s = math::clamp(sequence_log_ratio, V(Real(-18.420680743952367)), V(Real(20)));
        return math::exp(lam + k * s - lam * math::exp(s));
    }

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 2> token(const X& x) const {
        using V = value_t<X>;
        V advantage = x[col::advantage{}];
        V w = weight(x[col::sequence_log_ratio{}], advantage);
        V slope = -w * advantage;
        return {slope * x[col::logp{}], {slope}, {w, -log_ratio<V>(x[col::logp{}], x[col::logp_old{}]).value}};
    }
};
ROARS_FIELDS(VariationalWeight, k_positive, lam_positive, k_negative, lam_negative)

/// w = 1 for a sequence of positive reward, else min(1, e^{sum_t l_t}). TOPR, arXiv 2503.14286.
struct TaperedWeight {
    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp, col::logp_old, col::advantage, col::reward, col::sequence_log_ratio>;
    using gives = columns<col::sequence_log_ratio>;
    using prepare_needs = columns<col::logp, col::logp_old>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 2> metrics{"sequence_weight", "approx_kl"};

    using Unit = unit::Sequence;
    using Summary = detail::HeldLogRatio;
    template <class X>
    ROARS_FN void write(const X& x, std::int64_t i) const {
        x[col::sequence_log_ratio{}][i] = static_cast<typename X::Real>(x.of(i).sum);
    }

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 2> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        V tapered = math::exp(math::min(x[col::sequence_log_ratio{}], V(Real(0))));
        V w = math::select(x[col::reward{}] > V(Real(0)), V(Real(1)), tapered);
        V slope = -w * x[col::advantage{}];
        return {slope * x[col::logp{}], {slope}, {w, -log_ratio<V>(x[col::logp{}], x[col::logp_old{}]).value}};
    }
};
ROARS_FIELDS(TaperedWeight)

/// How far a token's probability has moved, for DivergenceGate. p = e^logp.
namespace trust {
/// p - p_old: half the total variation of (this token, any other).
struct TotalVariation {
    template <class V>
    ROARS_FN static math::Mask<V> keeps(const V& logp, const V& logp_old, const V& advantage, const V& low,
                                        const V& high) {
        V moved = math::exp(logp) - math::exp(logp_old);
        auto up = advantage > V(math::Scalar<V>(0));
        return (up && moved <= high) || (!up && moved >= -low);
    }
};
/// Kullback-Leibler of the Bernoulli distributions (p_old, 1 - p_old) and (p, 1 - p); a move back is always kept.
struct BinaryKl {
    template <class V>
    ROARS_FN static math::Mask<V> keeps(const V& logp, const V& logp_old, const V& advantage, const V& low,
                                        const V& high) {
        using Real = math::Scalar<V>;
        const V one(Real(1)), small(Real(1e-8));
        V p = math::exp(logp), p_old = math::exp(logp_old);
        V moved = p_old * (logp_old - logp) + (one - p_old) * math::log((one - p_old + small) / (one - p + small));
        auto up = advantage > V(Real(0));
        return (up && (moved <= high || p <= p_old)) || (!up && (moved <= low || p >= p_old));
    }
};
ROARS_FIELDS(TotalVariation)
ROARS_FIELDS(BinaryKl)
}  // namespace trust

/// w = min(r, ratio_cap) where the token's divergence from the old policy is within the bound on the side that A pushes
/// to, else 0. DPPO-TV and DPPO-KL, arXiv 2602.04879. kept_fraction: tokens within.
template <class Divergence = trust::TotalVariation>
struct DivergenceGate {
    double divergence_low = 0.1;
    double divergence_high = 0.1;
    double ratio_cap = 20.0;

    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp, col::logp_old, col::advantage>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 3> metrics{"ratio", "kept_fraction", "approx_kl"};

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 3> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        const V zero(Real(0)), one(Real(1));
        V l = log_ratio<V>(x[col::logp{}], x[col::logp_old{}]).value;
        V ratio = math::exp(l);
        V advantage = x[col::advantage{}];
        auto keeps = Divergence::template keeps<V>(x[col::logp{}], x[col::logp_old{}], advantage,
                                                   V(Real(divergence_low)), V(Real(divergence_high)));
        V slope = math::select(keeps, -advantage * math::min(ratio, V(Real(ratio_cap))), zero);
        return {slope * x[col::logp{}], {slope}, {ratio, math::select(keeps, one, zero), -l}};
    }
};
template <class Divergence>
ROARS_FIELDS_OF((DivergenceGate<Divergence>), divergence_low, divergence_high, ratio_cap)

}  // namespace roars::surrogate
