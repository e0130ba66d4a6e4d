#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>

#include "roars/concepts.hpp"
#include "roars/fields.hpp"
#include "roars/optimizer/step/adamw.hpp"

namespace roars::regularizer {
namespace detail {

/// "mean_kl_07", "spread_kl_07".
template <std::size_t d>
struct KlNames {
    static constexpr char first = static_cast<char>('0' + d / 10), second = static_cast<char>('0' + d % 10);
    static constexpr char mean[] = {'m', 'e', 'a', 'n', '_', 'k', 'l', '_', first, second};
    static constexpr char spread[] = {'s', 'p', 'r', 'e', 'a', 'd', '_', 'k', 'l', '_', first, second};
};
template <std::size_t... d>
constexpr std::array<std::string_view, 2 * sizeof...(d)> kl_names(std::index_sequence<d...>) {
    return {std::string_view(KlNames<d>::mean, sizeof KlNames<d>::mean)...,
            std::string_view(KlNames<d>::spread, sizeof KlNames<d>::spread)...};
}

}  // namespace detail

/// The two parts of KL(old || new) of diagonal Gaussians by dimension d, each with the other one held, weighed:
///     sum_d weight_d (mu_d - mu_old_d)^2 / (2 s_old_d^2)
///         + weight_{D + d} (ln(s_d / s_old_d) + s_old_d^2 / (2 s_d^2) - 1/2).
/// Metrics: every part without its weight. Shapes: all columns [rows, dimensions].
template <std::size_t dimensions>
struct GaussianKl {
    static_assert(dimensions > 0 && dimensions < 100);
    std::array<double, 2 * dimensions> weight{};

    static constexpr std::string_view name = "gaussian_kl_loss";
    using rows = columns<col::policy_mean, col::policy_deviation, col::policy_mean_old, col::policy_deviation_old>;
    using needs = rows;
    using differentiates = columns<col::policy_mean, col::policy_deviation>;
    static constexpr auto metrics = detail::kl_names(std::make_index_sequence<dimensions>{});
    static constexpr bool everywhere = true;

    /// Errors: rows of another width.
    template <class RunType, class BatchType>
    void prepare(RunType&, const BatchType& batch) const {
        for (auto each : {batch.width(col::policy_mean{}), batch.width(col::policy_deviation{}),
                          batch.width(col::policy_mean_old{}), batch.width(col::policy_deviation_old{})})
            expect(each == std::int64_t(dimensions), [&] {
                return "Gaussian KL: rows of " + std::to_string(each) + " numbers, expected " +
                       std::to_string(dimensions);
            });
    }
    template <class X, class Slope>
    ROARS_FN RowLoss<2 * dimensions> row(const X& x, const Slope& slope) const {
        using Real = typename X::value_type;
        auto mean = x[col::policy_mean{}], spread = x[col::policy_deviation{}], mean_old = x[col::policy_mean_old{}],
             spread_old = x[col::policy_deviation_old{}];
        auto by_mean = slope[col::policy_mean{}], by_spread = slope[col::policy_deviation{}];
        RowLoss<2 * dimensions> said;
        for (std::size_t d = 0; d < dimensions; ++d) {
            const double away = double(mean[d]) - double(mean_old[d]), s = double(spread[d]),
                         variance_old = double(spread_old[d]) * double(spread_old[d]);
            said.metric[d] = away * away / (2.0 * variance_old);
            said.metric[dimensions + d] = std::log(s / double(spread_old[d])) + variance_old / (2.0 * s * s) - 0.5;
            by_mean[d] = static_cast<Real>(weight[d] * away / variance_old);
            by_spread[d] = static_cast<Real>(weight[dimensions + d] * (1.0 / s - variance_old / (s * s * s)));
        }
        for (std::size_t k = 0; k < weight.size(); ++k) said.loss += weight[k] * said.metric[k];
        return said;
    }
};
template <std::size_t dimensions>
ROARS_FIELDS_OF((GaussianKl<dimensions>), weight)

/// A trust region of its own for the mean and for the spread of every dimension of a diagonal Gaussian policy:
/// GaussianKl with weights alpha = min(e^u, largest) that are learned. After every update u takes one step down
///     alpha (bound - part),
/// part the mean over the rows that counted, so that a weight grows while its part is above its bound. Source: MPO,
/// arXiv 1812.02256 (the constraint's two parts); a multiplier for each dimension as in rlax. The bounds are no
/// paper's.
template <std::size_t dimensions>
struct GaussianTrust {
    double mean_bound = 2.5e-3;
    double spread_bound = 1e-6;
    double largest = 1e6;
    step::AdamW step{.learning_rate = 1e-2};

    struct State {
        std::array<double, 2 * dimensions> log_weight{};
        step::AdamW::StateOf<double> moments{};
        ROARS_MEMBERS(State, log_weight, moments)
    };

    double weight(const State& state, std::size_t k) const { return std::min(std::exp(state.log_weight[k]), largest); }
    std::tuple<GaussianKl<dimensions>> terms(const State& state) const {
        GaussianKl<dimensions> term;
        for (std::size_t k = 0; k < term.weight.size(); ++k) term.weight[k] = weight(state, k);
        return {term};
    }
    template <class RunType, class ResultType>
    void observe(RunType&, State& state, const ResultType& result) const {
        constexpr auto& names = GaussianKl<dimensions>::metrics;
        if (result.count(names[0]) == 0) return;
        std::array<double, 2 * dimensions> gradient;
        for (std::size_t k = 0; k < gradient.size(); ++k)
            gradient[k] = weight(state, k) * ((k < dimensions ? mean_bound : spread_bound) - result.metric(names[k]));
        step.step(state.moments, std::span<double>(state.log_weight), std::span<double>(gradient));
    }
};
template <std::size_t dimensions>
ROARS_FIELDS_OF((GaussianTrust<dimensions>), mean_bound, spread_bound, largest, step)

}  // namespace roars::regularizer
