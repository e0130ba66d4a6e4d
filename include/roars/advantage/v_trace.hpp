#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <tuple>

#include "roars/concepts.hpp"
#include "roars/critic/steps.hpp"
#include "roars/critic/value_loss.hpp"
#include "roars/primitives/segmented_scan.hpp"
#include "roars/simd.hpp"

namespace roars::advantage {

/// How a ratio is kept from growing: of(rho, limit).
namespace truncation {
/// min(rho, limit)
struct Hard {
    template <class V>
    ROARS_FN V of(const V& rho, double limit) const {
        return math::min(rho, V(static_cast<math::Scalar<V>>(limit)));
    }
};
/// hard min(rho, limit) + (1 - hard) rho: what is cut off comes back in part, for less bias and more variance. hard = 1
/// is Hard, 0 plain importance sampling. The second rho is held at e^20, so that no product overflows. Source: leaky
/// V-trace, arXiv 2002.12928.
struct Leaky {
    double hard = 0.9;

    template <class V>
    ROARS_FN V of(const V& rho, double limit) const {
        using Real = math::Scalar<V>;
        V held = Hard{}.of(rho, limit), rest = math::min(rho, V(Real(4.85165195e8))) - held;
        return held + V(static_cast<Real>(1.0 - hard)) * math::max(rest, V(Real(0)));
    }
};
ROARS_FIELDS(Hard)
ROARS_FIELDS(Leaky, hard)
}  // namespace truncation

/// V-trace, for steps drawn by another policy than the one that learns; rho_t = exp(logp - logp_old):
///     delta_t = min(rho_clip, rho_t) (r_t + gamma (1 - terminated_t) next_value_t - value_t),
///     e_t = delta_t + gamma lambda (1 - done_t) min(c_clip, rho_t) e_{t+1},   returns = value + e,
///     A_t = min(policy_rho_clip, rho_t) (r_t + gamma (1 - terminated_t) q_t - value_t),
/// q_t = next_value_t where a step is done or the stream's last, else lambda returns_{t+1} + (1 - lambda) next_value_t.
/// On-policy, with all clips and lambda 1, A = e = GAE(1). Every min is Truncation's. Shapes: all [steps]. Source:
/// IMPALA, arXiv 1802.01561, eq. 1.
template <class Critic = critic::None, class Truncation = truncation::Hard>
struct VTrace {
    double gamma = 0.99;
    double lambda = 1.0;
    double rho_clip = 1.0;
    double c_clip = 1.0;
    double policy_rho_clip = 1.0;
    Critic critic{};
    Truncation truncation{};

    using needs =
        columns<col::token_reward, col::value, col::next_value, col::terminated, col::done, col::logp, col::logp_old>;
    using gives = columns<col::advantage, col::returns>;

    template <class RunType, BatchWith<col::token_reward, col::value, col::next_value, col::terminated, col::done,
                                       col::logp, col::logp_old, col::advantage, col::returns>
                                 BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        auto steps = critic::steps_of(batch);
        segmented_affine_backward_in_blocks(
            run.backend, steps.offsets,
            Blocks<typename BatchType::Real>{*this, steps, batch[col::value{}].data(), batch[col::logp{}].data(),
                                             batch[col::logp_old{}].data(), batch[col::advantage{}].data(),
                                             batch[col::returns{}].data()});
    }
    std::tuple<Critic> terms(const NoState&) const requires TokenTerm<Critic> { return {critic}; }

private:
    /// What a block of steps brings to the recursion of e, and what is made of it, in lanes: what must not count is
    /// selected away, whatever it holds.
    template <class Real_>
    struct Blocks {
        using Real = Real_;
        using V = math::Lanes<Real>;
        static constexpr std::int64_t lanes = math::lanes<V>;

        VTrace part;
        critic::Steps<Real> steps;
        const Real *value, *logp, *logp_old;
        Real *advantage, *returns;
        std::array<Real, roars::detail::scan_block> ratio{};

        void coefficients(std::int64_t begin, std::int64_t end, Real* a, Real* b) {
            std::int64_t t = begin;
            for (; t + lanes <= end; t += lanes) {
                for (const Real* column : {value, logp, logp_old, steps.reward.data(), steps.next_value.data(),
                                           steps.terminated.data(), steps.done.data()})
                    math::prefetch(column + t - roars::detail::scan_block);
                coefficients_of<V>(t, t - begin, a, b);
            }
            for (; t < end; ++t) coefficients_of<Real>(t, t - begin, a, b);
        }
        void store(std::int64_t begin, std::int64_t end, const Real* error, bool last) const {
            std::int64_t t = begin, behind = end - 1;
            for (; t + lanes <= behind; t += lanes)
                store_of<V>(t, t - begin, error, math::load<V>(value + t + 1) + math::load<V>(error + (t - begin) + 1),
                            cut<V>(t));
            for (; t < behind; ++t)
                store_of<Real>(t, t - begin, error, value[t + 1] + error[t - begin + 1], cut<Real>(t));
            bool ends = last || cut<Real>(t);
            store_of<Real>(t, t - begin, error, ends ? Real(0) : value[t + 1] + error[t - begin + 1], ends);
        }

    private:
        template <class X>
        static X number(double x) {
            return X(static_cast<Real>(x));
        }
        template <class X>
        auto cut(std::int64_t t) const {
            return math::load<X>(steps.done.data() + t) != number<X>(0);
        }
        /// r + gamma (1 - terminated) q
        template <class X>
        X target(std::int64_t t, const X& q) const {
            auto ends = math::load<X>(steps.terminated.data() + t) != number<X>(0);
            return math::load<X>(steps.reward.data() + t) + number<X>(part.gamma) * math::select(ends, number<X>(0), q);
        }
        template <class X>
        void coefficients_of(std::int64_t t, std::int64_t k, Real* a, Real* b) {
            X rho = math::exp(X(math::load<X>(logp + t) - math::load<X>(logp_old + t)));
            math::store(&ratio[std::size_t(k)], rho);
            X carry = number<X>(part.gamma * part.lambda) * part.truncation.of(rho, part.c_clip);
            X delta = target<X>(t, math::load<X>(steps.next_value.data() + t)) - math::load<X>(value + t);
            math::store(a + k, math::select(cut<X>(t), number<X>(0), carry));
            math::store(b + k, X(part.truncation.of(rho, part.rho_clip) * delta));
        }
        template <class X, class Mask>
        void store_of(std::int64_t t, std::int64_t k, const Real* error, const X& next_return, const Mask& cuts) const {
            X own = math::load<X>(value + t), next = math::load<X>(steps.next_value.data() + t);
            X mixed = number<X>(part.lambda) * next_return + number<X>(1.0 - part.lambda) * next;
            X q = math::select(cuts, next, mixed), rho = math::load<X>(&ratio[std::size_t(k)]);
            math::store(returns + t, X(own + math::load<X>(error + k)));
            math::store(advantage + t, X(part.truncation.of(rho, part.policy_rho_clip) * (target<X>(t, q) - own)));
        }
    };
};
template <class Critic, class Truncation>
ROARS_FIELDS_OF((VTrace<Critic, Truncation>), gamma, lambda, rho_clip, c_clip, policy_rho_clip, critic, truncation)

template <class Critic = critic::None>
using LeakyVTrace = VTrace<Critic, truncation::Leaky>;

}  // namespace roars::advantage
