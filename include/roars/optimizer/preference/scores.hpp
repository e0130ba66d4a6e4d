#pragma once

#include "roars/optimizer/preference/pair_losses.hpp"

/// Losses of a reward model: f is the score of an answer, s the sigmoid.
namespace roars::pair {

/// -(p log s(d) + (1 - p) log s(-d)) + center (f_c + f_r)^2, d = f_c - f_r - margin; p = 1 is Bradley-Terry, another p
/// a soft label (RLAIF, arXiv 2309.00267).
struct BradleyTerry {
    double center = 0.0;

    template <class V>
    ROARS_FN Loss<V> of(const V& score_chosen, const V& score_rejected, const V& margin, const V& label) const {
        const V one = detail::constant<V>(1), c = detail::constant<V>(center);
        V d = score_chosen - score_rejected - margin, sum = score_chosen + score_rejected;
        V value = -(label * math::log_sigmoid(d) + (one - label) * math::log_sigmoid(-d)) + c * sum * sum;
        V slope = (one - label) * math::sigmoid(d) - label * math::sigmoid(-d), pull = c * (sum + sum);
        return {value, slope + pull, pull - slope};
    }
    template <class V>
    ROARS_FN Loss<V> of(const V& score_chosen, const V& score_rejected) const {
        return of(score_chosen, score_rejected, detail::constant<V>(0), detail::constant<V>(1));
    }
};
ROARS_FIELDS(BradleyTerry, center)

}  // namespace roars::pair
