#pragma once

#include <string_view>

#include "roars/fields.hpp"
#include "roars/math.hpp"

/// Losses of one pair as functions of two numbers, c of the chosen and r of the rejected answer: sums over the answer's
/// trainable tokens of logp - logp_ref, or of logp where a method has no reference. n are the tokens, s the sigmoid,
/// h = c - r. Each gives its derivatives; none overflows, however large beta h.
namespace roars::pair {

/// What is known of a pair.
template <class V>
struct View {
    V chosen, rejected;
    V chosen_length = V(math::Scalar<V>(1)), rejected_length = V(math::Scalar<V>(1));
};

/// A loss with its derivatives by c and by r.
template <class V>
struct Loss {
    V value, by_chosen, by_rejected;
};

namespace detail {
template <class V>
ROARS_FN V constant(double x) {
    return V(static_cast<math::Scalar<V>>(x));
}
/// A loss of h alone.
template <class V>
ROARS_FN Loss<V> of_margin(const V& value, const V& slope) {
    return {value, slope, -slope};
}
}  // namespace detail

/// -(1 - e) log s(d) - e log s(-d), d = beta h - margin, e = label_smoothing. DPO, arXiv 2305.18290, eq. 7;
/// conservative DPO with e > 0.
struct Logistic {
    double beta = 0.1;
    double label_smoothing = 0.0;
    double margin = 0.0;

    template <class V>
    ROARS_FN Loss<V> of(const View<V>& x) const {
        const V b = detail::constant<V>(beta), e = detail::constant<V>(label_smoothing), one = detail::constant<V>(1);
        V d = b * (x.chosen - x.rejected) - detail::constant<V>(margin);
        V value = -(one - e) * math::log_sigmoid(d) - e * math::log_sigmoid(-d);
        return detail::of_margin<V>(value, b * (e * math::sigmoid(d) - (one - e) * math::sigmoid(-d)));
    }
};

/// (h - 1 / (2 beta))^2: IPO, arXiv 2310.12036, eq. 17.
struct Squared {
    double beta = 0.1;

    template <class V>
    ROARS_FN Loss<V> of(const View<V>& x) const {
        V excess = x.chosen - x.rejected - detail::constant<V>(0.5 / beta);
        return detail::of_margin<V>(excess * excess, excess + excess);
    }
};

/// max(0, 1 - beta h): SLiC, arXiv 2305.10425; the slope at the corner is 0.
struct Hinge {
    double beta = 0.1;

    template <class V>
    ROARS_FN Loss<V> of(const View<V>& x) const {
        const V zero = detail::constant<V>(0), b = detail::constant<V>(beta);
        V short_of = detail::constant<V>(1) - b * (x.chosen - x.rejected);
        return detail::of_margin<V>(math::max(short_of, zero), math::select(short_of > zero, -b, zero));
    }
};

/// (-(1 - e) log s(d) + e log s(-d)) / (1 - 2 e), d = beta h: unbiased where a share e of the labels is flipped. Robust
/// DPO, arXiv 2403.00409.
struct Robust {
    double beta = 0.1;
    double label_smoothing = 0.1;

    template <class V>
    ROARS_FN Loss<V> of(const View<V>& x) const {
        const V b = detail::constant<V>(beta), e = detail::constant<V>(label_smoothing), one = detail::constant<V>(1);
        const V scale = detail::constant<V>(1.0 / (1.0 - 2.0 * label_smoothing));
        V d = b * (x.chosen - x.rejected);
        V value = e * math::log_sigmoid(-d) - (one - e) * math::log_sigmoid(d);
        return detail::of_margin<V>(scale * value, -scale * b * ((one - e) * math::sigmoid(-d) + e * math::sigmoid(d)));
    }
};

/// s(d) (log s(d) - log(1 - e)) + s(-d) (log s(-d) - log e), d = beta h: the reverse KL to the smoothed label. EXO,
/// arXiv 2402.00856. e > 0.
struct ExactPair {
    double beta = 0.1;
    double label_smoothing = 1e-3;

    template <class V>
    ROARS_FN Loss<V> of(const View<V>& x) const {
        const V b = detail::constant<V>(beta);
        V d = b * (x.chosen - x.rejected);
        V p = math::sigmoid(d), q = math::sigmoid(-d);
        V better = math::log_sigmoid(d) - detail::constant<V>(std::log1p(-label_smoothing));
        V worse = math::log_sigmoid(-d) - detail::constant<V>(std::log(label_smoothing));
        return detail::of_margin<V>(p * better + q * worse, b * p * q * (better - worse));
    }
};

/// -log s(beta c) - log s(-beta c) / 2 - log s(-beta r) / 2: NCA, arXiv 2402.05369.
struct NoiseContrastive {
    double beta = 0.1;

    template <class V>
    ROARS_FN Loss<V> of(const View<V>& x) const {
        const V b = detail::constant<V>(beta), half = detail::constant<V>(0.5);
        V c = b * x.chosen, r = b * x.rejected;
        V value = -math::log_sigmoid(c) - half * (math::log_sigmoid(-c) + math::log_sigmoid(-r));
        return {value, b * (half * math::sigmoid(c) - math::sigmoid(-c)), half * b * math::sigmoid(r)};
    }
};

/// -log s(beta c) - log s(-beta r): BCO for pairs, arXiv 2404.04656, with a reward shift of 0.
struct BinaryClassifier {
    double beta = 0.1;

    template <class V>
    ROARS_FN Loss<V> of(const View<V>& x) const {
        const V b = detail::constant<V>(beta);
        V c = b * x.chosen, r = b * x.rejected;
        return {-math::log_sigmoid(c) - math::log_sigmoid(-r), -b * math::sigmoid(-c), b * math::sigmoid(r)};
    }
};

/// (c - 1 / (2 beta))^2 + (r + 1 / (2 beta))^2: SPPO with hard labels, arXiv 2405.00675.
struct SelfPlay {
    double beta = 0.1;

    template <class V>
    ROARS_FN Loss<V> of(const View<V>& x) const {
        const V target = detail::constant<V>(0.5 / beta);
        V c = x.chosen - target, r = x.rejected + target;
        return {c * c + r * r, c + c, r + r};
    }
};

/// 1 - s(beta c) + s(beta r): raises the chosen, lowers the rejected. APO-zero, arXiv 2408.06266.
struct AnchoredZero {
    double beta = 0.1;

    template <class V>
    ROARS_FN Loss<V> of(const View<V>& x) const {
        const V b = detail::constant<V>(beta), one = detail::constant<V>(1);
        V c = math::sigmoid(b * x.chosen), r = math::sigmoid(b * x.rejected);
        return {math::sigmoid(-b * x.chosen) + r, -b * c * (one - c), b * r * (one - r)};
    }
};

/// s(beta c) + 1 - s(beta h): lowers both, the rejected more. APO-down, arXiv 2408.06266.
struct AnchoredDown {
    double beta = 0.1;

    template <class V>
    ROARS_FN Loss<V> of(const View<V>& x) const {
        const V b = detail::constant<V>(beta), one = detail::constant<V>(1);
        V d = b * (x.chosen - x.rejected);
        V c = math::sigmoid(b * x.chosen), p = math::sigmoid(d);
        V pull = b * p * (one - p);
        return {c + math::sigmoid(-d), b * c * (one - c) - pull, pull};
    }
};

/// (1 - m) (-log s(d)) + m e^{-d}, d = beta h, m = s(d / tau), differentiated too: the log-ratio modulated loss that a
/// search found. DiscoPOP, arXiv 2406.08414. m e^{-d} is taken as e^{log s(d / tau) - d}, which is 0 where d falls
/// below 0 and tau < 1.
struct LogRatioModulated {
    double beta = 0.05;
    double tau = 0.05;

    template <class V>
    ROARS_FN Loss<V> of(const View<V>& x) const {
        const V b = detail::constant<V>(beta), rate = detail::constant<V>(1.0 / tau);
        V d = b * (x.chosen - x.rejected);
        V m = math::sigmoid(d * rate), rest = math::sigmoid(-d * rate);
        V logistic = -math::log_sigmoid(d), exponential = math::exp(math::log_sigmoid(d * rate) - d);
        V slope = rate * rest * (exponential - m * logistic) - rest * math::sigmoid(-d) - exponential;
        return detail::of_margin<V>(rest * logistic + exponential, b * slope);
    }
};

/// -m_c - lambda log s(o_c - o_r), o = m - log(1 - e^m) of m <= -1e-12 (slope 0 where it is held), for c, r the mean
/// log-probabilities m: wrap it in PerToken. ORPO, arXiv 2403.07691, eq. 6 and 7.
struct OddsRatio {
    double lambda = 0.1;

    template <class V>
    ROARS_FN Loss<V> of(const View<V>& x) const {
        const V scale = detail::constant<V>(lambda), zero = detail::constant<V>(0), one = detail::constant<V>(1),
                most = detail::constant<V>(-1e-12);
        V c = math::min(x.chosen, most), r = math::min(x.rejected, most);
        V not_c = -math::expm1(c), not_r = -math::expm1(r);  // 1 - e^m
        V d = (c - math::log(not_c)) - (r - math::log(not_r));
        V pull = -scale * math::sigmoid(-d);
        V by_chosen = math::select(x.chosen <= most, pull / not_c, zero);
        V by_rejected = math::select(x.rejected <= most, -pull / not_r, zero);
        return {-x.chosen - scale * math::log_sigmoid(d), by_chosen - one, by_rejected};
    }
};

/// Another loss of the means c / n_c and r / n_r: length-normalised DPO, IPO as its authors ran it, SimPO (of Logistic
/// with a margin and no reference, arXiv 2405.14734, eq. 6).
template <class Base>
struct PerToken {
    Base base{};

    template <class V>
    ROARS_FN Loss<V> of(const View<V>& x) const {
        Loss<V> loss = base.of(View<V>{x.chosen / x.chosen_length, x.rejected / x.rejected_length});
        return {loss.value, loss.by_chosen / x.chosen_length, loss.by_rejected / x.rejected_length};
    }
};

/// Another loss and coefficient * (-c / n_c), for c a log-probability: CPO, arXiv 2401.08417, eq. 5.
template <class Base>
struct WithLikelihood {
    Base base{};
    double coefficient = 1.0;

    template <class V>
    ROARS_FN Loss<V> of(const View<V>& x) const {
        const V scale = detail::constant<V>(coefficient);
        Loss<V> loss = base.of(x);
        return {loss.value - scale * x.chosen / x.chosen_length, loss.by_chosen - scale / x.chosen_length,
                loss.by_rejected};
    }
};

ROARS_FIELDS(Logistic, beta, label_smoothing, margin)
ROARS_FIELDS(Squared, beta)
ROARS_FIELDS(Hinge, beta)
ROARS_FIELDS(Robust, beta, label_smoothing)
ROARS_FIELDS(ExactPair, beta, label_smoothing)
ROARS_FIELDS(NoiseContrastive, beta)
ROARS_FIELDS(BinaryClassifier, beta)
ROARS_FIELDS(SelfPlay, beta)
ROARS_FIELDS(AnchoredZero, beta)
ROARS_FIELDS(AnchoredDown, beta)
ROARS_FIELDS(LogRatioModulated, beta, tau)
ROARS_FIELDS(OddsRatio, lambda)
template <class Base>
ROARS_FIELDS_OF((PerToken<Base>), base)
template <class Base>
ROARS_FIELDS_OF((WithLikelihood<Base>), base, coefficient)

}  // namespace roars::pair
