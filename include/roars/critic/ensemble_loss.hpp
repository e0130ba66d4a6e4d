#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "roars/critic/rows.hpp"
#include "roars/fields.hpp"

/// K critics of the same action value. Shapes: q, grad_q [heads, rows]. Source: REDQ, arXiv 2101.05982.
namespace roars::critic {

/// y = reward + discount min over the heads of a subset of q, held in [clip_low, clip_high] where that is a range. One
/// subset is drawn for a batch. A row of discount 0 looks at no q. Shapes: q [heads, rows], subset [1 .. heads],
/// reward, discount, target [rows]. Errors: an empty subset, or a head that does not exist.
struct SubsetMinimum {
    double clip_low = 0.0;
    double clip_high = 0.0;

    template <class Real>
    void target(backend::Host& backend, Rows<const Real> q, std::span<const std::int64_t> subset,
                std::span<const Real> reward, std::span<const Real> discount, std::span<Real> target) const {
        expect(!subset.empty(), "ensemble: no heads are drawn, expected one or more");
        for (std::int64_t head : subset)
            expect(head >= 0 && head < q.count(), [&] {
                return "ensemble: head " + std::to_string(head) + " is drawn of " + std::to_string(q.count());
            });
        parallel_for(backend, std::ssize(target), [&](std::int64_t row) {
            auto i = static_cast<std::size_t>(row);
            double y = double(reward[i]);
            if (discount[i] != Real(0)) {
                double least = double(q[subset[0]][i]);
                for (std::int64_t head : subset) least = std::min(least, double(q[head][i]));
                y += double(discount[i]) * least;
            }
            target[i] = static_cast<Real>(clip_low < clip_high ? std::clamp(y, clip_low, clip_high) : y);
        });
    }
};
ROARS_FIELDS(SubsetMinimum, clip_low, clip_high)

/// mean over heads of a number, or of a row of numbers (a gradient), for every row. Shapes: x [heads, cells], mean
/// [cells].
template <class Real>
void ensemble_mean(backend::Host& backend, Rows<const Real> x, std::span<Real> mean) {
    expect(x.count() > 0, "ensemble: no heads, expected one or more");
    roars::detail::expect_size("mean", mean.size(), x.width);
    parallel_for(backend, x.width, [&](std::int64_t cell) {
        double sum = 0.0;
        for (std::int64_t k = 0; k < x.count(); ++k) sum += double(x[k][std::size_t(cell)]);
        mean[std::size_t(cell)] = static_cast<Real>(sum / double(x.count()));
    });
}

/// mean over heads and rows of (q - target)^2; grad_q = its derivative.
template <class Real>
double ensemble_loss(backend::Host& backend, Rows<const Real> q, std::span<const Real> target, Rows<Real> grad_q) {
    roars::detail::expect_size("target", target.size(), q.width);
    roars::detail::expect_size("grad_q", grad_q.values.size(), std::ssize(q.values));
    double cells = double(std::ssize(q.values));
    return mean_of(backend, std::ssize(q.values), [&](std::int64_t cell) {
        double error = double(q.values[std::size_t(cell)]) - double(target[std::size_t(cell % q.width)]);
        grad_q.values[std::size_t(cell)] = static_cast<Real>(2.0 * error / cells);
        return error * error;
    });
}

/// mean over rows of (mean over heads of |q - target|)^2: every head's gradient is as large as the error of all. The
/// loss that ResFiT's code (arXiv 2509.19301) has in place of the one above.
template <class Real>
double coupled_ensemble_loss(backend::Host& backend, Rows<const Real> q, std::span<const Real> target,
                             Rows<Real> grad_q) {
    roars::detail::expect_size("target", target.size(), q.width);
    roars::detail::expect_size("grad_q", grad_q.values.size(), std::ssize(q.values));
    double heads = double(q.count()), rows = double(q.width);
    return mean_of(backend, q.count() > 0 ? q.width : 0, [&](std::int64_t row) {
        auto i = static_cast<std::size_t>(row);
        double size = 0.0;
        for (std::int64_t k = 0; k < q.count(); ++k) size += std::abs(double(q[k][i]) - double(target[i])) / heads;
        for (std::int64_t k = 0; k < q.count(); ++k) {
            double error = double(q[k][i]) - double(target[i]), sign = double(error > 0.0) - double(error < 0.0);
            grad_q[k][i] = static_cast<Real>(2.0 * size * sign / (heads * rows));
        }
        return size * size;
    });
}

}  // namespace roars::critic
