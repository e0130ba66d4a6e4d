#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/critic/rows.hpp"
#include "roars/fields.hpp"

namespace roars::critic {

/// A critic that learns targets of mean 0 and spread 1, whatever their size: shift mu and scale sigma of each output
/// follow its targets y,
///     mu += step sum (y - mu),   nu += step sum (y^2 - nu),   sigma = clamp(sqrt(nu - mu^2), least, largest),
/// the sums over the batch's targets of that output, and the last linear layer w, b is changed so that what the critic
/// says, sigma (w x + b) + mu, stays exactly as it was. `step` times the targets of one output in a batch should stay
/// below 1. Sources: PopArt, arXiv 1602.07714, alg. 1; several outputs (tasks), arXiv 1809.04474.
struct PopArt {
    double step = 3e-4;
    double least = 1e-4;
    double largest = 1e6;

    /// Of each output; none before the first update.
    struct State {
        std::vector<double> shift, second_moment, scale;
        ROARS_MEMBERS(State, shift, second_moment, scale)
    };

    void open(State& state, std::int64_t outputs) const {
        auto count = static_cast<std::size_t>(outputs);
        if (state.shift.empty())
            state = {std::vector<double>(count, 0.0), std::vector<double>(count, 1.0), std::vector<double>(count, 1.0)};
        roars::detail::expect_size("outputs of PopArt", state.shift.size(), outputs);
    }

    /// Follows the targets and keeps the outputs. Shapes: target, output [rows], output the number of a target's
    /// output; weight [inputs, outputs], bias [outputs]. Errors: an output that does not exist, a target that is not
    /// finite: nothing is then changed.
    template <class Real, class Index>
    void update(State& state, std::span<const Real> target, std::span<Index> output, Rows<Real> weight,
                std::span<Real> bias) const {
        open(state, std::ssize(bias));
        roars::detail::expect_size("output", output.size(), std::ssize(target));
        expect(weight.width == std::ssize(bias), [&] {
            return "PopArt: rows of " + std::to_string(weight.width) + " weights, expected one for each of " +
                   std::to_string(bias.size()) + " outputs";
        });
        for (std::size_t i = 0; i < target.size(); ++i) {
            expect(output[i] >= 0 && std::int64_t(output[i]) < std::ssize(bias), [&] {
                return "PopArt: target " + std::to_string(i) + " is of output " + std::to_string(output[i]) + " of " +
                       std::to_string(bias.size());
            });
            expect(std::isfinite(double(target[i])),
                   [&] { return "PopArt: target " + std::to_string(i) + " is not finite"; });
        }
        State next = state;
        for (std::size_t i = 0; i < target.size(); ++i) {
            auto k = static_cast<std::size_t>(output[i]);
            double y = double(target[i]);
            next.shift[k] += step * (y - state.shift[k]);
            next.second_moment[k] += step * (y * y - state.second_moment[k]);
        }
        for (std::size_t k = 0; k < bias.size(); ++k) {
            double variance = next.second_moment[k] - next.shift[k] * next.shift[k];
            next.scale[k] = std::sqrt(std::clamp(variance, least * least, largest * largest));
            double ratio = state.scale[k] / next.scale[k];
            for (std::int64_t i = 0; i < weight.count(); ++i)
                weight[i][k] = static_cast<Real>(ratio * double(weight[i][k]));
            bias[k] = static_cast<Real>(ratio * double(bias[k]) + (state.shift[k] - next.shift[k]) / next.scale[k]);
        }
        state = std::move(next);
    }

    static double normalise(const State& state, double y, std::size_t output = 0) {
        return (y - state.shift[output]) / state.scale[output];
    }
    static double restore(const State& state, double said, std::size_t output = 0) {
        return state.scale[output] * said + state.shift[output];
    }
};
ROARS_FIELDS(PopArt, step, least, largest)

}  // namespace roars::critic
