#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "roars/fields.hpp"
#include "roars/optimizer/surrogates/sequence.hpp"

namespace roars::surrogate {

/// Every token of sequence i has the loss -A e^{mean_t m_t}, m = s min(s l, s clamp(l, -low, high)), s = sign(A), l not
/// held, the mean at most 80, which leaves no format; the slope is -A e^{mean} where m = l, else 0. A = 0 gives 0. The
/// bounds are of the log-ratio. With aggregate::SequenceMean: GMPO, arXiv 2507.20673.
struct GeometricMean {
    double low = 0.4;
    double high = 0.4;

    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp, col::logp_old, col::advantage, col::sequence_log_ratio>;
    using gives = columns<col::sequence_log_ratio>;
    using prepare_needs = columns<col::logp, col::logp_old, col::advantage>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 3> metrics{"ratio", "clip_fraction", "approx_kl"};

    using Unit = unit::Sequence;
    struct Summary;
    ROARS_FN Summary summary() const;
    template <class X>
    ROARS_FN void write(const X& x, std::int64_t i) const {
        x[col::sequence_log_ratio{}][i] = static_cast<typename X::Real>(x.of(i).mean());
    }

    /// The smaller of A l and A clamp(l), by A: nothing is held for A = 0.
    template <class V>
    ROARS_FN V held(const V& l, const V& advantage) const {
        using Real = math::Scalar<V>;
        const V zero(Real(0));
        return math::select(advantage > zero, math::min(l, V(Real(high))),
                            math::select(advantage < zero, math::max(l, V(Real(-low))), l));
    }

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 3> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        const V zero(Real(0)), one(Real(1)), most(Real(80));
        V l = x[col::logp{}] - x[col::logp_old{}];
        V advantage = x[col::advantage{}], mean = x[col::sequence_log_ratio{}];
        V ratio = math::exp(math::min(mean, most));
        auto clips = held(l, advantage) != l;
        V loss = -advantage * ratio;
        return {loss, {math::select(clips || mean > most, zero, loss)}, {ratio, math::select(clips, one, zero), -l}};
    }
};
ROARS_FIELDS(GeometricMean, low, high)

/// m_t.
struct GeometricMean::Summary {
    using needs = GeometricMean::prepare_needs;
    GeometricMean term;
    template <class X>
    ROARS_FN value_t<X> operator()(const X& x) const {
        return term.held(x[col::logp{}] - x[col::logp_old{}], x[col::advantage{}]);
    }
};
ROARS_FN inline GeometricMean::Summary GeometricMean::summary() const { return {*this}; }

}  // namespace roars::surrogate
