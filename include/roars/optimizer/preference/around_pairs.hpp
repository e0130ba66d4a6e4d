#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

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
    static constexpr bool everywhere = detail::base_runs_everywhere<Base>;

    /// How much likelier a token is than the distribution is sure.
    struct Sure {
        using needs = columns<col::logp, col::sum_pi_squared>;
        template <class X>
        ROARS_FN value_t<X> operator()(const X& x) const {
            return x[col::logp{}] - math::log(x[col::sum_pi_squared{}]);
        }
    };
    template <class X>
    struct Weigh {
        X x;
        ROARS_FN void operator()(std::int64_t group) const {
            using Real = typename X::Real;
            pairing::Pair pair = Base::Pairs::of(x, group);
            if (!pair.exists()) return;
            double sure = x.of(pair.chosen).mean() + x.of(pair.rejected).mean();
            Real weight = static_cast<Real>(std::exp(math::min(0.0, sure)));
            for (std::int64_t i : {pair.chosen, pair.rejected}) {
                x[col::sequence_loss{}][i] *= weight;
                x[col::sequence_gradient{}][i] *= weight;
            }
        }
    };

    template <class RunType, class BatchType>
    void add_sums(RunType& run, BatchType& batch, Sums& to) const {
        detail::add_sums(base, run, batch, to);
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        detail::prepare_wrapped(base, run, batch, sums);
        using Columns = unite_t<detail::prepare_needs_of<Base>, gives>;
        with_summaries<Columns>(run, batch, Sure{}, [&]<class X>(const X& x) {
            detail::EverywhereOf<RunType>::for_each(run.backend, batch.groups(), Weigh<X>{x});
        });
    }
    /// A pair of two empty answers weighs 1.
    template <class RunType, class BatchType>
    void add_untold(RunType& run, const BatchType& batch, const Sums& sums, double& to) const {
        detail::add_untold(base, run, batch, sums, to);
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
    static constexpr bool everywhere = detail::base_runs_everywhere<Base>;

    /// 1 for a token that the policy did not write.
    struct External {
        using needs = columns<col::external>;
        template <class X>
        ROARS_FN value_t<X> operator()(const X& x) const {
            using V = value_t<X>;
            const V zero(math::Scalar<V>(0)), one(math::Scalar<V>(1));
            return math::select(x[col::external{}] != zero, one, zero);
        }
    };
    /// x knows the likelihoods, `external` how many tokens of an answer are that.
    template <class X, class Counted>
    struct Explore {
        X x;
        Counted external;
        double alpha;
        const Sums* sums;
        ROARS_FN void operator()(std::int64_t group) const {
            pairing::Pair pair = Base::Pairs::of(x, group);
            if (!pair.exists()) return;
            push_away(pair.chosen);
            push_away(pair.rejected);
        }
        ROARS_FN void push_away(std::int64_t i) const {
            using Real = typename X::Real;
            const double share = external.of(i).mean(), scale = alpha / double(sums->pairs);
            if (share == 0.0) return;
            const double likelihood = share == 1.0 ? x.of(i).mean() : std::numeric_limits<double>::quiet_NaN();
            x[col::sequence_loss{}][i] += static_cast<Real>(scale * likelihood);
            x[col::sequence_gradient{}][i] += static_cast<Real>(scale);
        }
    };

    template <class RunType, class BatchType>
    void add_sums(RunType& run, BatchType& batch, Sums& to) const {
        detail::add_sums(base, run, batch, to);
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        detail::prepare_wrapped(base, run, batch, sums);
        using Columns = unite_t<detail::prepare_needs_of<Base>, gives>;
        with_summaries<typename Base::Pairs::needs>(
            run, batch, External{}, [&]<class Counted>(const Counted& external) {
                detail::check_each(run, batch.groups(), [&](std::int64_t group) {
                    pairing::Pair pair = Base::Pairs::of(external, group);
                    if (!pair.exists()) return;
                    check_answer(external, pair.chosen);
                    check_answer(external, pair.rejected);
                });
                with_summaries<Columns>(run, batch, summary::LogLikelihood{}, [&]<class X>(const X& x) {
                    detail::EverywhereOf<RunType>::for_each(run.backend, batch.groups(),
                                                            Explore<X, Counted>{x, external, alpha, &sums});
                });
            });
    }
    template <class RunType, class BatchType>
    void add_untold(RunType& run, const BatchType& batch, const Sums& sums, double& to) const {
        detail::add_untold(base, run, batch, sums, to);
    }
    template <class X>
    ROARS_FN auto token(const X& x) const {
        return base.token(x);
    }

private:
    template <class Counted>
    static void check_answer(const Counted& external, std::int64_t i) {
        const double share = external.of(i).mean();
        expect(share == 0.0 || share == 1.0,
               [&] { return "sequence " + std::to_string(i) + " is external in part, expected all of it or nothing"; });
    }
};
template <class Base>
ROARS_FIELDS_OF((ExploratoryPairs<Base>), base, alpha)

}  // namespace roars::surrogate
