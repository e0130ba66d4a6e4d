#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <string_view>

#include "roars/concepts.hpp"

namespace roars::surrogate {

/// A variational model of the data's actions, of those that are better than their state:
///     weight [taken_q > value + threshold] mean over dimensions of (reconstruction - action)^2
///     + divergence_weight * -1/2 mean over the code of (1 + ln deviation^2 - mean^2 - deviation^2).
/// The comparison is a constant and strict; the divergence counts for every token. Shapes: reconstruction, action
/// [rows, width]; latent_mean, latent_deviation (above 0) [rows, code]; taken_q, value [rows]. Metrics: the share of
/// selected tokens, the weighed square, the divergence. Source: A2PR, arXiv 2405.19909.
struct Variational {
    double weight = 1.0;
    double divergence_weight = 0.5;
    double threshold = 0.0;

    static constexpr std::string_view name = "model_loss";
    using rows = columns<col::reconstruction, col::action, col::latent_mean, col::latent_deviation>;
    using needs =
        columns<col::reconstruction, col::action, col::latent_mean, col::latent_deviation, col::taken_q, col::value>;
    using differentiates = columns<col::reconstruction, col::latent_mean, col::latent_deviation>;
    static constexpr std::array<std::string_view, 3> metrics{"selected", "reconstruction_loss", "latent_divergence"};

    ROARS_FN bool selected(double taken_q, double value) const { return taken_q > value + threshold; }

    template <class X, class Slope>
    ROARS_FN RowLoss<3> row(const X& x, const Slope& slope) const {
        bool counts = selected(double(x[col::taken_q{}]), double(x[col::value{}]));
        double square = counts ? weight * error(x, slope) : 0.0, divergence = from_normal(x, slope);
        return {square + divergence_weight * divergence, {double(counts), square, divergence}};
    }

private:
    template <class X, class Slope>
    ROARS_FN double error(const X& x, const Slope& slope) const {
        using Real = typename X::value_type;
        auto made = x[col::reconstruction{}], action = x[col::action{}];
        auto to = slope[col::reconstruction{}];
        double width = double(made.size()), sum = 0.0;
        for (std::size_t j = 0; j < made.size(); ++j) {
            double away = double(made[j]) - double(action[j]);
            sum += away * away / width;
            to[j] = static_cast<Real>(2.0 * weight * away / width);
        }
        return sum;
    }
    template <class X, class Slope>
    ROARS_FN double from_normal(const X& x, const Slope& slope) const {
        using Real = typename X::value_type;
        auto mean = x[col::latent_mean{}], deviation = x[col::latent_deviation{}];
        auto to_mean = slope[col::latent_mean{}], to_deviation = slope[col::latent_deviation{}];
        double width = double(mean.size()), sum = 0.0;
        for (std::size_t j = 0; j < mean.size(); ++j) {
            double m = double(mean[j]), s = double(deviation[j]);
            sum -= 0.5 * (1.0 + 2.0 * std::log(s) - m * m - s * s) / width;
            to_mean[j] = static_cast<Real>(divergence_weight * m / width);
            to_deviation[j] = static_cast<Real>(divergence_weight * (s - 1.0 / s) / width);
        }
        return sum;
    }
};
ROARS_FIELDS(Variational, weight, divergence_weight, threshold)

}  // namespace roars::surrogate
