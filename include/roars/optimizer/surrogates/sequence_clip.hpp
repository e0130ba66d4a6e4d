#pragma once

#include <array>
#include <string_view>

#include "roars/fields.hpp"
#include "roars/optimizer/surrogates/sequence.hpp"

namespace roars::surrogate {

/// The clipped surrogate of a sequence's ratio: s_i = exp(min(10, mean_t l_t)), l not held token by token; every token
/// of sequence i has the loss
///     max(-A s_i, -A clamp(s_i, 1 - low, 1 + high)),
/// and, since ds_i / dlogp_t = s_i / n_i, the slope -A s_i where the first is not the smaller. GSPO with
/// aggregate::SequenceMean, LUSPO (times the length) with aggregate::SequenceSum. With advantages that differ within a
/// sequence it is GSPO-token: sg(s_i) e^{logp_t - sg(logp_t)} has the same values and these slopes. Source: arXiv
/// 2507.18071.
struct SequenceClip {
    double low = 3e-4;
    double high = 4e-4;

    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp, col::logp_old, col::advantage, col::sequence_log_ratio>;
    using gives = columns<col::sequence_log_ratio>;
    using prepare_needs = columns<col::logp, col::logp_old>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 3> metrics{"ratio", "clip_fraction", "approx_kl"};

    using Unit = unit::Sequence;
    using Summary = detail::LogRatio;
    template <class X>
    ROARS_FN void write(const X& x, std::int64_t i) const {
        x[col::sequence_log_ratio{}][i] = static_cast<typename X::Real>(x.of(i).mean());
    }

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 3> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        const V zero(Real(0)), one(Real(1)), most(Real(10));
        V l = x[col::sequence_log_ratio{}];
        V ratio = math::exp(math::min(l, most));
        V advantage = x[col::advantage{}];
        V held = math::clamp(ratio, V(Real(1.0 - low)), V(Real(1.0 + high)));
        V plain = -advantage * ratio, clipped = -advantage * held;
        auto clips = clipped > plain;
        return {math::select(clips, clipped, plain),
                {math::select(clips || l > most, zero, plain)},
                {ratio, math::select(clips, one, zero), -log_ratio<V>(x[col::logp{}], x[col::logp_old{}]).value}};
    }
};
ROARS_FIELDS(SequenceClip, low, high)

}  // namespace roars::surrogate
