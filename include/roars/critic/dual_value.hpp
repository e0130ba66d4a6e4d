#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "roars/critic/rows.hpp"
#include "roars/critic/steps.hpp"
#include "roars/fields.hpp"
#include "roars/regularizer/f_divergence.hpp"

namespace roars::critic {

/// The dual of reinforcement learning in V, with alpha the strength of the f-divergence from the data:
///     (1 - gamma) mean over first states of V(s0) + alpha mean over rows of f+*((r + gamma (1 - done) V(s') - V(s)) /
///     alpha),
/// f+* the positive conjugate. No gradient is stopped. `weight` is the ratio of the best policy's visits to the data's.
/// Source: Dual RL, arXiv 2302.08560, eq. 7.
template <class Divergence = f_divergence::ChiSquare>
struct DualValue {
    double gamma = 0.99;
    double alpha = 1.0;

    template <class Real>
    struct Inputs {
        std::span<const Real> initial_value;                    ///< [first states]
        std::span<const Real> value, next_value, reward, done;  ///< [rows]
    };
    template <class Real>
    struct Outputs {
        std::span<Real> weight, grad_initial_value, grad_value, grad_next_value;
    };

    /// The loss; writes the weights and the derivatives by the three vectors of values. Behind a row that is done
    /// nothing is read. Errors: alpha is not positive, or the shapes differ.
    template <class Real>
    double loss(backend::Host& backend, const Inputs<Real>& in, const Outputs<Real>& out) const {
        expect(alpha > 0.0, [&] { return "dual value: alpha is " + std::to_string(alpha) + ", expected more than 0"; });
        std::int64_t rows = std::ssize(in.value), starts = std::ssize(in.initial_value);
        roars::detail::expect_size("next_value", in.next_value.size(), rows);
        roars::detail::expect_size("reward", in.reward.size(), rows);
        roars::detail::expect_size("done", in.done.size(), rows);
        roars::detail::expect_size("weight", out.weight.size(), rows);
        roars::detail::expect_size("grad_value", out.grad_value.size(), rows);
        roars::detail::expect_size("grad_next_value", out.grad_next_value.size(), rows);
        roars::detail::expect_size("grad_initial_value", out.grad_initial_value.size(), starts);
        parallel_for(backend, starts, [&](std::int64_t j) {
            out.grad_initial_value[std::size_t(j)] = static_cast<Real>((1.0 - gamma) / double(starts));
        });
        double first =
            mean_of(backend, starts, [&](std::int64_t j) { return double(in.initial_value[std::size_t(j)]); });
        double flow = mean_of(backend, rows, [&](std::int64_t row) {
            auto i = static_cast<std::size_t>(row);
            bool ends = in.done[i] != Real(0);
            double error = one_step_target(double(in.reward[i]), gamma, ends, double(in.next_value[i]));
            double y = (error - double(in.value[i])) / alpha, weight = Divergence::weight(y);
            out.weight[i] = static_cast<Real>(weight);
            out.grad_value[i] = static_cast<Real>(-weight / double(rows));
            out.grad_next_value[i] = static_cast<Real>(ends ? 0.0 : gamma * weight / double(rows));
            return Divergence::positive_conjugate(y);
        });
        return (1.0 - gamma) * first + alpha * flow;
    }
};
template <class Divergence>
ROARS_FIELDS_OF((DualValue<Divergence>), gamma, alpha)

}  // namespace roars::critic
