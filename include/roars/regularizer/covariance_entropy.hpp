#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogates/token_covariance.hpp"
#include "roars/units.hpp"

namespace roars::regularizer {

/// An entropy bonus where confidence and advantage go together, -w_t H_t averaged over the trainable tokens:
///     cov_t = (A_t - mean A)(logp_t - mean logp),   w_t = min(scale softmax(cov)_t, most),
/// means over the trainable tokens of the whole batch, the softmax over those of the sequence, so that w is about
/// scale / T for T of them. w is a constant. Shapes: logp, advantage, entropy, entropy_weight [tokens]. Source: TEA of
/// Light-IF, arXiv 2508.03178. Metrics: the entropy, and w.
struct CovarianceEntropy {
    double scale = 10.0;
    double most = 5.0;

    static constexpr std::string_view name = "entropy_loss";
    using needs = columns<col::entropy, col::entropy_weight>;
    using gives = columns<col::entropy_weight>;
    using prepare_needs = columns<col::logp, col::advantage>;
    using differentiates = columns<col::entropy>;
    static constexpr std::array<std::string_view, 2> metrics{"entropy", "entropy_weight"};
    static constexpr aggregate::TokenMean aggregate{};

    struct Sums {
        roars::detail::Mean advantage, logp;
        ROARS_FN Sums& operator+=(const Sums& other) {
            advantage += other.advantage;
            logp += other.logp;
            return *this;
        }
    };

    using Unit = unit::Sequence;
    using clears = gives;
    static constexpr bool sums_of_columns = true;
    template <class X>
    ROARS_FN Sums sums_of(const X& x, std::int64_t i) const {
        return {mean_of(x, x[col::advantage{}], i), mean_of(x, x[col::logp{}], i)};
    }
    template <class X>
    ROARS_FN void write(const X& x, std::int64_t i, const Sums& means) const {
        const roars::detail::Covariance covariance(means.advantage, means.logp);
        auto at = [&](std::int64_t t) {
            return covariance.of(double(x[col::advantage{}][t]), double(x[col::logp{}][t]));
        };
        const std::int64_t first = x.first_trainable(i), end = x.token_offsets[i + 1];
        if (first < 0) return;
        double largest = at(first), sum = 0.0;
        for (std::int64_t t = first; t < end; ++t)
            if (x.trainable(t)) largest = math::max(largest, at(t));
        for (std::int64_t t = first; t < end; ++t)
            if (x.trainable(t)) sum += std::exp(at(t) - largest);
        for (std::int64_t t = first; t < end; ++t)
            if (x.trainable(t))
                x[col::entropy_weight{}][t] =
                    static_cast<typename X::Real>(math::min(scale * std::exp(at(t) - largest) / sum, most));
    }
    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 2> token(const X& x) const {
        const auto weight = x[col::entropy_weight{}], entropy = x[col::entropy{}];
        return {-weight * entropy, {-weight}, {entropy, weight}};
    }

private:
    /// Of the trainable tokens of sequence i.
    template <class X, class Real>
    ROARS_FN static roars::detail::Mean mean_of(const X& x, const Real* value, std::int64_t i) {
        const std::int64_t begin = x.first_trainable(i);
        if (begin < 0) return {};
        const double first = double(value[begin]);
        std::int64_t count = 0;
        double sum = 0.0;
        for (std::int64_t t = begin; t < x.token_offsets[i + 1]; ++t)
            if (x.trainable(t)) {
                ++count;
                sum += double(value[t]) - first;
            }
        return {count, first, sum / double(count)};
    }
};
ROARS_FIELDS(CovarianceEntropy, scale, most)

}  // namespace roars::regularizer
