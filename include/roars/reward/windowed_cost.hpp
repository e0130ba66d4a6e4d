#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/primitives/segments.hpp"

namespace roars::reward {

/// What calls of priced models cost: sum over them of price[model] * output_tokens. A model that is not in the pool,
/// a number without a price, answers an error and costs nothing. Shapes: model, output_tokens [calls]; price [models].
template <class Real>
double cost_of_calls(std::span<const std::int64_t> model, std::span<const Real> output_tokens,
                     std::span<const double> price) {
    roars::detail::expect_size("cost of calls: output_tokens", output_tokens.size(), std::ssize(model));
    double cost = 0;
    for (std::size_t k = 0; k < model.size(); ++k)
        if (model[k] >= 0 && model[k] < std::ssize(price))
            cost += price[static_cast<std::size_t>(model[k])] * static_cast<double>(output_tokens[k]);
    return cost;
}

/// What of a cost is compared.
namespace squash {
struct SquareRoot {
    double operator()(double cost) const { return std::sqrt(cost); }
};
struct Logarithm {
    double factor = 0.01;
    double operator()(double cost) const { return std::log1p(factor * cost); }
};
ROARS_FIELDS(SquareRoot)
ROARS_FIELDS(Logarithm, factor)
}  // namespace squash

/// A cheap sequence is worth 1 and a dear one 0, beside the last `window` of them, over all batches. In order of
/// arrival, which is that of the batch: x = squash(cost) enters the window, and with its quantiles lo at q_low and hi
/// at q_high (linear between neighbours),
///     r = 0.5 if hi - lo < eps or hi = lo, else 1 - clip((x - lo) / (hi - lo), 0, 1).
/// Shapes: cost -> reward [sequences]. Errors: a window below 1, quantiles that are not 0 <= q_low <= q_high <= 1, a
/// cost below 0 or not finite. Source: the code of Router-R1, arXiv 2506.09033.
template <class Squash = squash::SquareRoot>
struct WindowedCost {
    std::int64_t window = 1000;
    double q_low = 0.05, q_high = 0.95;
    double eps = 1e-8;
    Squash squash{};

    using needs = columns<col::cost>;
    using gives = columns<col::reward>;
    struct State {
        std::vector<double> last;  ///< x of the last sequences, the oldest first

        ROARS_MEMBERS(State, last)
    };

    template <class RunType, BatchWith<col::cost, col::reward> BatchType>
    void score(RunType&, State& state, BatchType& batch) const {
        check();
        std::vector<double> sorted = state.last;
        std::sort(sorted.begin(), sorted.end());
        for (std::size_t i = 0; i < static_cast<std::size_t>(batch.sequences()); ++i) {
            const auto cost = static_cast<double>(batch[col::cost{}][i]);
            expect(cost >= 0 && std::isfinite(cost), [&] {
                return "windowed cost: sequence " + std::to_string(i) + " costs " + std::to_string(cost) +
                       ", expected a number of 0 or more";
            });
            const double x = squash(cost);
            arrive(state, sorted, x);
            const double low = quantile(sorted, q_low), high = quantile(sorted, q_high);
            const double share = high - low < eps || high == low ? 0.5 : std::clamp((x - low) / (high - low), 0.0, 1.0);
            batch[col::reward{}][i] = static_cast<typename BatchType::Real>(1.0 - share);
        }
    }

private:
    void check() const {
        expect(window >= 1 && 0 <= q_low && q_low <= q_high && q_high <= 1, [&] {
            return "windowed cost: a window of " + std::to_string(window) + " with quantiles at " +
                   std::to_string(q_low) + " and " + std::to_string(q_high) +
                   ", expected 1 or more and 0 <= q_low <= q_high <= 1";
        });
    }
    void arrive(State& state, std::vector<double>& sorted, double x) const {
        state.last.push_back(x);
        sorted.insert(std::upper_bound(sorted.begin(), sorted.end(), x), x);
        while (std::ssize(state.last) > window) {
            sorted.erase(std::lower_bound(sorted.begin(), sorted.end(), state.last.front()));
            state.last.erase(state.last.begin());
        }
    }
    static double quantile(const std::vector<double>& sorted, double q) {
        const double place = q * static_cast<double>(sorted.size() - 1);
        const auto below = static_cast<std::size_t>(place);
        const std::size_t above = std::min(below + 1, sorted.size() - 1);
        return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
    }
};
template <class Squash>
ROARS_FIELDS_OF((WindowedCost<Squash>), window, q_low, q_high, eps, squash)

}  // namespace roars::reward
