#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/critic/rows.hpp"
#include "roars/critic/steps.hpp"
#include "roars/fields.hpp"

/// ReCOIL: imitation of an expert with the help of any other data, without a reward and without a discriminator. Rows
/// of a mixture: those of the expert first, then the offline ones. Source: Dual RL, arXiv 2302.08560, section 4.
namespace roars::critic {

/// The weight of each row of the mixture: beta / experts, then (1 - beta) / others. Errors: no expert; beta outside
/// [0, 1]; no other row and beta not 1. Shapes: [experts + others].
inline std::vector<double> mixture_weights(std::int64_t experts, std::int64_t others, double beta) {
    expect(experts > 0, "ReCOIL: no row of an expert, expected one or more");
    expect(beta >= 0.0 && beta <= 1.0,
           [&] { return "ReCOIL: beta is " + std::to_string(beta) + ", expected a number in [0, 1]"; });
    expect(others > 0 || beta == 1.0,
           [&] { return "ReCOIL: no offline row, expected beta 1 and not " + std::to_string(beta); });
    std::vector<double> weight(static_cast<std::size_t>(experts), beta / double(experts));
    weight.resize(static_cast<std::size_t>(experts + others), others > 0 ? (1.0 - beta) / double(others) : 0.0);
    return weight;
}

/// The contrastive form, chi-square:
///     beta (mean over offline states of q_policy - mean over expert rows of q_expert)
///     + 1/4 sum over the mixture of weight_i (gamma (1 - done_i) next_value_i - q_i)^2,
/// next_value a constant. Up where the expert acted, down where the policy would act.
struct Recoil {
    double gamma = 0.99;
    double beta = 0.5;

    template <class Real>
    struct Inputs {
        std::span<const Real> q_expert;             ///< [experts]
        std::span<const Real> q_policy;             ///< [offline states], at an action of the policy
        std::span<const Real> q, next_value, done;  ///< [experts + others]
    };
    template <class Real>
    struct Outputs {
        std::span<Real> grad_q_expert, grad_q_policy, grad_q;
    };

    template <class Real>
    double loss(backend::Host& backend, const Inputs<Real>& in, const Outputs<Real>& out) const {
        std::int64_t experts = std::ssize(in.q_expert), rows = std::ssize(in.q), offline = std::ssize(in.q_policy);
        expect(rows >= experts, [&] {
            return "ReCOIL: " + std::to_string(rows) + " rows of the mixture, expected the " + std::to_string(experts) +
                   " of the expert among them";
        });
        check_sizes(rows, in, out);
        std::vector<double> weight = mixture_weights(experts, rows - experts, beta);
        auto contrast = [&](std::span<const Real> q, std::span<Real> grad, double share) {
            parallel_for(backend, std::ssize(q),
                         [&](std::int64_t i) { grad[std::size_t(i)] = static_cast<Real>(share / double(q.size())); });
            return share * mean_of(backend, std::ssize(q), [&](std::int64_t i) { return double(q[std::size_t(i)]); });
        };
        roars::detail::expect_size("grad_q_expert", out.grad_q_expert.size(), experts);
        roars::detail::expect_size("grad_q_policy", out.grad_q_policy.size(), offline);
        double pushed =
            contrast(in.q_policy, out.grad_q_policy, beta) + contrast(in.q_expert, out.grad_q_expert, -beta);
        double flow = mean_of(backend, rows, [&](std::int64_t row) {
            auto i = static_cast<std::size_t>(row);
            double y = one_step_target(0.0, gamma, in.done[i] != Real(0), double(in.next_value[i])) - double(in.q[i]);
            out.grad_q[i] = static_cast<Real>(-0.5 * weight[i] * y);
            return weight[i] * y * y;
        });
        return pushed + 0.25 * double(rows) * flow;
    }

    template <class Real>
    static void check_sizes(std::int64_t rows, const Inputs<Real>& in, const Outputs<Real>& out) {
        roars::detail::expect_size("next_value", in.next_value.size(), rows);
        roars::detail::expect_size("done", in.done.size(), rows);
        roars::detail::expect_size("grad_q", out.grad_q.size(), rows);
    }
};
ROARS_FIELDS(Recoil, gamma, beta)

/// The released form for function approximation, in which Q has a ceiling and every step a price:
///     mean over expert rows of (q_expert - q_max)^2 / 2 + mean over the mixture of (q - y)^2 / 2,
///     y = -step_cost + gamma next_value, where done -step_cost - gamma q_max; constants.
struct RecoilStabilised {
    double gamma = 0.99;
    double q_max = 200.0;
    double step_cost = 2.0;

    /// Inputs and outputs as Recoil's; q_policy is not read.
    template <class Real>
    double loss(backend::Host& backend, const Recoil::Inputs<Real>& in, const Recoil::Outputs<Real>& out) const {
        std::int64_t experts = std::ssize(in.q_expert), rows = std::ssize(in.q);
        expect(experts > 0, "ReCOIL: no row of an expert, expected one or more");
        Recoil::check_sizes(rows, in, out);
        roars::detail::expect_size("grad_q_expert", out.grad_q_expert.size(), experts);
        double up = half_square(backend, in.q_expert, out.grad_q_expert, [&](std::size_t) { return q_max; });
        return up + half_square(backend, in.q, out.grad_q, [&](std::size_t i) {
                   bool ends = in.done[i] != Real(0);
                   return -step_cost + gamma * (ends ? -q_max : double(in.next_value[i]));
               });
    }

private:
    /// mean (q - target)^2 / 2 and its derivative by q.
    template <class Real, class Target>
    static double half_square(backend::Host& backend, std::span<const Real> q, std::span<Real> grad, Target&& target) {
        return mean_of(backend, std::ssize(q), [&](std::int64_t row) {
            auto i = static_cast<std::size_t>(row);
            double error = double(q[i]) - target(i);
            grad[i] = static_cast<Real>(error / double(q.size()));
            return 0.5 * error * error;
        });
    }
};
ROARS_FIELDS(RecoilStabilised, gamma, q_max, step_cost)

}  // namespace roars::critic
