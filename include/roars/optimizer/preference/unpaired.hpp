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
        Sums& operator+=(const Sums& other) {
            log_ratio += other.log_ratio;
            mismatched += other.mismatched;
            answers += other.answers;
            return *this;
        }
        double divergence() const { return mismatched > 0 ? std::max(0.0, log_ratio / double(mismatched)) : 0.0; }
    };

    /// The loss of one answer and its derivative by u.
    struct AnswerLoss {
        double value, slope;
    };
    AnswerLoss of(double u, bool desirable, double divergence) const {
        double weight = desirable ? desirable_weight : undesirable_weight, sign = desirable ? 1.0 : -1.0;
        double worse = math::sigmoid(-sign * beta * (u - divergence));
        return {weight * worse, -sign * weight * beta * worse * (1.0 - worse)};
    }

    template <class RunType, class BatchType>
    Sums reduce(RunType& run, BatchType& batch) const {
        std::vector<double> u = log_ratios(run, batch);
        Sums sums;
        for (std::size_t i = 0; i < u.size(); ++i)
            sums += batch[col::mismatched{}][i] != 0 ? Sums{u[i], 1, 0} : Sums{0.0, 0, 1};
        return sums;
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        std::vector<double> u = log_ratios(run, batch);
        std::vector<std::int64_t> length = detail::trainable_lengths<col::mask>(run.backend, batch);
        double scale = 1.0 / double(std::max<std::int64_t>(sums.answers, 1)), divergence = sums.divergence();
        for (std::size_t i = 0; i < u.size(); ++i) {
            bool learns = batch[col::mismatched{}][i] == 0;
            AnswerLoss loss = of(u[i], batch[col::chosen{}][i] != 0, divergence);
            detail::write_answer(batch, std::int64_t(i), length[i], learns ? scale * loss.value : 0.0,
                                 learns ? scale * loss.slope : 0.0);
        }
    }
    template <class RunType, class BatchType>
    double untold_loss(RunType& run, const BatchType& batch, const Sums& sums) const {
        std::vector<std::int64_t> length = detail::trainable_lengths<col::mask>(run.backend, batch);
        double sum = 0.0;
        for (std::size_t i = 0; i < length.size(); ++i)
            if (length[i] == 0 && batch[col::mismatched{}][i] == 0)
                sum += of(0.0, batch[col::chosen{}][i] != 0, sums.divergence()).value / double(sums.answers);
        return sum;
    }
    template <class X>
    ROARS_FN Loss<value_t<X>> token(const X& x) const {
        return {x[col::sequence_loss{}], {x[col::sequence_gradient{}]}};
    }

private:
    template <class RunType, class BatchType>
    static std::vector<double> log_ratios(RunType& run, const BatchType& batch) {
        return sequence_sums(run.backend, batch, summary::LogRatio::needs{}, summary::LogRatio{});
    }
};
ROARS_FIELDS(KahnemanTversky, beta, desirable_weight, undesirable_weight)

}  // namespace roars::surrogate
