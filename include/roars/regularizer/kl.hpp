#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "roars/concepts.hpp"

/// KL(policy || reference) from the tokens that were drawn, d = logp - logp_ref. Estimators: Schulman 2020,
/// http://joschu.net/blog/kl-approx.html. What has an exponential is held where it would overflow, with slope 0 beyond;
/// the others are as they are written.
namespace roars {
namespace kl {

/// An estimate and its derivative by logp.
template <class V>
struct Estimate {
    V value;
    V slope;
};

/// k1 = d. Unbiased as a value; as a loss its gradient is 0 on average, so it belongs into the reward.
struct K1 {
    template <class V>
    ROARS_FN static Estimate<V> of(const V& d) {
        return {d, V(math::Scalar<V>(1))};
    }
};
/// |d|, of slope 0 at 0.
struct Absolute {
    template <class V>
    ROARS_FN static Estimate<V> of(const V& d) {
        const V zero(math::Scalar<V>(0)), one(math::Scalar<V>(1));
        return {math::abs(d), math::select(d > zero, one, math::select(d < zero, -one, zero))};
    }
};
/// k2 = d^2 / 2. The mean of its gradient is that of the KL itself.
struct K2 {
    template <class V>
    ROARS_FN static Estimate<V> of(const V& d) {
        return {d * d * V(math::Scalar<V>(0.5)), d};
    }
};
/// k3 = e^{-d} - 1 + d, of d held within +-20 and at most 10. Unbiased and never negative.
struct K3 {
    template <class V>
    ROARS_FN static V unbounded(const V& d) {
        return math::expm1(-d) + d;
    }
    template <class V>
    ROARS_FN static Estimate<V> of(const V& d) {
        using Real = math::Scalar<V>;
        const V most(Real(10)), zero(Real(0));
        auto [held, inside] = log_ratio<V>(d, zero);
        V value = unbounded(held);
        return {math::min(value, most), math::select(value <= most, -math::expm1(-held) * inside, zero)};
    }
};
/// k3 as it is written, held only below d = -80, where e^{-d} leaves float.
struct ExactK3 {
    template <class V>
    ROARS_FN static Estimate<V> of(const V& d) {
        using Real = math::Scalar<V>;
        const V least(Real(-80));
        V held = math::max(d, least);
        return {K3::unbounded(held), math::select(d >= least, -math::expm1(-held), V(Real(0)))};
    }
};
/// The value of one estimator with the gradient of k2.
template <class Value = K3>
struct StraightThrough {
    template <class V>
    ROARS_FN static Estimate<V> of(const V& d) {
        return {Value::of(d).value, K2::of(d).slope};
    }
};

/// KL(reference || policy) from tokens that the reference drew: the estimator of -d. As a loss its gradient is that of
/// the divergence, also for k1.
template <class Base = K3>
struct FromReference {
    template <class V>
    ROARS_FN static Estimate<V> of(const V& d) {
        auto estimate = Base::of(V(-d));
        return {estimate.value, -estimate.slope};
    }
};

ROARS_FIELDS(K1)
ROARS_FIELDS(Absolute)
ROARS_FIELDS(K2)
ROARS_FIELDS(K3)
ROARS_FIELDS(ExactK3)
template <class Value>
ROARS_FIELDS_OF((StraightThrough<Value>))
template <class Base>
ROARS_FIELDS_OF((FromReference<Base>))

}  // namespace kl

namespace regularizer {

/// coefficient * estimator(logp - logp_ref), fused into the loss; or against another policy's column, a teacher's.
/// Metric: the estimate itself.
template <class Estimator = kl::K3, class Other = col::logp_ref>
struct Kl {
    double coefficient = 0.04;

    static constexpr std::string_view name = "kl_loss";
    using needs = columns<col::logp, Other>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 1> metrics{"kl"};

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 1> token(const X& x) const {
        using V = value_t<X>;
        auto estimate = Estimator::of(V(x[col::logp{}] - x[Other{}]));
        V scale(static_cast<math::Scalar<V>>(coefficient));
        return {scale * estimate.value, {scale * estimate.slope}, {estimate.value}};
    }
};
template <class Estimator, class Other>
ROARS_FIELDS_OF((Kl<Estimator, Other>), coefficient)

/// coefficient * e^{logp - logp_old} * estimator(logp - logp_ref): an unbiased estimate of KL(policy || reference) from
/// tokens of the old policy, the ratio differentiated too; held only where it would overflow (|log-ratio| > 80), the
/// estimator's d within +-20. DeepSeek-V3.2, arXiv 2512.02556. Metric: the corrected estimate.
template <class Estimator = kl::K3>
struct ImportanceKl {
    double coefficient = 0.04;

    static constexpr std::string_view name = "kl_loss";
    using needs = columns<col::logp, col::logp_old, col::logp_ref>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 1> metrics{"kl"};

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 1> token(const X& x) const {
        using V = value_t<X>;
        auto [d, near] = log_ratio<V>(x[col::logp{}], x[col::logp_ref{}]);
        auto estimate = Estimator::of(d);
        auto [l, inside] = log_ratio<V>(x[col::logp{}], x[col::logp_old{}], 80.0);
        V ratio = math::exp(l), value = ratio * estimate.value;
        V scale(static_cast<math::Scalar<V>>(coefficient));
        return {scale * value, {scale * (value * inside + ratio * estimate.slope * near)}, {value}};
    }
};
template <class Estimator>
ROARS_FIELDS_OF((ImportanceKl<Estimator>), coefficient)

/// KL as a reward of tokens: token_reward_t = -coefficient (logp_old - logp_ref) on trainable tokens, k1, without
/// gradient; 0 on the others, and whatever logp_ref is where the coefficient is 0. Shapes: [tokens].
struct KlOfTokens {
    double coefficient = 0.01;

    using needs = columns<col::logp_old, col::logp_ref>;
    using gives = columns<col::token_reward>;

    static constexpr bool everywhere = true;

    template <class X>
    struct OfToken {
        double coefficient;
        X x;
        ROARS_FN void operator()(std::int64_t t) const {
            double reward = 0.0;
            if (coefficient != 0.0 && x.trainable(t))
                reward = -coefficient * (double(x[col::logp_old{}][t]) - double(x[col::logp_ref{}][t]));
            x[col::token_reward{}][t] = static_cast<typename X::Real>(reward);
        }
    };
    template <class RunType, BatchWith<col::logp_old, col::logp_ref, col::token_reward> BatchType>
    void shape(RunType& run, BatchType& batch) const {
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.tokens(),
                                                       OfToken<decltype(x)>{coefficient, x});
    }
};
ROARS_FIELDS(KlOfTokens, coefficient)

/// KL in the reward: that of KlOfTokens plus the sequence's reward on its last trainable token (dropped if it has
/// none). Shapes: reward [sequences] -> token_reward [tokens]. Source: InstructGPT, arXiv 2203.02155, eq. 2.
struct KlInReward {
    double coefficient = 0.05;

    using needs = columns<col::reward, col::logp_old, col::logp_ref>;
    using gives = columns<col::token_reward>;

    static constexpr bool everywhere = true;

    template <class X>
    struct OfSequence {
        X x;
        ROARS_FN void operator()(std::int64_t i) const {
            std::int64_t last = x.last_trainable(i);
            if (last >= 0) x[col::token_reward{}][last] += x[col::reward{}][i];
        }
    };
    template <class RunType, BatchWith<col::reward, col::logp_old, col::logp_ref, col::token_reward> BatchType>
    void shape(RunType& run, BatchType& batch) const {
        KlOfTokens{coefficient}.shape(run, batch);
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.sequences(), OfSequence<decltype(x)>{x});
    }
};
ROARS_FIELDS(KlInReward, coefficient)

/// -coefficient * entropy: spreads the policy out. Metric: the entropy, nats.
struct EntropyBonus {
    double coefficient = 0.001;

    static constexpr std::string_view name = "entropy_loss";
    using needs = columns<col::entropy>;
    using differentiates = columns<col::entropy>;
    static constexpr std::array<std::string_view, 1> metrics{"entropy"};

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 1> token(const X& x) const {
        using V = value_t<X>;
        V scale(static_cast<math::Scalar<V>>(-coefficient));
        return {scale * x[col::entropy{}], {scale}, {x[col::entropy{}]}};
    }
};
ROARS_FIELDS(EntropyBonus, coefficient)

}  // namespace regularizer
}  // namespace roars
