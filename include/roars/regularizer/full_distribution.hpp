#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "roars/fields.hpp"
#include "roars/primitives/log_softmax.hpp"

namespace roars {

/// Divergences between the policy's whole distribution p = softmax(logits) and a teacher's q, action by action: `value`
/// is the action's part of the sum, `pull` is p d value / d p up to a constant times p, so that the gradient by a logit
/// is pull_j - p_j sum pull. A term with p = 0 or q = 0 in front is 0. A forbidden action (logit -inf) has the gradient
/// 0. Where one side forbids what the other takes, a divergence may be infinite: it is told as inf, and a gradient that
/// would be infinite too is 0.
namespace divergence {

/// One action's part.
template <class V>
struct Part {
    V value;
    V pull;
};

/// sum p log(p / q)
struct ReverseKl {
    template <class V>
    ROARS_FN Part<V> of(const V& p, const V& logp, const V&, const V& logq) const {
        const V zero(math::Scalar<V>(0));
        V part = math::select(p > zero, p * (logp - logq), zero);
        return {part, part};
    }
};
/// sum q log(q / p)
struct ForwardKl {
    template <class V>
    ROARS_FN Part<V> of(const V&, const V& logp, const V& q, const V& logq) const {
        const V zero(math::Scalar<V>(0));
        return {math::select(q > zero, q * (logq - logp), zero), -q};
    }
};
/// mixture KL(q || m) + (1 - mixture) KL(p || m), m = mixture q + (1 - mixture) p: the generalised Jensen-Shannon
/// divergence. Source: GKD, arXiv 2306.13649, eq. 1.
struct JensenShannon {
    double mixture = 0.5;
    template <class V>
    ROARS_FN Part<V> of(const V& p, const V& logp, const V& q, const V& logq) const {
        using Real = math::Scalar<V>;
        const V zero(Real(0)), share(static_cast<Real>(mixture)), rest(Real(1.0 - mixture));
        V of_q = share * q, of_p = rest * p, log_middle = math::log(of_q + of_p);
        V of_teacher = math::select(of_q > zero, of_q * (logq - log_middle), zero);
        V of_policy = math::select(of_p > zero, of_p * (logp - log_middle), zero);
        return {of_teacher + of_policy, of_policy};
    }
};
/// sum |p - q| / 2; the derivative of |0| is 0.
struct TotalVariation {
    template <class V>
    ROARS_FN Part<V> of(const V& p, const V&, const V& q, const V&) const {
        using Real = math::Scalar<V>;
        const V zero(Real(0)), half(Real(0.5));
        V difference = p - q;
        V sign = math::select(difference > zero, half, math::select(difference < zero, -half, zero));
        return {half * math::abs(difference), p * sign};
    }
};
/// 1 - cos(logits, teacher's logits), the angle between the rows as they are, not of probabilities: no temperature
/// enters, a shift of a row does. An action that either forbids is left out of both; 1 without a slope where a row is
/// 0. Source: distillation by cosine similarity, as in Liger-Kernel.
struct Cosine {};
ROARS_FIELDS(Cosine)
ROARS_FIELDS(ReverseKl)
ROARS_FIELDS(ForwardKl)
ROARS_FIELDS(JensenShannon, mixture)
ROARS_FIELDS(TotalVariation)

}  // namespace divergence

namespace detail {

/// Calls body(z, t, first action, actions) for lanes of two rows of logits. Lanes behind the end are forbidden in both.
template <class Real, class Body>
ROARS_INLINE void for_lanes_of_two(const Real* row, const Real* teacher, std::int64_t vocabulary, Body&& body) {
    using V = math::Lanes<Real>;
    constexpr std::int64_t width = math::lanes<V>;
    std::int64_t i = 0;
    for (; i + width <= vocabulary; i += width) body(math::load<V>(row + i), math::load<V>(teacher + i), i, width);
    if (i == vocabulary) return;
    std::array<Real, static_cast<std::size_t>(width)> a, b;
    a.fill(-std::numeric_limits<Real>::infinity());
    b.fill(-std::numeric_limits<Real>::infinity());
    std::copy(row + i, row + vocabulary, a.begin());
    std::copy(teacher + i, teacher + vocabulary, b.begin());
    body(math::load<V>(a.data()), math::load<V>(b.data()), i, vocabulary - i);
}

}  // namespace detail

/// The divergence of one row of logits from a teacher's row, z = logits / temperature for both. Where `gradient` is not
/// null it receives weight * d divergence / d logits, which may overwrite the logits. Shapes: [vocabulary].
template <class Divergence, class Real>
double row_divergence(const Divergence& divergence, const Real* logits, const Real* teacher_logits,
                      std::int64_t vocabulary, double temperature = 1.0, Real* gradient = nullptr,
                      double weight = 1.0) {
    using V = math::Lanes<Real>;
    V scale(static_cast<Real>(1.0 / temperature));
    V shift(static_cast<Real>(softmax_row<OnlyNormaliser>(logits, vocabulary, temperature).log_sum_exp()));
    V teacher_shift(
        static_cast<Real>(softmax_row<OnlyNormaliser>(teacher_logits, vocabulary, temperature).log_sum_exp()));
    auto part = [&](const V& z, const V& t) {
        V logp = z * scale - shift, logq = t * scale - teacher_shift;
        return divergence.of(math::exp(logp), logp, math::exp(logq), logq);
    };
    double value = 0.0, pull = 0.0;
    detail::for_lanes_of_two(logits, teacher_logits, vocabulary,
                             [&](const V& z, const V& t, std::int64_t, std::int64_t) {
                                 auto one = part(z, t);
                                 value += double(math::sum(one.value));
                                 pull += double(math::sum(one.pull));
                             });
    if (gradient == nullptr) return value;
    if (std::isinf(pull)) {
        std::fill_n(gradient, vocabulary, Real(0));
        return value;
    }
    V all(static_cast<Real>(pull)), factor(static_cast<Real>(weight / temperature)), zero(Real(0)),
        forbidden(-std::numeric_limits<Real>::infinity());
    detail::for_lanes_of_two(logits, teacher_logits, vocabulary,
                             [&](const V& z, const V& t, std::int64_t at, std::int64_t used) {
                                 V slope = factor * (part(z, t).pull - math::exp(z * scale - shift) * all);
                                 slope = math::select(z == forbidden, zero, slope);
                                 if (used == math::lanes<V>) return math::store(gradient + at, slope);
                                 std::array<Real, static_cast<std::size_t>(math::lanes<V>)> rest;
                                 math::store(rest.data(), slope);
                                 std::copy_n(rest.begin(), used, gradient + at);
                             });
    return value;
}

/// The same of divergence::Cosine.
template <class Real>
double row_divergence(const divergence::Cosine&, const Real* logits, const Real* teacher_logits,
                      std::int64_t vocabulary, double = 1.0, Real* gradient = nullptr, double weight = 1.0) {
    using V = math::Lanes<Real>;
    const V zero(Real(0)), forbidden(-std::numeric_limits<Real>::infinity());
    double dot = 0.0, own = 0.0, other = 0.0;
    detail::for_lanes_of_two(logits, teacher_logits, vocabulary,
                             [&](const V& z, const V& t, std::int64_t, std::int64_t) {
                                 auto out = z == forbidden || t == forbidden;
                                 V x = math::select(out, zero, z), y = math::select(out, zero, t);
                                 dot += double(math::sum(V(x * y)));
                                 own += double(math::sum(V(x * x)));
                                 other += double(math::sum(V(y * y)));
                             });
    const double size = std::sqrt(own) * std::sqrt(other), cosine = size > 0.0 ? dot / size : 0.0;
    if (gradient == nullptr) return 1.0 - cosine;
    const V by_other(static_cast<Real>(size > 0.0 ? -weight / size : 0.0)),
        by_own(static_cast<Real>(size > 0.0 ? weight * cosine / own : 0.0));
    detail::for_lanes_of_two(logits, teacher_logits, vocabulary,
                             [&](const V& z, const V& t, std::int64_t at, std::int64_t used) {
                                 V slope = by_other * t + by_own * z;
                                 slope = math::select(z == forbidden || t == forbidden, zero, slope);
                                 if (used == math::lanes<V>) return math::store(gradient + at, slope);
                                 std::array<Real, static_cast<std::size_t>(math::lanes<V>)> rest;
                                 math::store(rest.data(), slope);
                                 std::copy_n(rest.begin(), used, gradient + at);
                             });
    return 1.0 - cosine;
}

/// The same for many rows, in parallel: value_r, and weight_r * its gradient where `gradient` is not empty. A row of
/// weight 0 (a masked token) is not read: value and gradient 0. Shapes: logits, teacher_logits, gradient [rows x
/// vocabulary]; weight, value [rows].
template <class Divergence, class Real>
void full_divergence(backend::Host& backend, const Divergence& divergence, std::span<const Real> logits,
                     std::span<const Real> teacher_logits, std::int64_t vocabulary, double temperature,
                     std::span<const Real> weight, std::span<Real> value, std::span<Real> gradient = {}) {
    detail::expect_temperature(temperature);
    std::int64_t rows = detail::expect_rows(logits.size(), vocabulary);
    detail::expect_size("teacher_logits", teacher_logits.size(), rows * vocabulary);
    detail::expect_size("weight", weight.size(), rows);
    detail::expect_size("value", value.size(), rows);
    if (!gradient.empty()) detail::expect_size("gradient", gradient.size(), rows * vocabulary);
    detail::for_each_row(backend, rows, vocabulary, [&](std::int64_t r) {
        auto i = static_cast<std::size_t>(r);
        Real* slope = gradient.empty() ? nullptr : gradient.data() + r * vocabulary;
        if (weight[i] == Real(0)) {
            value[i] = Real(0);
            if (slope) std::fill_n(slope, vocabulary, Real(0));
            return;
        }
        value[i] = static_cast<Real>(row_divergence(divergence, logits.data() + r * vocabulary,
                                                    teacher_logits.data() + r * vocabulary, vocabulary, temperature,
                                                    slope, double(weight[i])));
    });
}

}  // namespace roars
