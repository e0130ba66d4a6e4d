#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/critic/rows.hpp"
#include "roars/fields.hpp"

namespace roars::sampler {

/// Mean and standard deviation (population) of every column of the states in a data set.
struct StateMoments {
    std::vector<double> mean, spread;
};
ROARS_FIELDS(StateMoments, mean, spread)

/// state' = (state - mean) / (spread + eps), a column at a time, with the moments of the whole data set; next states
/// and states met later with the same ones. A column of equal numbers becomes 0. Sources: TD3+BC, arXiv 2106.06860;
/// A2PR, arXiv 2405.19909; PRDC, arXiv 2306.06569.
struct Standardise {
    double eps = 1e-3;

    /// Shapes: states [rows, width]. Errors: no row.
    template <class Real>
    StateMoments moments_of(backend::Host& backend, critic::Rows<const Real> states) const {
        expect(states.count() > 0, "standardise: the data set has no row, expected one or more");
        StateMoments found;
        std::vector<double> column(static_cast<std::size_t>(states.count()));
        for (std::int64_t j = 0; j < states.width; ++j) {
            for (std::size_t i = 0; i < column.size(); ++i) column[i] = double(states[std::int64_t(i)][std::size_t(j)]);
            Moments moments = roars::moments(backend, std::span<const double>(column));
            found.mean.push_back(moments.mean);
            found.spread.push_back(moments.spread(0));
        }
        return found;
    }

    /// In place. Shapes: states [rows, width of the moments].
    template <class Real>
    void apply(backend::Host& backend, const StateMoments& moments, critic::Rows<Real> states) const {
        expect(states.width == std::ssize(moments.mean), [&] {
            return "standardise: states of " + std::to_string(states.width) + " numbers, expected " +
                   std::to_string(moments.mean.size());
        });
        parallel_for(backend, states.count(), [&](std::int64_t i) {
            auto row = states[i];
            for (std::size_t j = 0; j < row.size(); ++j)
                row[j] = static_cast<Real>((double(row[j]) - moments.mean[j]) / (moments.spread[j] + eps));
        });
    }
};
ROARS_FIELDS(Standardise, eps)

}  // namespace roars::sampler
