#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string_view>
#include <vector>

#include "roars/optimizer/preference/pairwise.hpp"

/// What stands around a loss of pairs: Base is surrogate::Pairwise of any.
namespace roars::surrogate {

/// The loss of each pair times how likely it is that the policy would draw it, a constant:
///     w = min(1, exp(sum over the two answers of mean_t (logp_t - ln sum_v p_v^2))),
/// p the policy's distribution at token t, so that a token as likely as the distribution is sure weighs 1. An empty
/// answer counts as 0. Source: WPO, arXiv 2406.11827, eq. 2.
template <class Base = Pairwise<>>
struct OnPolicyPairs {
    Base base{};

    static constexpr std::string_view name = Base::name;
    using needs = needs_of<Base>;
    using gives = gives_of<Base>;
    using prepare_needs = unite_t<detail::prepare_needs_of<Base>, columns<col::logp, col::sum_pi_squared>>;
    using differentiates = typename Base::differentiates;
    using Aggregate = typename Base::Aggregate;
    using Sums = typename Base::Sums;

    template <class RunType, class BatchType>
    Sums reduce(RunType& run, BatchType& batch) const {
        return base.reduce(run, batch);
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        using Real = typename BatchType::Real;
        base.prepare(run, batch, sums);
        std::vector<double> sure =
            sequence_means(run.backend, batch, columns<col::logp, col::sum_pi_squared>{},
                           [](const auto& x) { return x[col::logp{}] - math::log(x[col::sum_pi_squared{}]); });
        for (std::int64_t g = 0; g < batch.groups(); ++g) {
            pairing::Pair pair = Base::Pairs::of(batch, g);
            if (!pair.exists()) continue;
            auto c = static_cast<std::size_t>(pair.chosen), r = static_cast<std::size_t>(pair.rejected);
            Real weight = static_cast<Real>(std::exp(std::min(0.0, sure[c] + sure[r])));
            for (std::size_t i : {c, r}) {
                batch[col::sequence_loss{}][i] *= weight;
                batch[col::sequence_gradient{}][i] *= weight;
            }
        }
    }
    /// A pair of two empty answers weighs 1.
    template <class RunType, class BatchType>
    double untold_loss(RunType& run, const BatchType& batch, const Sums& sums) const {
        return base.untold_loss(run, batch, sums);
    }
    template <class X>
    ROARS_FN auto token(const X& x) const {
        return base.token(x);
    }
};
template <class Base>
ROARS_FIELDS_OF((OnPolicyPairs<Base>), base)

/// Pairs of an answer of the policy and one that it did not write (col::external, the reference's), whichever was
/// chosen: beside the pair's loss alpha sum logp of the external answer, which pushes the policy away from what the
/// reference already says. Mean over the pairs. Source: XPO, arXiv 2405.21046, alg. 1. Errors: an answer of which some
/// trainable tokens are external and some are not.
template <class Base = Pairwise<>>
struct ExploratoryPairs {
    Base base{};
    double alpha = 1e-5;

    static constexpr std::string_view name = Base::name;
    using needs = needs_of<Base>;
    using gives = gives_of<Base>;
    using prepare_needs = unite_t<detail::prepare_needs_of<Base>, columns<col::logp, col::external>>;
    using differentiates = typename Base::differentiates;
    using Aggregate = typename Base::Aggregate;
    using Sums = typename Base::Sums;

    template <class RunType, class BatchType>
    Sums reduce(RunType& run, BatchType& batch) const {
        return base.reduce(run, batch);
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        using Real = typename BatchType::Real;
        base.prepare(run, batch, sums);
        std::vector<double> likelihood =
            sequence_means(run.backend, batch, columns<col::logp>{}, [](const auto& x) { return x[col::logp{}]; });
        std::vector<double> external =
            sequence_means(run.backend, batch, columns<col::external>{}, []<class X>(const X& x) {
                using V = value_t<X>;
                const V zero(math::Scalar<V>(0)), one(math::Scalar<V>(1));
                return math::select(x[col::external{}] != zero, one, zero);
            });
        const double scale = sums.pairs > 0 ? alpha / double(sums.pairs) : 0.0;
        for (std::int64_t g = 0; g < batch.groups(); ++g) {
            pairing::Pair pair = Base::Pairs::of(batch, g);
            if (!pair.exists()) continue;
            for (std::int64_t answer : {pair.chosen, pair.rejected}) {
                auto i = static_cast<std::size_t>(answer);
                if (external[i] == 0.0) continue;
                expect(external[i] == 1.0, [&] {
                    return "sequence " + std::to_string(answer) + " is external in part, expected all of it or nothing";
                });
                batch[col::sequence_loss{}][i] += static_cast<Real>(scale * likelihood[i]);
                batch[col::sequence_gradient{}][i] += static_cast<Real>(scale);
            }
        }
    }
    template <class RunType, class BatchType>
    double untold_loss(RunType& run, const BatchType& batch, const Sums& sums) const {
        return base.untold_loss(run, batch, sums);
    }
    template <class X>
    ROARS_FN auto token(const X& x) const {
        return base.token(x);
    }
};
template <class Base>
ROARS_FIELDS_OF((ExploratoryPairs<Base>), base, alpha)

}  // namespace roars::surrogate
