#pragma once

#include "roars/optimizer/preference/pairwise.hpp"

namespace roars::surrogate {

/// Single answers, desirable (col::chosen = 1) or not. u = sum over an answer's trainable tokens of logp - logp_ref;
/// z = max(0, mean of u over the mismatched answers of the batch), a constant that measures the divergence:
///     desirable:   desirable_weight (1 - sigmoid(beta (u - z)));
///     undesirable: undesirable_weight (1 - sigmoid(beta (z - u))),
/// mean over the answers that are not mismatched; an empty one has u = 0. KTO, arXiv 2402.01306, eq. 8.
struct KahnemanTversky {
    double beta = 0.1;
    double desirable_weight = 1.0;
    double undesirable_weight = 1.0;

    static constexpr std::string_view name = "preference_loss";
    using needs = columns<col::logp, col::logp_ref, col::sequence_loss, col::sequence_gradient>;
    using gives = columns<col::sequence_loss, col::sequence_gradient>;
    using prepare_needs = columns<col::logp, col::logp_ref, col::chosen, col::mismatched>;
    using differentiates = columns<col::logp>;
    using Aggregate = aggregate::TokenSum;

    struct Sums {
        double log_ratio = 0.0;       ///< of the mismatched answers
        std::int64_t mismatched = 0;  ///< how many there are
        std::int64_t answers = 0;     ///< how many others
        ROARS_FN Sums& operator+=(const Sums& other) {
            log_ratio += other.log_ratio;
            mismatched += other.mismatched;
            answers += other.answers;
            return *this;
        }
        ROARS_FN double divergence() const {
            return mismatched > 0 ? math::max(0.0, log_ratio / double(mismatched)) : 0.0;
        }
    };

    /// The loss of one answer and its derivative by u.
    struct AnswerLoss {
        double value, slope;
    };
    ROARS_FN AnswerLoss of(double u, bool desirable, double divergence) const {
        double weight = desirable ? desirable_weight : undesirable_weight, sign = desirable ? 1.0 : -1.0;
        double worse = math::sigmoid(-sign * beta * (u - divergence));
        return {weight * worse, -sign * weight * beta * worse * (1.0 - worse)};
    }

    using Unit = unit::Sequence;
    using Summary = summary::LogRatio;
    template <class X>
    ROARS_FN Sums sums_of(const X& x, std::int64_t i) const {
        return learns(x, i) ? Sums{0.0, 0, 1} : Sums{x.of(i).sum, 1, 0};
    }
    template <class X>
    ROARS_FN void write(const X& x, std::int64_t i, const Sums& sums) const {
        AnswerLoss loss = learns(x, i) ? of(x.of(i).sum, desirable(x, i), sums.divergence()) : AnswerLoss{0.0, 0.0};
        double scale = 1.0 / double(sums.answers > 0 ? sums.answers : 1);
        detail::write_answer(x, i, scale * loss.value, scale * loss.slope);
    }
    template <class X>
    ROARS_FN double untold(const X& x, std::int64_t i, const Sums& sums) const {
        if (x.of(i).length > 0 || !learns(x, i)) return 0.0;
        return of(0.0, desirable(x, i), sums.divergence()).value / double(sums.answers);
    }
    template <class X>
    ROARS_FN Loss<value_t<X>> token(const X& x) const {
        return {x[col::sequence_loss{}], {x[col::sequence_gradient{}]}};
    }

private:
    template <class X>
    ROARS_FN static bool learns(const X& x, std::int64_t i) {
        return x[col::mismatched{}][i] == 0;
    }
    template <class X>
    ROARS_FN static bool desirable(const X& x, std::int64_t i) {
        return x[col::chosen{}][i] != 0;
    }
};
ROARS_FIELDS(KahnemanTversky, beta, desirable_weight, undesirable_weight)

}  // namespace roars::surrogate
