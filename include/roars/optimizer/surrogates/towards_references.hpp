#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
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

    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        std::span<const Real> reference = batch[col::logp_ref{}], behaviour = batch[col::logp_behaviour{}],
                              advantage = batch[col::advantage{}];
        roars::detail::expect_size("logp_ref", reference.size(), batch.tokens() * std::int64_t(references));
        double total = regularizer::total_multiplier(multiplier);
        parallel_for(run.backend, batch.tokens(), [&](std::int64_t t) {
            auto i = static_cast<std::size_t>(t);
            double weight = 0.0;
            if (roars::detail::trainable<col::mask>(batch, t)) {
                double mean = regularizer::log_geometric_mean(reference.subspan(i * references, references),
                                                              std::span<const double>(multiplier), total);
                if (std::isfinite(mean))
                    weight =
                        std::exp(std::min(mean - double(behaviour[i]) + double(advantage[i]) / total, log_weight_max));
            }
            batch[col::importance_weight{}][i] = static_cast<Real>(weight);
        });
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
