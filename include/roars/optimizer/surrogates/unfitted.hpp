#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "roars/fields.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogates/key_lists.hpp"

namespace roars::surrogate {

/// The likelihood of the tokens that are least fitted for how sure the policy is, so that those that are fitted already
/// keep their entropy: the mean of -logp over the K = max(1, floor(fraction N)) of the batch's N trainable tokens with
/// the largest
///     -logp_t - entropy_coefficient H_t
/// (of equal ones the first). The choice is not differentiated. importance_weight is N / K where a token is kept, else
/// 0. Source: Entropy-SFT of Light-IF, arXiv 2508.03178. kept_fraction: tokens that stay.
struct UnfittedLikelihood {
    double fraction = 0.8;
    double entropy_coefficient = 0.8;

    static constexpr std::string_view name = "negative_log_likelihood";
    using needs = columns<col::logp, col::importance_weight>;
    using gives = columns<col::importance_weight>;
    using prepare_needs = columns<col::logp, col::entropy>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 1> metrics{"kept_fraction"};
    using Aggregate = aggregate::TokenMean;

    static constexpr bool everywhere = true;
    template <class B>
    using SumsIn = detail::KeyLists<B>;
    using Sums = SumsIn<backend::Host>;
    using Reads = prepare_needs;

    ROARS_FN double score(double logp, double entropy) const { return -logp - entropy_coefficient * entropy; }
    template <class Numbers>
    ROARS_FN double key(const Numbers& x, std::int64_t t) const {
        return -score(double(x(0, t)), double(x(1, t)));
    }
    template <class RunType, class BatchType, class SumsType>
    void add_sums(RunType& run, BatchType& batch, SumsType& to) const {
        to.add(*this, run, batch);
    }
    template <class RunType, class BatchType, class SumsType>
    void prepare(RunType& run, BatchType& batch, const SumsType& sums) const {
        sums.write_mean_weights(*this, run, batch, view_of<gives>(run, batch)[col::importance_weight{}]);
    }
    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 1> token(const X& x) const {
        using V = value_t<X>;
        const V zero(math::Scalar<V>(0)), one(math::Scalar<V>(1)), weight = x[col::importance_weight{}];
        return {-weight * x[col::logp{}], {-weight}, {math::select(weight > zero, one, zero)}};
    }
};
ROARS_FIELDS(UnfittedLikelihood, fraction, entropy_coefficient)

}  // namespace roars::surrogate
