#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>

#include "roars/optimizer/preference/pairwise.hpp"

namespace roars {

/// What an answer is scored by: the mean over its trainable tokens of a number that grows with logp.
namespace score {

/// logp
struct LogLikelihood {
    using needs = columns<col::logp>;
    template <class X>
    ROARS_FN value_t<X> operator()(const X& x) const {
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
    ROARS_FN value_t<X> operator()(const X& x) const {
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
/// each(visit) calls visit(s) for every score, of which there is one at least.
namespace pool {

/// mean s
struct Mean {
    struct Pooled {
        double value, each;
        ROARS_FN double part(double) const { return each; }
    };
    template <class Each>
    ROARS_FN Pooled operator()(const Each& each) const {
        double sum = 0.0, n = 0.0;
        each([&](double s) { sum += s, n += 1.0; });
        return {sum / n, 1.0 / n};
    }
};
/// tau log mean e^{s / tau}: nearer to the largest score, the smaller tau is. Parts: softmax(s / tau).
struct SoftMaximum {
    double tau = 10.0;

    struct Pooled {
        double value, largest, sum, tau;
        ROARS_FN double part(double s) const { return std::exp((s - largest) / tau) / sum; }
    };
    template <class Each>
    ROARS_FN Pooled operator()(const Each& each) const {
        double largest = -std::numeric_limits<double>::infinity(), sum = 0.0, n = 0.0;
        each([&](double s) { largest = math::max(largest, s); });
        each([&](double s) { sum += std::exp((s - largest) / tau), n += 1.0; });
        return {largest + tau * std::log(sum / n), largest, sum, tau};
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
        ROARS_FN Sums& operator+=(const Sums& other) {
            groups += other.groups;
            return *this;
        }
    };

    using Unit = unit::Group;
    static constexpr bool sums_of_columns = true;
    using Summary = Score;
    template <class X>
    ROARS_FN Sums sums_of(const X&, std::int64_t) const {
        return {1};
    }
    template <class X>
    ROARS_FN void write(const X& x, std::int64_t group, const Sums& sums) const {
        const std::int64_t first = x[col::groups{}][group], last = x[col::groups{}][group + 1];
        auto is = [&](std::int64_t i, int reward) { return x.of(i).length > 0 && x[col::reward{}][i] == reward; };
        double right = 0.0, wrong = 0.0;
        for (std::int64_t i = first; i < last; ++i) {
            right += is(i, 1);
            wrong += is(i, 0);
            detail::write_answer(x, i, 0.0, 0.0);
        }
        if (right == 0.0 || wrong == 0.0) return;
        auto pooled = pool([&](const auto& visit) {
            for (std::int64_t i = first; i < last; ++i)
                if (is(i, 0)) visit(x.of(i).mean());
        });
        double scale = 1.0 / static_cast<double>(sums.groups);
        for (std::int64_t i = first; i < last; ++i) {
            double score = x.of(i).mean(), by_length = scale / static_cast<double>(x.of(i).length);
            if (is(i, 1)) detail::write_answer(x, i, -scale * score / right, -by_length / right);
            if (is(i, 0)) detail::write_answer(x, i, scale * pooled.value / wrong, by_length * pooled.part(score));
        }
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
