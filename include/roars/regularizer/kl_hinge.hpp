#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogates/sequence.hpp"

namespace roars::regularizer {

/// (beta / 2) max(KL - delta, 0)^2: a trust region that costs nothing inside. KL = mean over the trainable tokens of
/// the whole batch of logp_old - logp, the k1 estimate of KL(old policy || policy), which may be negative; its slope is
/// -beta max(KL - delta, 0) / tokens. Micro-batches share the whole batch's KL. Stiff: a step must be small beside
/// 1 / beta. Source: DisCO, arXiv 2505.12366, section 4.2. Metric: the KL.
struct KlHinge {
    double beta = 1e3;
    double delta = 1e-4;
    double excess = 0.0;  ///< max(KL - delta, 0) of the batch at hand; no setting

    static constexpr std::string_view name = "kl_penalty";
    using needs = columns<col::logp, col::logp_old>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 1> metrics{"kl"};
    static constexpr aggregate::TokenMean aggregate{};

    struct Sums {
        double divergence = 0.0;
        std::int64_t tokens = 0;
        ROARS_FN Sums& operator+=(const Sums& other) {
            divergence += other.divergence;
            tokens += other.tokens;
            return *this;
        }
        ROARS_FN double kl() const { return tokens > 0 ? divergence / static_cast<double>(tokens) : 0.0; }
    };

    using Unit = unit::Sequence;
    using Summary = ColumnDifference<col::logp_old, col::logp>;
    template <class X>
    ROARS_FN Sums sums_of(const X& x, std::int64_t i) const {
        return {x.of(i).sum, x.of(i).length};
    }
    ROARS_FN KlHinge with(const Sums& sums) const {
        double beyond = sums.kl() - delta;
        return {beta, delta, beyond > 0.0 ? beyond : 0.0};
    }
    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 1> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        return {V(static_cast<Real>(0.5 * beta * excess * excess)),
                {V(static_cast<Real>(-beta * excess))},
                {x[col::logp_old{}] - x[col::logp{}]}};
    }
};
ROARS_FIELDS(KlHinge, beta, delta)

}  // namespace roars::regularizer
