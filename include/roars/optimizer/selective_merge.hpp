#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "roars/error.hpp"
#include "roars/fields.hpp"
#include "roars/primitives/sort.hpp"

namespace roars::optimizer {

/// Of a tuned model only the floor(fraction * size) parameters that moved most are kept, and these are moved back:
///     merged = base + scale (tuned - base) there,   merged = base elsewhere, bit for bit.
/// Equal moves: the lower index first. Shapes: base, tuned, merged [parameters]; merged may be one of the others.
/// Errors: vectors of different lengths, a fraction outside [0, 1]. Source: DLER, arXiv 2510.15110; whether its quarter
/// is one of all parameters or of each matrix is not said: here, of the vector that is given.
struct SelectiveMerge {
    double fraction = 0.25;
    double scale = 0.7;

    template <class Real>
    void operator()(std::span<const Real> base, std::span<const Real> tuned, std::span<Real> merged) const {
        expect(base.size() == tuned.size() && base.size() == merged.size(), [&] {
            return "selective merge: " + std::to_string(base.size()) + " parameters of the base, " +
                   std::to_string(tuned.size()) + " of the tuned model and room for " + std::to_string(merged.size()) +
                   ", expected the same number of each";
        });
        expect(fraction >= 0.0 && fraction <= 1.0,
               [&] { return "selective merge: fraction is " + std::to_string(fraction) + ", expected 0 to 1"; });
        std::vector<double> moved(base.size());
        for (std::size_t i = 0; i < moved.size(); ++i) moved[i] = std::abs(double(tuned[i]) - double(base[i]));
        std::vector<std::int64_t> order(moved.size());
        std::iota(order.begin(), order.end(), std::int64_t(0));
        auto kept = std::min(std::ssize(order),
                             static_cast<std::ptrdiff_t>(fraction * static_cast<double>(order.size()) + 1e-9));
        std::nth_element(order.begin(), order.begin() + kept, order.end(),
                         detail::by_key(std::span<const double>(moved), Descending{}));
        std::vector<char> keep(moved.size(), 0);
        std::for_each(order.begin(), order.begin() + kept, [&](std::int64_t i) { keep[std::size_t(i)] = 1; });
        for (std::size_t i = 0; i < moved.size(); ++i)
            merged[i] =
                keep[i] ? static_cast<Real>(double(base[i]) + scale * (double(tuned[i]) - double(base[i]))) : base[i];
    }
};
ROARS_FIELDS(SelectiveMerge, fraction, scale)

}  // namespace roars::optimizer
