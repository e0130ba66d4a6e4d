#pragma once

#include <array>
#include <string_view>

#include "roars/concepts.hpp"
#include "roars/term.hpp"

/// Losses of a value head, fused into the pass over the policy's loss. v = value, R = returns (a constant); the
/// optimizer's aggregation weighs the tokens, so a token mean gives coefficient * mean. `coefficient` is PPO's c_v.
namespace roars::critic {

/// No critic is trained here: returns that nothing else reads are then an error of the algorithm.
struct None {};
ROARS_FIELDS(None)

/// coefficient (v - R)^2 / 2, of the state's value or of another estimate, v = col::q. Metric: the mean value.
template <class Estimate>
struct SquaredErrorOf {
    double coefficient = 0.5;

    static constexpr std::string_view name = "value_loss";
    using needs = columns<Estimate, col::returns>;
    using differentiates = columns<Estimate>;
    static constexpr std::array<std::string_view, 1> metrics{"value"};

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 1> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        V scale(static_cast<Real>(coefficient)), error = x[Estimate{}] - x[col::returns{}];
        return {V(Real(0.5)) * scale * error * error, {scale * error}, {x[Estimate{}]}};
    }
};
template <class Estimate>
ROARS_FIELDS_OF((SquaredErrorOf<Estimate>), coefficient)
using SquaredError = SquaredErrorOf<col::value>;

/// coefficient max((v - R)^2, (clamp(v, v_old - clip, v_old + clip) - R)^2) / 2; the slope is 0 where the held value
/// gives the larger side. Metrics: the share of such tokens, the mean value. Source: PPO's reference implementation,
/// arXiv 1707.06347.
struct ClippedValue {
    double coefficient = 0.5;
    double clip = 0.2;

    static constexpr std::string_view name = "value_loss";
    using needs = columns<col::value, col::value_old, col::returns>;
    using differentiates = columns<col::value>;
    static constexpr std::array<std::string_view, 2> metrics{"value_clip_fraction", "value"};

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 2> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        const V zero(Real(0)), one(Real(1)), scale(static_cast<Real>(coefficient)), width(static_cast<Real>(clip));
        V value = x[col::value{}], old = x[col::value_old{}], target = x[col::returns{}];
        V error = value - target, held = math::clamp(value, old - width, old + width) - target;
        auto clips = held * held > error * error;
        return {V(Real(0.5)) * scale * math::select(clips, held * held, error * error),
                {math::select(clips, zero, scale * error)},
                {math::select(clips, one, zero), value}};
    }
};
ROARS_FIELDS(ClippedValue, coefficient, clip)

/// coefficient huber(v - R), huber(u) = u^2 / 2 if |u| <= delta, else delta (|u| - delta / 2), of the state's value or
/// of another estimate, v = col::q. Metric: the mean value. Source: Huber 1964.
template <class Estimate>
struct HuberOf {
    double coefficient = 0.5;
    double delta = 1.0;

    static constexpr std::string_view name = "value_loss";
    using needs = columns<Estimate, col::returns>;
    using differentiates = columns<Estimate>;
    static constexpr std::array<std::string_view, 1> metrics{"value"};

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 1> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        const V scale(static_cast<Real>(coefficient)), bound(static_cast<Real>(delta)), half(Real(0.5));
        V error = x[Estimate{}] - x[col::returns{}];
        V held = math::clamp(error, -bound, bound);
        return {scale * held * (error - half * held), {scale * held}, {x[Estimate{}]}};
    }
};
template <class Estimate>
ROARS_FIELDS_OF((HuberOf<Estimate>), coefficient, delta)
using Huber = HuberOf<col::value>;

/// coefficient |tau - [u < 0]| u^2, u = q - v: v becomes the tau-expectile of q over the actions in the data. Needs the
/// action value of each row (the smaller of two target critics). Source: IQL, arXiv 2110.06169, eq. 5.
struct Expectile {
    double coefficient = 1.0;
    double tau = 0.7;

    static constexpr std::string_view name = "value_loss";
    using needs = columns<col::value, col::q>;
    using differentiates = columns<col::value>;
    static constexpr std::array<std::string_view, 1> metrics{"value"};

    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 1> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        V error = x[col::q{}] - x[col::value{}];
        V weight = math::select(error < V(Real(0)), V(Real(coefficient * (1.0 - tau))), V(Real(coefficient * tau)));
        return {weight * error * error, {V(Real(-2)) * weight * error}, {x[col::value{}]}};
    }
};
ROARS_FIELDS(Expectile, coefficient, tau)

}  // namespace roars::critic
