#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "roars/concepts.hpp"
#include "roars/regularizer/several_references.hpp"

namespace roars::surrogate {

/// -W logp, W = exp(min(sum_i w_i logp_ref_i - logp_behaviour + A / Lambda, log_weight_max)), a constant: the
/// likelihood of actions as the closest_policy of regularizer/several_references.hpp would draw them, by importance
/// sampling from whatever drew them. `references` frozen policies, each with its multiplier; an action that one of them
/// forbids has weight 0. The cap is a guard of this library's. Shapes: logp_ref [tokens, references]. Metric: the mean
/// W. Source: TSCAC, arXiv 2302.01680, eq. 9.
template <std::size_t references>
struct TowardsReferences {
    std::array<double, references> multiplier = equal(1e-4);
    double log_weight_max = 2.995732273553991;  ///< log 20

    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp, col::importance_weight>;
    using gives = columns<col::importance_weight>;
    using prepare_needs = columns<col::logp_ref, col::logp_behaviour, col::advantage>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 1> metrics{"reference_weight"};

    static constexpr bool everywhere = true;

    template <class X>
    struct OfToken {
        TowardsReferences term;
        double total;
        X x;
        ROARS_FN double weight(std::int64_t t) const {
            if (!x.trainable(t)) return 0.0;
            double mean = regularizer::log_geometric_mean(x[col::logp_ref{}] + t * std::int64_t(references),
                                                          term.multiplier.data(), references, total);
            if (!(mean - mean == 0.0)) return 0.0;
            double log_weight = mean - double(x[col::logp_behaviour{}][t]) + double(x[col::advantage{}][t]) / total;
            return std::exp(math::min(log_weight, term.log_weight_max));
        }
        ROARS_FN void operator()(std::int64_t t) const {
            x[col::importance_weight{}][t] = static_cast<typename X::Real>(weight(t));
        }
    };
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch) const {
        roars::detail::expect_size("logp_ref", static_cast<std::size_t>(batch.tokens() * batch.width(col::logp_ref{})),
                                   batch.tokens() * std::int64_t(references));
        auto x = view_of<unite_t<prepare_needs, gives>>(run, batch);
        double total = regularizer::total_multiplier(multiplier);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.tokens(),
                                                       OfToken<decltype(x)>{*this, total, x});
    }
    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 1> token(const X& x) const {
        using V = value_t<X>;
        V weight = x[col::importance_weight{}];
        return {-weight * x[col::logp{}], {-weight}, {weight}};
    }

private:
    static constexpr std::array<double, references> equal(double lambda) {
        std::array<double, references> all{};
        for (double& one : all) one = lambda;
        return all;
    }
};
template <std::size_t references>
ROARS_FIELDS_OF((TowardsReferences<references>), multiplier, log_weight_max)

}  // namespace roars::surrogate
