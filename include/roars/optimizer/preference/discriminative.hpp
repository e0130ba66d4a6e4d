#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "roars/optimizer/preference/pairwise.hpp"

namespace roars {

/// What an answer is scored by: the mean over its trainable tokens of a number that grows with logp.
namespace score {

/// logp
struct LogLikelihood {
    using needs = columns<col::logp>;
    template <class X>
    value_t<X> operator()(const X& x) const {
        return x[col::logp{}];
    }
    /// d score / d logp
    template <class X>
    ROARS_FN static value_t<X> slope(const X&) {
        return value_t<X>(math::Scalar<value_t<X>>(1));
    }
};
/// e^{logp - logp_old}, the log-ratio held within +-20.
struct LikelihoodRatio {
    using needs = columns<col::logp, col::logp_old>;
    template <class X>
    value_t<X> operator()(const X& x) const {
        return math::exp(log_ratio<value_t<X>>(x[col::logp{}], x[col::logp_old{}]).value);
    }
    template <class X>
    ROARS_FN static value_t<X> slope(const X& x) {
        auto [l, inside] = log_ratio<value_t<X>>(x[col::logp{}], x[col::logp_old{}]);
        return math::exp(l) * inside;
    }
};
ROARS_FIELDS(LogLikelihood)
ROARS_FIELDS(LikelihoodRatio)

}  // namespace score

/// What the wrong answers of a group are as one score, and the part of each, d pooled / d s_i, which add up to 1.
namespace pool {

/// mean s
struct Mean {
    double operator()(std::span<const double> score, std::span<double> part) const {
        double sum = 0.0, n = static_cast<double>(score.size());
        for (double s : score) sum += s;
        std::fill(part.begin(), part.end(), 1.0 / n);
        return sum / n;
    }
};
/// tau log mean e^{s / tau}: nearer to the largest score, the smaller tau is. Parts: softmax(s / tau).
struct SoftMaximum {
    double tau = 10.0;

    double operator()(std::span<const double> score, std::span<double> part) const {
        double largest = *std::max_element(score.begin(), score.end()), sum = 0.0;
        for (std::size_t i = 0; i < score.size(); ++i) sum += part[i] = std::exp((score[i] - largest) / tau);
        for (double& each : part) each /= sum;
        return largest + tau * std::log(sum / static_cast<double>(score.size()));
    }
};
ROARS_FIELDS(Mean)
ROARS_FIELDS(SoftMaximum, tau)

}  // namespace pool

namespace surrogate {

/// -(1 / G) sum over groups of [mean over right answers of s - pool over wrong answers of s], s the score, G the number
/// of all groups of the batch. Right: reward 1, wrong: reward 0; an answer of another reward, or without a trainable
/// token, is neither; a group without both kinds adds 0. Every prompt weighs the same, however hard it is. A group is
/// in one micro-batch. Source: DisCO, arXiv 2505.12366, eq. 8 and 10.
template <class Score = score::LogLikelihood, class Pool = pool::SoftMaximum>
struct Discriminative {
    Pool pool{};

    static constexpr std::string_view name = "discriminative_loss";
    using needs = unite_t<typename Score::needs, columns<col::sequence_loss, col::sequence_gradient>>;
    using gives = columns<col::sequence_loss, col::sequence_gradient>;
    using prepare_needs = unite_t<typename Score::needs, columns<col::groups, col::reward>>;
    using differentiates = columns<col::logp>;
    /// The terms are divided by the number of groups already.
    using Aggregate = aggregate::TokenSum;

    struct Sums {
        std::int64_t groups = 0;
        Sums& operator+=(const Sums& other) {
            groups += other.groups;
            return *this;
        }
    };

    template <class RunType, class BatchType>
    Sums reduce(RunType&, const BatchType& batch) const {
        return {batch.groups()};
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        std::vector<double> score = sequence_means(run.backend, batch, typename Score::needs{}, Score{});
        std::vector<std::int64_t> length = detail::trainable_lengths<col::mask>(run.backend, batch);
        double scale = 1.0 / static_cast<double>(std::max<std::int64_t>(sums.groups, 1));
        parallel_for(run.backend, batch.groups(), [&](std::int64_t g) {
            Offsets groups = batch[col::groups{}];
            std::vector<std::int64_t> right, wrong;
            for (std::int64_t i = groups[std::size_t(g)]; i < groups[std::size_t(g) + 1]; ++i) {
                auto reward = batch[col::reward{}][std::size_t(i)];
                detail::write_answer(batch, i, 0, 0.0, 0.0);
                if (length[std::size_t(i)] > 0 && reward == 1) right.push_back(i);
                if (length[std::size_t(i)] > 0 && reward == 0) wrong.push_back(i);
            }
            if (right.empty() || wrong.empty()) return;
            std::vector<double> of_wrong, part(wrong.size());
            for (std::int64_t i : wrong) of_wrong.push_back(score[std::size_t(i)]);
            double pooled = pool(of_wrong, part);
            auto write = [&](std::int64_t i, double loss, double by_score) {
                auto n = static_cast<double>(length[std::size_t(i)]);
                detail::write_answer(batch, i, length[std::size_t(i)], scale * loss, scale * by_score / n);
            };
            double p = static_cast<double>(right.size()), n = static_cast<double>(wrong.size());
            for (std::int64_t i : right) write(i, -score[std::size_t(i)] / p, -1.0 / p);
            for (std::size_t k = 0; k < wrong.size(); ++k) write(wrong[k], pooled / n, part[k]);
        });
    }
    template <class X>
    ROARS_FN Loss<value_t<X>> token(const X& x) const {
        return {x[col::sequence_loss{}], {x[col::sequence_gradient{}] * Score::slope(x)}};
    }
};
template <class Score, class Pool>
ROARS_FIELDS_OF((Discriminative<Score, Pool>), pool)

}  // namespace surrogate
}  // namespace roars
