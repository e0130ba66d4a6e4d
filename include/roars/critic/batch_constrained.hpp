#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "roars/critic/rows.hpp"
#include "roars/critic/steps.hpp"
#include "roars/fields.hpp"

namespace roars::critic {

/// y = r + gamma (1 - terminated) max_j (pessimism min_k q_k(s', a_j) + (1 - pessimism) max_k q_k(s', a_j)) over
/// actions a_j that a model of the data drew: only what the data may hold is asked for, and where critics disagree the
/// lower one counts more. One action a row, that of a policy in the model's code, is PLAS. Shapes: q [critics, rows
/// samples], the samples of a row side by side, reward, terminated, target [rows]. Sources: BCQ, arXiv 1812.02900;
/// PLAS, arXiv 2011.07213. Errors: no critic, or numbers that are not so many for each row.
struct BatchConstrained {
    double gamma = 0.99;
    double pessimism = 0.75;

    template <class Real>
    void target(backend::Host& backend, std::span<const Real> reward, std::span<const Real> terminated,
                Rows<const Real> q, std::span<Real> target) const {
        value(backend, q, target);
        parallel_for(backend, std::ssize(target), [&](std::int64_t row) {
            auto i = static_cast<std::size_t>(row);
            target[i] = static_cast<Real>(
                one_step_target(double(reward[i]), gamma, terminated[i] != Real(0), double(target[i])));
        });
    }
    /// The part of the next state, max_j (...). Shapes: q as above, value [rows].
    template <class Real>
    void value(backend::Host& backend, Rows<const Real> q, std::span<Real> value) const {
        const std::int64_t rows = std::ssize(value), samples = rows > 0 ? q.width / rows : 1;
        expect(q.count() > 0 || rows == 0, "batch-constrained target: no critics, expected one or more");
        expect(rows == 0 || (samples > 0 && q.width == rows * samples), [&] {
            return "batch-constrained target: " + std::to_string(q.width) + " action values of a critic for " +
                   std::to_string(rows) + " rows, expected as many for each";
        });
        parallel_for(backend, rows, [&](std::int64_t row) {
            double best = 0.0;
            for (std::int64_t j = 0; j < samples; ++j) {
                double mixed = of_action(q, static_cast<std::size_t>(row * samples + j));
                best = j == 0 ? mixed : std::max(best, mixed);
            }
            value[static_cast<std::size_t>(row)] = static_cast<Real>(best);
        });
    }

private:
    template <class Real>
    double of_action(Rows<const Real> q, std::size_t at) const {
        double least = double(q[0][at]), most = least;
        for (std::int64_t k = 1; k < q.count(); ++k) {
            least = std::min(least, double(q[k][at]));
            most = std::max(most, double(q[k][at]));
        }
        return pessimism * least + (1.0 - pessimism) * most;
    }
};
ROARS_FIELDS(BatchConstrained, gamma, pessimism)

/// A drawn action, moved a little by a network whose output u is in [-1, 1]: a' = clamp(a + range u, low, high).
/// Shapes: all [cells]. Source: BCQ, arXiv 1812.02900, section 4.
struct Perturbation {
    double range = 0.05;
    double low = -1.0;
    double high = 1.0;

    template <class Real>
    void apply(backend::Host& backend, std::span<const Real> action, std::span<const Real> u,
               std::span<Real> moved) const {
        parallel_for(backend, std::ssize(moved), [&](std::int64_t cell) {
            auto i = static_cast<std::size_t>(cell);
            moved[i] = static_cast<Real>(std::clamp(double(action[i]) + range * double(u[i]), low, high));
        });
    }
    /// d loss / du from d loss / da'; 0 where the action is held. `slope` may be overwritten in place.
    template <class Real>
    void backward(backend::Host& backend, std::span<const Real> action, std::span<const Real> u,
                  std::span<const Real> slope, std::span<Real> by_u) const {
        parallel_for(backend, std::ssize(by_u), [&](std::int64_t cell) {
            auto i = static_cast<std::size_t>(cell);
            double sum = double(action[i]) + range * double(u[i]);
            by_u[i] = sum >= low && sum <= high ? static_cast<Real>(range * double(slope[i])) : Real(0);
        });
    }
};
ROARS_FIELDS(Perturbation, range, low, high)

}  // namespace roars::critic
