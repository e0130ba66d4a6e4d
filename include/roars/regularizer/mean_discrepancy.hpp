#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "roars/concepts.hpp"
#include "roars/critic/rows.hpp"
#include "roars/fields.hpp"

namespace roars::regularizer {

/// How alike two rows are: k(x, y), 1 for equal ones, and d k / d x_j.
namespace kernel {
/// exp(-||x - y||^2 / (2 sigma))
struct Gaussian {
    double sigma = 20.0;
    ROARS_FN double of(double square, double) const { return std::exp(-square / (2.0 * sigma)); }
    ROARS_FN double slope(double value, double apart) const { return -value * apart / sigma; }
};
/// exp(-||x - y||_1 / (2 sigma)); the slope of |0| is 0.
struct Laplacian {
    double sigma = 10.0;
    ROARS_FN double of(double, double sum) const { return std::exp(-sum / (2.0 * sigma)); }
    ROARS_FN double slope(double value, double apart) const {
        return -value * (double(apart > 0.0) - double(apart < 0.0)) / (2.0 * sigma);
    }
};
ROARS_FIELDS(Gaussian, sigma)
ROARS_FIELDS(Laplacian, sigma)
}  // namespace kernel

/// The maximum mean discrepancy of n policy's actions x and m actions y of a model of the data, in one state:
///     sqrt(max(0, mean k(x, x') - 2 mean k(x, y) + mean k(y, y')) + eps),
/// small where the policy keeps within the support of the data, however often the data took each action. As a term,
/// coefficient times that of policy_samples and model_samples; held below a threshold by
/// regularizer::LearnedMultiplier. Shapes: x [n, width], y [m, width] for each state, side by side: policy, grad
/// [states, n width], data [states, m width]. Metric: without the coefficient. Source: BEAR, arXiv 1906.00949,
/// section 4.2.
template <class Kernel = kernel::Laplacian>
struct MeanDiscrepancy {
    Kernel kernel{};
    double eps = 1e-6;
    double coefficient = 1.0;

    static constexpr std::string_view name = "discrepancy_loss";
    using rows = columns<col::policy_samples, col::model_samples, col::action>;
    using needs = columns<col::policy_samples, col::model_samples, col::action>;
    using differentiates = columns<col::policy_samples>;
    static constexpr std::array<std::string_view, 1> metrics{"discrepancy"};

    template <class X, class Slope>
    ROARS_FN RowLoss<1> row(const X& x, const Slope& slope) const {
        using Real = typename X::value_type;
        std::span<const Real> policy = x[col::policy_samples{}], data = x[col::model_samples{}];
        std::span<Real> to = slope[col::policy_samples{}];
        double value = of_state(policy, data, x[col::action{}].size(), 1.0, to);
        for (Real& each : to) each = static_cast<Real>(coefficient * double(each));
        return {coefficient * value, {value}};
    }

    /// The mean over states, and its derivative by the policy's actions.
    template <class Real>
    double penalty(backend::Host& backend, critic::Rows<const Real> policy, critic::Rows<const Real> data,
                   std::int64_t width, critic::Rows<Real> grad) const {
        expect(width > 0 && policy.width > 0 && policy.width % width == 0 && data.width > 0 &&
                   data.width % width == 0 && policy.count() == data.count(),
               [&] {
                   return "mean discrepancy: rows of " + std::to_string(policy.width) + " and of " +
                          std::to_string(data.width) + " numbers, expected as many of each, of actions of " +
                          std::to_string(width);
               });
        roars::detail::expect_size("grad", grad.values.size(), std::ssize(policy.values));
        const double states = double(policy.count());
        return critic::mean_of(backend, policy.count(), [&](std::int64_t state) {
            auto w = static_cast<std::size_t>(width);
            return of_state(policy[state], data[state], w, states, grad[state]);
        });
    }

private:
    template <class Real>
    ROARS_FN double of_state(std::span<const Real> x, std::span<const Real> y, std::size_t width, double states,
                             std::span<Real> grad) const {
        const double n = double(x.size() / width), m = double(y.size() / width);
        for (Real& each : grad) each = Real(0);
        double value = pairs(x, x, width, 1.0 / (n * n), grad, 2.0) + pairs(x, y, width, -2.0 / (n * m), grad, 1.0) +
                       pairs(y, y, width, 1.0 / (m * m), std::span<Real>(), 0.0);
        double root = std::sqrt(std::max(value, 0.0) + eps);
        for (Real& each : grad) each = static_cast<Real>(value > 0.0 ? double(each) / (2.0 * root * states) : 0.0);
        return root;
    }
    /// weight * sum over pairs of k(x_i, y_j). Adds `sides` times the slope by the first of the two: both sides of x
    /// with itself move.
    template <class Real>
    ROARS_FN double pairs(std::span<const Real> x, std::span<const Real> y, std::size_t width, double weight,
                          std::span<Real> slope, double sides) const {
        double sum = 0.0;
        for (std::size_t i = 0; i < x.size(); i += width)
            for (std::size_t j = 0; j < y.size(); j += width) {
                double square = 0.0, size = 0.0;
                for (std::size_t d = 0; d < width; ++d) {
                    double apart = double(x[i + d]) - double(y[j + d]);
                    square += apart * apart;
                    size += std::abs(apart);
                }
                double value = kernel.of(square, size);
                sum += weight * value;
                for (std::size_t d = 0; !slope.empty() && d < width; ++d)
                    slope[i + d] +=
                        static_cast<Real>(sides * weight * kernel.slope(value, double(x[i + d]) - double(y[j + d])));
            }
        return sum;
    }
};
template <class Kernel>
ROARS_FIELDS_OF((MeanDiscrepancy<Kernel>), kernel, eps, coefficient)

}  // namespace roars::regularizer
